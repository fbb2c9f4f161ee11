"""Frames of stored steps: on the device, or on the host in memory-mapped files.

One frame is stored for each step; stacks are gathered, never stored. Where a frame
lies is decided by `scaling.replay.steps`, for both homes alike.
"""

import math
import pathlib
import shutil
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
    return frames.at[jnp.arange(environments), slot].set(frame, mode="drop")


def gather(
    frames: Shaped[Array, "E T ..."], stack: steps.Stack
) -> Shaped[Array, "B D ..."]:
    """Returns the stacked frames of a shard, zeros before an episode's start."""
    stacked = frames[stack.column[:, None], stack.slot]
    present = stack.present.reshape(*stack.present.shape, *(1,) * (stacked.ndim - 2))
    return jnp.where(present, stacked, jnp.zeros((), stacked.dtype))


class HostFrames:
    """Frames of all shards of this process, in one memory-mapped file a shard.

    Args:
      directory: where the files are made.
      shape: (shards, environments of a shard, slots).
      frame_shape: of one frame.
      dtype: of a frame.

    Raises:
      ValueError: if the disk has no room for them.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        shape: tuple[int, int, int],
        frame_shape: tuple[int, ...],
        dtype: Any,
    ):
        directory.mkdir(parents=True, exist_ok=True)
        _check_disk(directory, (*shape, *frame_shape), dtype)
        self._directory = directory
        self._shards = [
            np.lib.format.open_memmap(
                directory / f"frames-{shard:03d}.npy",
                mode="w+",
                dtype=dtype,
                shape=(*shape[1:], *frame_shape),
            )
            for shard in range(shape[0])
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

    def gather(self, stack: steps.Stack) -> Shaped[np.ndarray, "G B D ..."]:
        """Returns the stacked frames [G, B, D, ...], zeros before a start.

        Args:
          stack: of NumPy or JAX arrays with a leading axis G.
        """
        column, slot, present = (np.asarray(field) for field in stack)
        stacked = np.stack(
            [
                frames[column[shard][:, None], slot[shard]]
                for shard, frames in enumerate(self._shards)
            ]
        )
        stacked[~present] = 0
        return stacked

    def close(self) -> None:
        """Deletes the files."""
        for frames in self._shards:
            path = pathlib.Path(str(frames.filename))
            frames._mmap.close()  # type: ignore[attr-defined]
            path.unlink(missing_ok=True)
        self._shards = []
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
