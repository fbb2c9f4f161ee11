"""A store of whole episodes, opened and read; `writer` makes one.

PATH/manifest.json            what is in it (docs/datasets.md)
PATH/observations-00000.npy   the observations of a chunk's episodes, one after another
PATH/actions-00000.npy        int32
PATH/rewards-00000.npy        float32, raw

Chunks are memory-mapped when an episode of theirs is asked for and a few are kept
open, so a store may be larger than memory.
"""

import functools
import hashlib
import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int, Int32, Shaped

from scaling import npy
from scaling.datasets import manifest, manifest_file

OPEN_CHUNKS = 8  # that stay mapped, unless more are asked for
ALL_CHUNKS = 4096  # for reading in any order; address space, not memory
BLOCK_BYTES = 2**20  # read at a time for a checksum


class Episode(NamedTuple):
    """One whole episode of T steps."""

    observations: Shaped[np.ndarray, "N ..."]  # N = T + 1, or T without the last one
    actions: Int32[np.ndarray, " T"]
    rewards: Float32[np.ndarray, " T"]  # of action t, raw unless the header says so
    terminated: bool  # at its end; else it was truncated

    @property
    def truncated(self) -> bool:
        """Whether it ended by a time limit or the like: bootstrap from its end."""
        return not self.terminated

    @property
    def has_last_observation(self) -> bool:
        """Whether the observation after the last action is known."""
        return len(self.observations) > len(self.actions)


class EpisodeStore:
    """The episodes of a store, or of a subset of it.

    Attributes:
      path: directory of the store.
      header: protocol, shapes, provenance.
      index: where the episodes lie and how they ended, in the store's order.
    """

    def __init__(
        self,
        path: pathlib.Path,
        header: manifest.Header,
        index: manifest.Index,
        mapped: int = OPEN_CHUNKS,
    ):
        """Binds what `open_store` has checked; nothing is read."""
        self.path, self.header, self.index = path, header, index
        self._mapped = mapped
        # Not of a method: a cycle would keep files open until it is collected.
        opened = functools.partial(_map_chunk, path, header)
        self._chunk = functools.lru_cache(mapped)(opened)

    def __len__(self) -> int:
        """Returns the number of episodes."""
        return len(self.index.length)

    def __getitem__(self, number: int) -> Episode:
        """Returns an episode as read-only views of its chunk.

        Raises:
          ValueError: if the chunk is no longer what the manifest says.
        """
        index = self.index
        seen, step = int(index.observation_row[number]), int(index.step_row[number])
        length = int(index.length[number])
        observed = length + int(index.last_observation[number])
        observations, actions, rewards = self._chunk(int(index.chunk[number]))
        return Episode(
            observations[seen : seen + observed],
            actions[step : step + length],
            rewards[step : step + length],
            bool(index.terminated[number]),
        )

    def __iter__(self) -> Iterator[Episode]:
        """Yields every episode in the store's order."""
        return (self[number] for number in range(len(self)))

    def shuffled(self, seed: int) -> Iterator[Episode]:
        """Yields every episode once, in an order that follows from `seed`."""
        return (self[int(number)] for number in self.order(seed))

    def order(self, seed: int) -> Int[np.ndarray, " E"]:
        """Returns the numbers of all episodes in an order drawn by `seed`."""
        return np.random.default_rng(seed).permutation(len(self))

    def subset(self, frames: int, seed: int) -> "EpisodeStore":
        """Returns whole episodes drawn by `seed` that hold at most `frames` frames.

        They are the longest beginning of `order(seed)` that fits, so with one seed
        the episodes of a smaller budget are among those of a larger one.

        Raises:
          ValueError: if the store has fewer frames, or the first episode has more.
        """
        order = self.order(seed)
        lengths = self.index.length[order] * self.header.protocol.frame_skip
        total, fits = int(lengths.sum()), int((lengths.cumsum() <= frames).sum())
        if frames > total:
            raise ValueError(
                f"{self.path} has {total:,} frames, but {frames:,} are asked for; "
                f"lower the budget to at most {total:,}."
            )
        if not fits:
            raise ValueError(
                f"No whole episode fits into {frames:,} frames: the first that seed "
                f"{seed} draws from {self.path} has {int(lengths[0]):,}; raise the "
                "budget."
            )
        chosen = manifest.select(self.index, np.sort(order[:fits]))
        return EpisodeStore(self.path, self.header, chosen, self._mapped)

    def statistics(self) -> manifest.Statistics:
        """Returns sizes and returns; `mean_return` is the behaviour score."""
        return manifest.statistics(self.index, self.header.protocol.frame_skip)


