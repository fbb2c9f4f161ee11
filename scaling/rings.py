"""Stores in chunks: which parts of a ring changed since the last checkpoint.

A ring of T slots is cut into chunks of C slots, the last one overlapping the one
before so that all are of one size. A column writes its slots in order, so what
changed follows from where its cursor was and is.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

_LEAST, _MOST = 256, 256  # slots of a chunk; chunks of a ring


class Chunks(NamedTuple):
    """How a ring is cut."""

    capacity: int  # T
    size: int  # C

    @property
    def number(self) -> int:
        """How many chunks there are."""
        return -(-self.capacity // self.size)

    def start(self, chunk: int) -> int:
        """Returns the first slot of a chunk."""
        return min(chunk * self.size, self.capacity - self.size)


def chunks_of(capacity: int) -> Chunks:
    """Returns how a ring of `capacity` slots is cut."""
    return Chunks(capacity, min(capacity, max(_LEAST, -(-capacity // _MOST))))


def dirty(
    chunks: Chunks,
    first: Int[np.ndarray, " columns"],
    stop: Int[np.ndarray, " columns"],
) -> Bool[np.ndarray, " chunks"]:
    """Returns which chunks hold a slot of an absolute index in [first, stop).

    Args:
      chunks: of the ring.
      first: of each column; may be negative, which is before the first entry.
      stop: of each column.
    """
    changed = np.zeros(chunks.capacity, np.bool_)
    pairs = np.unique(np.stack([np.maximum(first, 0), stop], axis=1), axis=0)
    for low, high in pairs.tolist():
        slots = np.arange(max(low, high - chunks.capacity), high) % chunks.capacity
        changed[slots] = True
    return np.array(
        [
            changed[chunks.start(chunk) : chunks.start(chunk) + chunks.size].any()
            for chunk in range(chunks.number)
        ],
        np.bool_,
    )
