"""Frames of stored steps: on the device, or on the host in memory-mapped files.

One frame is stored for each step; stacks are gathered, never stored. Where a frame
lies is decided by `scaling.replay.steps`, for both homes alike.
"""

import contextlib
import math
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Shaped

from scaling.replay import steps, stores

DeviceFrames = Any  # [E, T, ...], one frame a step; T differs from home to home
_FRAMES_AT_ONCE = 64  # that are copied; fewer than lie between a source and its place


def empty_on_device(
    shape: tuple[int, int, int], frame_shape: tuple[int, ...], dtype: Any
) -> Shaped[Array, "G E T ..."]:
    """Returns zeroed frames for [shards, environments, slots]."""
    return jnp.zeros((*shape, *frame_shape), dtype)


def append(
    frames: Shaped[Array, "E T ..."],
    frame: Shaped[Array, "E ..."],
    step: Int[Array, " E"],
    live: Bool[Array, " E"],
) -> Shaped[Array, "E T ..."]:
    """Returns a shard's frames with one written at `step` of each live column."""
    environments, capacity = frames.shape[:2]
    slot = jnp.where(live, step % capacity, capacity)
    frame = frame.astype(frames.dtype)
    return frames.at[jnp.arange(environments), slot].set(frame, mode="drop")


def gather(
    frames: Shaped[Array, "E T ..."], stack: steps.Stack
) -> Shaped[Array, "B D ..."]:
    """Returns the stacked frames of a shard, zeros before an episode's start."""
    stacked = frames[stack.column[:, None], stack.slot]
    present = stack.present.reshape(*stack.present.shape, *(1,) * (stacked.ndim - 2))
    return jnp.where(present, stacked, jnp.zeros((), stacked.dtype))


def gather_from(
    homes: Sequence[DeviceFrames], stack: steps.Stack
) -> Shaped[Array, "B D ..."]:
    """Returns the stacked frames of a shard; columns run through several stores."""

    def read(home: Array, column: Int[Array, " B"]) -> Array:
        # A slot of another store may lie beyond this one: what it reads is not used.
        return gather(home, stack._replace(column=column))

    return stores.pick(homes, [len(home) for home in homes], stack.column, read)


class Move(NamedTuple):
    """Frames to copy into the one column of an archive."""

    column: int
    first: int  # absolute number
    to: int  # absolute number in the archive
    length: int


