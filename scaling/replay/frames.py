"""Frames of stored steps: on the device, or on the host in memory-mapped files.

One frame is stored for each step; stacks are gathered, never stored. Where a frame
lies is decided by `scaling.replay.steps`, for both homes alike.
"""

import contextlib
import math
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Shaped

from scaling.replay import steps

DeviceFrames = Any  # [G, E, T, ...], an array of the state, indexed by shard


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
