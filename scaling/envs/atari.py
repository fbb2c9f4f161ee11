"""The Arcade Learning Environment as a host environment.

A vector of `ale_py.ALEInterface` in one thread pool, under the protocol of Machado
et al. 2018 (arXiv 1709.06009), which the paper uses: sticky actions, all actions,
frame skip, the pixel-wise maximum of the last two frames, a cap on an episode's
frames; raw rewards, no loss of life as an end, no no-op starts, no pressing of
fire. Frames are returned one at a time; what is stacked is decided elsewhere.

Sticky actions are drawn here and not by the emulator. The rule is the emulator's
own: at every frame, with probability ς, the action of the frame before is executed
again. But its generator is seeded only when a ROM is loaded, which takes 0.1 s and
more, while going back to the state after loading takes 5 ms. Nothing else in the
emulator is random: each of the 104 ROMs gave the same game for two seeds.

`ALEInterface.act` holds Python's lock (seen, ale-py 0.12.1): the pool overlaps the
resizing, and the emulators with the device, but not one emulator with another.
"""

import os
import pathlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from scaling import config, types
from scaling.envs import atari_state, interface, records

STANDARD_STICKY = 0.25  # Machado et al. 2018, section 5.2
PLANES = {"rgb": 3, "gray": 1}

_FIELDS = {
    "ale": records.Field(np.uint8, (None,)),
    "executed": records.Field(np.int64, ()),
    "random": records.Field(np.uint64, (records.GENERATOR_WORDS,)),
}


class AtariEnvironment:
    """Emulators of one game; see `interface.HostEnvironment`.

    With all 18 actions, action i is the ALE's action i, as in its manual.
    """

    spec: types.EnvSpec
    size: int

    def __init__(
        self, name: str, rom: pathlib.Path, protocol: config.Protocol, size: int
    ) -> None:
        """Starts `size` emulators of the game called `name`.

        Args:
          name: such as `MsPacman`.
          rom: the ROM's file.
          protocol: how the game is presented.
          size: number of rows.
        """
        self.size = size
        self._pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)), "atari")
        rows = [self._pool.submit(Emulator, rom, protocol) for _ in range(size)]
        self._rows = [row.result() for row in rows]
        side = protocol.image_size
        self.spec = types.EnvSpec(
            name=f"atari:{name}",
            num_actions=self._rows[0].num_actions,
            observation_shape=(side, side, PLANES[protocol.colour]),
            observation_dtype=np.uint8,
            observation_scale=255.0,
            frames_per_step=protocol.frame_skip,
        )

    def reset(
        self, rows: Sequence[int], seeds: Sequence[int]
    ) -> UInt8[np.ndarray, "B H W C"]:
        """Begins an episode in each of `rows`; returns the first frames."""
        emulators = [self._rows[row] for row in rows]
        return np.stack(list(self._pool.map(Emulator.reset, emulators, seeds)))

    def step(self, rows: Sequence[int], action: np.ndarray) -> interface.Transition:
        """Steps `rows`, several at a time; blocks until all are done."""
        emulators = [self._rows[row] for row in rows]
        steps = list(self._pool.map(Emulator.step, emulators, action.tolist()))
        frame, reward, terminated, truncated = zip(*steps, strict=True)
        return interface.Transition(
            observation=np.stack(frame),
            reward=np.array(reward, np.float32),
            terminated=np.array(terminated, np.bool_),
            truncated=np.array(truncated, np.bool_),
        )

    def save(self, rows: Sequence[int]) -> list[dict[str, np.ndarray]]:
        """Returns one record a row; see `interface.Restorable`."""
        return list(self._pool.map(Emulator.save, [self._rows[row] for row in rows]))

    def restore(
        self, rows: Sequence[int], records: Sequence[Mapping[str, np.ndarray]]
    ) -> Bool[np.ndarray, " B"]:
        """Puts `rows` where `records` were; see `interface.Restorable`.

        `atari_state` says which rows cannot go on, and what nobody can check in a
        record from a stranger.

        Raises:
          ValueError: naming the row, if its record is malformed.
        """
        emulators = [self._rows[row] for row in rows]
        exact = list(self._pool.map(Emulator.restore, emulators, rows, records))
        return np.array(exact, np.bool_)

    def close(self) -> None:
        """Stops the threads and drops the emulators."""
        self._pool.shutdown()
        self._rows.clear()