class HostFrames:
    """Frames of this process's shards, in one memory-mapped file a shard.

    Args:
      directory: where the files are made.
      shards: their numbers in the run.
      shape: of a shard, (environments, slots, ...), a frame's own axes last.
      dtype: of a frame.

    Raises:
      ValueError: if the disk has no room for them.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        shards: Sequence[int],
        shape: tuple[int, ...],
        dtype: Any,
    ):
        self.shape, self.dtype = shape, np.dtype(dtype)
        directory.mkdir(parents=True, exist_ok=True)
        _check_disk(directory, (len(shards), *shape), dtype)
        self._directory = directory
        self._shards = [
            np.lib.format.open_memmap(
                directory / f"frames-{shard:03d}.npy",
                mode="w+",
                dtype=dtype,
                shape=shape,
            )
            for shard in shards
        ]

    def append(
        self,
        frame: Shaped[np.ndarray, "G E ..."],
        step: Int[np.ndarray, "G E"],
        live: Bool[np.ndarray, "G E"],
    ) -> None:
        """Writes a frame at `step` of each live column."""
        capacity = self._shards[0].shape[1]
        for shard, column in np.argwhere(live):
            slot = step[shard, column] % capacity
            self._shards[shard][column, slot] = frame[shard, column]

    def gather(
        self, shard: Int[np.ndarray, " B"], stack: steps.Stack
    ) -> Shaped[np.ndarray, "B D ..."]:
        """Returns the stacked frames, zeros before an episode's start.

        Args:
          shard: of each stack, counted among those of this process.
          stack: NumPy arrays.
        """
        frame_shape = self._shards[0].shape[2:]
        stacked = np.zeros((*stack.slot.shape, *frame_shape), self._shards[0].dtype)
        for number in np.unique(shard):
            rows = np.flatnonzero(shard == number)
            frames = self._shards[number]
            stacked[rows] = frames[stack.column[rows, None], stack.slot[rows]]
        stacked[~stack.present] = 0
        return stacked

    def copy_to(self, archive: "HostFrames", shard: int, move: "Move") -> None:
        """Copies frames of a shard into another home, in order."""
        own, other = self._shards[shard], archive._shards[shard]
        for done in range(0, move.length, _FRAMES_AT_ONCE):
            offset = np.arange(done, min(done + _FRAMES_AT_ONCE, move.length))
            frames = own[move.column, (move.first + offset) % own.shape[1]]
            other[0, (move.to + offset) % other.shape[1]] = frames

    def read(self, start: int, stop: int) -> Shaped[np.ndarray, "G E C ..."]:
        """Returns a copy of the slots from `start` to before `stop`."""
        return np.stack([frames[:, start:stop] for frames in self._shards])

    def write(
        self, shard: int, start: int, frames: Shaped[np.ndarray, "E C ..."]
    ) -> None:
        """Writes slots of a shard, counted among those of this process."""
        self._shards[shard][:, start : start + frames.shape[1]] = frames

    def close(self) -> None:
        """Deletes the files; the folder is left to the last process that does."""
        for frames in self._shards:
            path = pathlib.Path(str(frames.filename))
            frames._mmap.close()  # type: ignore[attr-defined]
            path.unlink(missing_ok=True)
        self._shards = []
        with contextlib.suppress(OSError):  # another process's files are in it
            self._directory.rmdir()


@runtime_checkable
class Home(Protocol):
    """Where frames of this process's shards lie on the host."""

    def gather(
        self, shard: Int[np.ndarray, " B"], stack: steps.Stack
    ) -> Shaped[np.ndarray, "B D ..."]:
        """Returns the stacked frames, zeros where none is present."""
        ...


class JoinedFrames:
    """Several homes, whose columns are numbered through.

    Args:
      homes: with the number of columns of each.
    """

    def __init__(self, homes: Sequence[tuple[Home, int]]):
        self._homes = list(homes)

    def gather(
        self, shard: Int[np.ndarray, " B"], stack: steps.Stack
    ) -> Shaped[np.ndarray, "B D ..."]:
        """Returns the stacked frames, each from the home of its column."""
        first, found = 0, None
        for home, columns in self._homes:
            rows = (stack.column >= first) & (stack.column < first + columns)
            own = steps.Stack(stack.column[rows] - first, *(x[rows] for x in stack[1:]))
            frames = home.gather(shard[rows], own)
            if found is None:
                found = np.zeros((len(shard), *frames.shape[1:]), frames.dtype)
            found[rows] = frames
            first += columns
        assert found is not None
        return found


def _check_disk(directory: pathlib.Path, shape: tuple[int, ...], dtype: Any) -> None:
    """Refuses frames that do not fit: a full disk would kill the process later."""
    needed = math.prod(shape) * np.dtype(dtype).itemsize
    free = shutil.disk_usage(directory).free
    if needed > free:
        raise ValueError(
            f"The stored frames need {needed / 1e9:.1f} GB and {directory} has "
            f"{free / 1e9:.1f} GB free; lower --replay.stored-steps, --replay.window "
            "or --protocol.image-size, or choose another --out."
        )


def to_rows(tree: Any) -> Any:
    """Returns arrays [G, B, ...] as [G·B, ...]."""
    return jax.tree.map(
        lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), tree
    )


def to_shards(tree: Any, shards: int) -> Any:
    """Returns arrays [G·B, ...] as [G, B, ...]."""
    return jax.tree.map(
        lambda x: x.reshape(shards, x.shape[0] // shards, *x.shape[1:]), tree
    )
