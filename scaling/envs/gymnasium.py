"""gymnasium's environments as a host environment: discrete actions, box observations.

Images (three axes, uint8) stay as they are; anything else becomes float32. A time
limit (`TimeLimit`) is reported by gymnasium as truncated and stays so. Each row is
an environment of its own, and the rows are stepped one after another: a step takes
microseconds, and Python holds its lock in between.

A row is saved as the seed of its episode and the actions executed since, and restored
by playing them again. What comes must be what came before, or the row is not restored.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from scaling import config, types
from scaling.envs import interface, records

_FIELDS = {
    "seed": records.Field(np.int64, ()),
    "reward": records.Field(np.float64, ()),
    "random": records.Field(np.uint64, (records.GENERATOR_WORDS,)),
}


class GymnasiumEnvironment:
    """Rows of one gymnasium environment; see `interface.HostEnvironment`."""

    spec: types.EnvSpec
    size: int

    def __init__(self, name: str, protocol: config.Protocol, size: int) -> None:
        """Makes `size` environments called `name`, such as `CartPole-v1`.

        Raises:
          ValueError: if actions are not discrete or observations not a box.
        """
        import gymnasium

        self.size = size
        self._envs: list[Any] = [gymnasium.make(name) for _ in range(size)]
        self._sticky = protocol.sticky or 0.0
        self._max_steps = protocol.max_frames
        self._previous = np.zeros(size, np.int64)  # action executed last, of each row
        self._steps = np.zeros(size, np.int64)  # steps of the row's episode
        self._random = [np.random.default_rng(0) for _ in range(size)]
        self._seeds = np.zeros(size, np.int64)  # of the row's episode
        self._executed: list[list[int]] = [[] for _ in range(size)]  # since its start
        self.spec, self._first_action = _spec(name, self._envs[0])
        # The last observation and reward of each row.
        first = np.zeros(self.spec.observation_shape, self.spec.observation_dtype)
        self._last: list[tuple[np.ndarray, float]] = [(first, 0.0)] * size

    def reset(self, rows: Sequence[int], seeds: Sequence[int]) -> np.ndarray:
        """Begins an episode in each of `rows`; returns observations [rows, ...]."""
        pairs = zip(rows, seeds, strict=True)
        return np.stack([self._begin(row, seed) for row, seed in pairs])

    def step(self, rows: Sequence[int], action: np.ndarray) -> interface.Transition:
        """Steps `rows` one after another."""
        pairs = zip(rows, action.tolist(), strict=True)
        steps = [self._advance(row, chosen) for row, chosen in pairs]
        observation, reward, terminated, truncated = zip(*steps, strict=True)
        return interface.Transition(
            observation=np.stack(observation),
            reward=np.array(reward, np.float32),
            terminated=np.array(terminated, np.bool_),
            truncated=np.array(truncated, np.bool_),
        )

    def save(self, rows: Sequence[int]) -> list[dict[str, np.ndarray]]:
        """Returns one record a row; see `interface.Restorable`."""
        return [self._save_row(row) for row in rows]

    def restore(
        self, rows: Sequence[int], records: Sequence[Mapping[str, np.ndarray]]
    ) -> Bool[np.ndarray, " B"]:
        """Plays the episodes of `records` again; see `interface.Restorable`.

        Takes as long as the steps of the episodes so far.

        Raises:
          ValueError: naming the row, if its record is malformed.
        """
        pairs = zip(rows, records, strict=True)
        return np.array([self._restore_row(*pair) for pair in pairs], np.bool_)

    def render(self, row: int) -> np.ndarray | None:
        """Returns the environment's own picture of a row; None of an image.

        Raises:
          ValueError: if it draws none, or if what it draws with is not installed.
        """
        if self.spec.observation_scale != 1:
            return None
        return _draw(self.spec.name, self._envs[row])

    def close(self) -> None:
        """Closes every environment."""
        for env in self._envs:
            env.close()

    def _begin(self, row: int, seed: int) -> np.ndarray:
        observation, _ = self._envs[row].reset(seed=seed)
        # Another stream than the environment's, which is seeded by the same number.
        self._random[row] = np.random.default_rng((seed, 1))
        self._steps[row] = 0
        self._seeds[row] = seed
        self._executed[row] = []
        self._last[row] = self._array(observation), 0.0
        return self._last[row][0]

    def _advance(self, row: int, chosen: int) -> tuple[np.ndarray, float, bool, bool]:
        sticks = self._sticky and self._random[row].random() < self._sticky
        executed = self._previous[row] if sticks and self._steps[row] else chosen
        return self._execute(row, int(executed))

    def _execute(self, row: int, executed: int) -> tuple[np.ndarray, float, bool, bool]:
        self._previous[row] = executed
        self._steps[row] += 1
        self._executed[row].append(executed)
        observation, reward, terminated, truncated, _ = self._envs[row].step(
            self._first_action + executed
        )
        truncated = truncated or self._steps[row] >= self._max_steps
        ends = bool(terminated), bool(truncated and not terminated)
        self._last[row] = self._array(observation), float(reward)
        return *self._last[row], *ends

    def _save_row(self, row: int) -> dict[str, np.ndarray]:
        observation, reward = self._last[row]
        return {
            "seed": np.array(self._seeds[row]),
            "actions": np.array(self._executed[row], self._action_type()),
            "observation": observation.copy(),
            "reward": np.array(reward),
            "random": records.pack_generator(self._random[row]),
        }

    def _restore_row(self, row: int, record: Mapping[str, np.ndarray]) -> bool:
        """Returns whether the episode came to the same observation and reward."""
        self._check(row, record)
        random = records.unpack_generator(row, record["random"])
        actions = record["actions"].tolist()
        self._begin(row, int(record["seed"]))
        for number, action in enumerate(actions, start=1):
            *_, terminated, truncated = self._execute(row, action)
            if (terminated or truncated) and number < len(actions):
                return False  # nothing may be stepped beyond its end
        self._random[row] = random
        observation, reward = self._last[row]
        # Bytes, since NaN is the same here and -0 is another number than 0.
        same = observation.tobytes() == record["observation"].tobytes()
        return same and np.float64(reward).tobytes() == record["reward"].tobytes()

    def _check(self, row: int, record: Mapping[str, np.ndarray]) -> None:
        """Refuses a record whose episode cannot be played."""
        observation = records.Field(
            self.spec.observation_dtype, self.spec.observation_shape
        )
        actions = records.Field(self._action_type(), (None,))
        fields = _FIELDS | {"observation": observation, "actions": actions}
        records.check(row, record, fields)
        played, seed = record["actions"], int(record["seed"])
        if played.size > self._max_steps:
            raise records.damaged(
                row,
                f"its episode has {played.size} steps, and the protocol ends one "
                f"after {self._max_steps}",
            )
        if played.size and played.max() >= self.spec.num_actions:
            raise records.damaged(row, f"it executed the action {played.max()}")
        if not 0 <= seed < 2**31:
            raise records.damaged(row, f"its episode has the seed {seed}")

    def _action_type(self) -> np.dtype:
        return np.min_scalar_type(self.spec.num_actions - 1)

    def _array(self, observation: Any) -> np.ndarray:
        return np.asarray(observation, self.spec.observation_dtype)


def _draw(name: str, env: Any) -> np.ndarray:
    """Returns the picture that gymnasium's own environment draws of itself."""
    from gymnasium import error

    if "rgb_array" not in env.metadata.get("render_modes", ()):
        raise ValueError(
            f"There is no video of {name}: its observations are vectors, and it has no "
            "render mode rgb_array."
        )
    # Set when it is needed: `make` would have it chosen for every run.
    env.unwrapped.render_mode = "rgb_array"
    try:
        return np.asarray(env.render(), np.uint8)
    except (error.DependencyNotInstalled, ImportError):
        raise ValueError(
            f"A video of {name} needs pygame, which is not installed; run: "
            "pip install pygame."
        ) from None


def _spec(name: str, env: Any) -> tuple[types.EnvSpec, int]:
    """Returns what the agent must know, and the number of the first action.

    Raises:
      ValueError: if actions are not discrete or observations not a box.
    """
    from gymnasium import spaces

    actions, seen = env.action_space, env.observation_space
    if not isinstance(actions, spaces.Discrete) or not isinstance(seen, spaces.Box):
        raise ValueError(
            f"gymnasium:{name} has actions {actions} and observations {seen}, but only "
            "Discrete actions and Box observations are supported; choose another or "
            "wrap it in a class of your own (docs/extending.md)."
        )
    image = len(seen.shape) == 3 and seen.dtype == np.uint8
    spec = types.EnvSpec(
        name=f"gymnasium:{name}",
        num_actions=int(actions.n),
        observation_shape=seen.shape,
        observation_dtype=np.uint8 if image else np.float32,
        observation_scale=255.0 if image else 1.0,
        frames_per_step=1,
    )
    return spec, int(actions.start)