class Emulator:
    """One row: a console, its sticky actions and its frames."""

    def __init__(self, rom: pathlib.Path, protocol: config.Protocol) -> None:
        """Loads the ROM; the first episode begins with `reset`."""
        self._ale = load(rom)
        actions = (
            self._ale.getLegalActionSet()
            if protocol.full_action_space
            else self._ale.getMinimalActionSet()
        )
        self._actions = list(actions)
        self.num_actions = len(self._actions)
        self._sticky = STANDARD_STICKY if protocol.sticky is None else protocol.sticky
        self._skip = protocol.frame_skip
        self._max_frames = protocol.max_frames
        self._side = (protocol.image_size, protocol.image_size)
        height, width = self._ale.getScreenDims()
        shape = {"rgb": (height, width, 3), "gray": (height, width)}[protocol.colour]
        self._grab = {
            "rgb": self._ale.getScreenRGB,
            "gray": self._ale.getScreenGrayscale,
        }[protocol.colour]
        self._screens = np.zeros((2, *shape), np.uint8)  # the last two frames
        self._ale.reset_game()
        self._start = self._ale.cloneState()
        self._fresh: bytes = self._start.serialize()
        self._first_screen = np.zeros(shape, np.uint8)
        self._grab(self._first_screen)

    def reset(self, seed: int) -> UInt8[np.ndarray, "H W C"]:
        """Begins an episode; everything random in it follows from `seed`."""
        self._random = np.random.default_rng(seed)
        self._executed: Any = self._actions[0]  # no-op, the ALE's own beginning
        self._go_to_start()
        self._screens[:] = self._first_screen
        return self._observation()

    def step(self, action: int) -> tuple[UInt8[np.ndarray, "H W C"], float, bool, bool]:
        """Returns the frame, the reward, and whether terminated or truncated.

        The episode ends at the frame that ends it: what is left of the skip is
        not played. Both screens are then the last ones shown.
        """
        chosen, reward, ends = self._actions[action], 0.0, (False, False)
        for frame, draw in enumerate(self._random.random(self._skip)):
            if draw >= self._sticky:
                self._executed = chosen
            reward += self._ale.act(self._executed)
            ends = self._ends()
            if frame >= self._skip - 2 or any(ends):
                self._screens[0] = self._screens[1]
                self._grab(self._screens[1])
            if any(ends):
                break
        return self._observation(), reward, *ends

    def save(self) -> dict[str, np.ndarray]:
        """Returns all that the row's future follows from.

        The screens are kept because the emulator has none until its next frame. Its
        own generator is left out: it decides nothing without sticky actions of its
        own, and it would double the state and give it a length that varies.
        """
        return {
            "ale": np.frombuffer(self._ale.cloneState().serialize(), np.uint8),
            "screens": self._screens.copy(),
            "executed": np.array(self._actions.index(self._executed)),
            "random": records.pack_generator(self._random),
        }

    def restore(self, row: int, record: Mapping[str, np.ndarray]) -> bool:
        """Goes on where `record` was saved; returns whether it goes on exactly.

        Raises:
          ValueError: naming `row`, if the record is malformed.
        """
        screens = records.Field(np.uint8, self._screens.shape)
        fields = _FIELDS | {"screens": screens}
        records.check(row, record, fields)
        executed = int(record["executed"])
        if not 0 <= executed < self.num_actions:
            raise records.damaged(row, f"it executed the action {executed}")
        self._random = records.unpack_generator(row, record["random"])
        self._executed = self._actions[executed]
        self._screens[:] = record["screens"]
        self._go_to_start()
        return atari_state.load(self._ale, self._fresh, row, record["ale"].tobytes())

    def _go_to_start(self) -> None:
        # Alone neither is enough: `reset_game` keeps memory of the last episode in
        # a quarter of the ROMs, `restoreState` keeps the score and lives of Qbert.
        self._ale.reset_game()
        self._ale.restoreState(self._start)

    def _ends(self) -> tuple[bool, bool]:
        """Returns whether the episode has terminated or reached the cap."""
        terminated = self._ale.game_over(with_truncation=False)
        capped = self._ale.getEpisodeFrameNumber() >= self._max_frames
        return terminated, capped and not terminated

    def _observation(self) -> UInt8[np.ndarray, "H W C"]:
        """Returns the maximum of the last two frames, resized by area."""
        image = Image.fromarray(np.maximum(self._screens[0], self._screens[1]))
        small = np.asarray(image.resize(self._side, Image.Resampling.BOX))
        return small if small.ndim == 3 else small[..., None]


def load(rom: pathlib.Path) -> Any:
    """Returns an emulator with the ROM loaded and nothing random in it."""
    import ale_py

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale = ale_py.ALEInterface()
    ale.setFloat("repeat_action_probability", 0.0)
    ale.setInt("frame_skip", 1)
    ale.setInt("max_num_frames_per_episode", 0)
    ale.loadROM(rom)
    return ale
