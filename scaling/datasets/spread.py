"""Whole episodes of a store spread over the shards of a run.

Each shard has one column in which its episodes lie one after another. The longest
episode goes first, each to the shard with the fewest steps. Where the shards cannot be
filled alike (a few demonstrations, say), every shard has all episodes, so that every
step is drawn equally often.
"""

import heapq
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Shaped

from scaling.datasets import episodes

MOST_UNEVEN = 1.1  # steps of the fullest shard over their mean


class Column(NamedTuple):
    """The episodes of a shard, in the store's order."""

    number: Int[np.ndarray, " N"]  # of each episode in the store
    first: Int[np.ndarray, " N"]  # its first step in the column
    steps: int


class Facts(NamedTuple):
    """What a column's steps are, as `scaling.replay.steps` has it."""

    action: Int[np.ndarray, "1 T"]
    reward: Shaped[np.ndarray, "1 T"]
    discount: Shaped[np.ndarray, "1 T"]
    last: Bool[np.ndarray, "1 T"]
    age: Int[np.ndarray, "1 T"]
    complete: Int[np.ndarray, " 1"]


def columns(store: episodes.EpisodeStore, shards: int) -> tuple[Column, ...]:
    """Returns which episodes each shard has."""
    length = store.index.length
    share = _shares(length, shards)
    steps = [int(length[numbers].sum()) for numbers in share]
    if max(steps) * shards > MOST_UNEVEN * sum(steps):
        share = [np.arange(len(length))] * shards
    return tuple(_column(length, numbers) for numbers in share)


def _shares(length: Int[np.ndarray, " E"], shards: int) -> list[np.ndarray]:
    filled = [(0, shard) for shard in range(shards)]
    share: list[list[int]] = [[] for _ in range(shards)]
    for number in np.argsort(-length, kind="stable").tolist():
        steps, shard = heapq.heappop(filled)
        share[shard].append(number)
        heapq.heappush(filled, (steps + int(length[number]), shard))
    return [np.sort(np.array(numbers, np.int64)) for numbers in share]


def _column(length: Int[np.ndarray, " E"], numbers: np.ndarray) -> Column:
    until = np.cumsum(length[numbers])
    return Column(numbers, until - length[numbers], int(until[-1]))


def capacity(columns: Sequence[Column]) -> int:
    """Returns the slots of the columns, rounded up so that like ones share programs."""
    most = max(column.steps for column in columns)
    unit = max(64, 1 << max(0, most.bit_length() - 4))
    return -(-most // unit) * unit


def facts(store: episodes.EpisodeStore, column: Column, capacity: int) -> Facts:
    """Returns the facts of a shard's steps, zeros behind the last."""
    found = Facts(
        action=np.zeros((1, capacity), np.int32),
        reward=np.zeros((1, capacity), np.float32),
        discount=np.zeros((1, capacity), np.float32),
        last=np.zeros((1, capacity), np.bool_),
        age=np.zeros((1, capacity), np.int32),
        complete=np.array([column.steps], np.int32),
    )
    for number, first in zip(column.number.tolist(), column.first, strict=True):
        episode = store[number]
        at = slice(int(first), int(first) + len(episode.actions))
        found.action[0, at] = episode.actions
        found.reward[0, at] = episode.rewards
        found.age[0, at] = np.arange(len(episode.actions))
        found.discount[0, at] = 1
        found.discount[0, at.stop - 1] = 0 if episode.terminated else 1
        found.last[0, at.stop - 1] = True
    return found


def frames(
    store: episodes.EpisodeStore, column: Column, capacity: int, dtype: Any
) -> Shaped[np.ndarray, "1 T ..."]:
    """Returns the frames of a shard's steps, zeros behind the last."""
    found = np.zeros((1, capacity, *store.header.observation_shape), dtype)
    for number, first in zip(column.number.tolist(), column.first, strict=True):
        episode = store[number]
        steps = len(episode.actions)
        found[0, int(first) : int(first) + steps] = episode.observations[:steps]
    return found


class StoredFrames:
    """Frames of the shards of this process, read from the store when they are needed.

    Args:
      store: stays memory-mapped; nothing is copied.
      columns: of the shards of this process.
    """

    def __init__(self, store: episodes.EpisodeStore, columns: Sequence[Column]):
        self._store, self._columns = store, tuple(columns)

    def gather(
        self, shard: Int[np.ndarray, " B"], stack: Any
    ) -> Shaped[np.ndarray, "B D ..."]:
        """Returns the stacked frames, zeros where none is present.

        Args:
          shard: of each stack, counted among those of this process.
          stack: `scaling.replay.steps.Stack` of NumPy arrays; what is present of a
            stack is of one episode.
        """
        header, slot, present = self._store.header, stack.slot, stack.present
        stacked = np.zeros(
            (*slot.shape, *header.observation_shape), header.dtype("observations")
        )
        for row, number in enumerate(shard.tolist()):
            column, newest = self._columns[number], slot[row, -1]
            at = int(np.searchsorted(column.first, newest, side="right")) - 1
            seen = self._store[int(column.number[at])].observations
            there = present[row]
            stacked[row, there] = seen[slot[row, there] - column.first[at]]
        return stacked