def open_store(path: pathlib.Path, mapped: int = OPEN_CHUNKS) -> EpisodeStore:
    """Returns the store in `path`; checks its manifest and the sizes of its files.

    Checksums take reading everything: `verify` compares them.

    Args:
      path: directory of the store.
      mapped: chunks that stay memory-mapped once they have been read.

    Raises:
      ValueError: if there is no finished store, or naming the damaged file and the
        episodes in it.
    """
    content = _read_manifest(path)
    _check_sizes(path, content)
    return EpisodeStore(path, content.header, content.index, mapped)


def verify(
    path: pathlib.Path, report: Callable[[float], None] = lambda share: None
) -> EpisodeStore:
    """Returns the store in `path` after reading every byte and every episode of it.

    Args:
      path: directory of the store.
      report: told the share of the chunks that has been read.

    Raises:
      ValueError: naming the file and the episodes whose checksum is wrong, or the
        episode that is not what the manifest says of it.
    """
    content = _read_manifest(path)
    _check_sizes(path, content)
    store = EpisodeStore(path, content.header, content.index)
    for number, chunk in enumerate(content.chunks):
        for field, file in chunk.items():
            name = path / manifest.chunk_name(number, field)
            if _sha256(name) != file.sha256:
                raise ValueError(
                    f"{name} does not have the sha256 of the manifest: "
                    f"{_episodes_of(content.index, number)} damaged; import the data "
                    "set again."
                )
        for episode in np.flatnonzero(content.index.chunk == number):
            _check_return(store, int(episode))
        report((number + 1) / len(content.chunks))
    return store


def _read_manifest(path: pathlib.Path) -> manifest.Manifest:
    file = path / manifest_file.NAME
    if not file.is_file():
        part = path.absolute().with_name(f"{path.absolute().name}.partial")
        hint = f"its import was interrupted ({part}); run the same command again"
        raise ValueError(
            f"{path} is not a store of episodes, since it has no {manifest_file.NAME}; "
            f"{hint if part.exists() else 'make one with launch/import_dataset.py'}."
        )
    return manifest_file.read(file)


def _map_chunk(
    store: pathlib.Path, header: manifest.Header, chunk: int
) -> tuple[np.ndarray, ...]:
    """Returns observations, actions and rewards of a chunk, memory-mapped."""
    arrays = []
    for field in manifest.FIELDS:
        path = store / manifest.chunk_name(chunk, field)
        array = npy.memory_map(path)
        shape, dtype = header.row_shape(field), header.dtype(field)
        if array.shape[1:] != shape or array.dtype != dtype:
            raise ValueError(
                f"{path} has rows of {array.dtype} {array.shape[1:]}, but the "
                f"manifest says {dtype} {shape}; import the data set again."
            )
        arrays.append(np.asarray(array))
    return tuple(arrays)


def _check_sizes(path: pathlib.Path, content: manifest.Manifest) -> None:
    for number, chunk in enumerate(content.chunks):
        for field, file in chunk.items():
            name = path / manifest.chunk_name(number, field)
            size = name.stat().st_size if name.is_file() else 0
            if size != file.bytes:
                raise ValueError(
                    f"{name} has {size:,} bytes instead of {file.bytes:,}: "
                    f"{_episodes_of(content.index, number)} damaged; import the data "
                    "set again."
                )


def _check_return(store: EpisodeStore, number: int) -> None:
    episode = store[number]
    total = float(episode.rewards.sum(dtype=np.float64))
    actions = episode.actions
    if total != store.index.returns[number]:
        raise ValueError(
            f"{store.path}, episode {number}, has the return {total}, but the manifest "
            f"says {store.index.returns[number]}; import the data set again."
        )
    if actions.min() < 0 or actions.max() >= store.header.protocol.num_actions:
        raise ValueError(
            f"{store.path}, episode {number}, has an action that is not in 0 to "
            f"{store.header.protocol.num_actions - 1}; import the data set again."
        )


def _episodes_of(index: manifest.Index, chunk: int) -> str:
    """Returns the episodes of a chunk, as the subject of a sentence."""
    numbers = np.flatnonzero(index.chunk == chunk)
    if len(numbers) == 1:
        return f"episode {numbers[0]} is"
    return f"episodes {numbers[0]} to {numbers[-1]} are"


def _sha256(path: pathlib.Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
