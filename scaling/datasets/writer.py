"""Writing a store of episodes: chunk by chunk, to be gone on with, whole or not at all.

PATH.partial/ is where it grows: whole chunks, and a journal with a line for each. It
becomes PATH when the last episode is in, in one step, so a store that can be seen is
complete. A writer that finds PATH.partial keeps its chunks and goes on behind them.
Where chunks end follows from the episodes alone, so an interrupted store ends up with
the bytes of one that was not.
"""

import dataclasses
import fcntl
import hashlib
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import IO

import numpy as np

from scaling import npy, results
from scaling.datasets import journal, manifest, manifest_file, validity
from scaling.datasets.episodes import Episode

LOCK = "lock"


def partial(path: pathlib.Path) -> pathlib.Path:
    """Returns where the store `path` grows."""
    path = path.absolute()  # so that `.` has a name
    return path.with_name(f"{path.name}.partial")


class EpisodeWriter:
    """Writes one store. In a `with` block; `append` every episode, then `finish`.

    Leaving the block without `finish` keeps the chunks that are whole. Episodes are
    appended in one order: a writer that goes on expects the episode after `kept`.

    Attributes:
      kept: episodes that are in the store from before.
    """

    def __init__(self, path: pathlib.Path, header: manifest.Header):
        """Begins the store, or goes on with it.

        Raises:
          ValueError: if `path` exists, if another process writes it, or if what was
            begun there is of another header.
        """
        self._path, self._part = path, partial(path)
        _check_free(path)
        self._part.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self._part, path)
        try:
            recovered = journal.recover(self._part, header)
        except BaseException:
            self._lock.close()
            raise
        self._header, self._chunks, self._rows = recovered
        self.kept = len(self._rows)
        self._open: list[Episode] = []  # of the chunk that is not closed
        self._open_origins: list[manifest.Origin] = []
        self._open_bytes = 0

    def __enter__(self) -> "EpisodeWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keeps whole chunks, and nothing where there are none."""
        if self._part.exists() and not self._chunks:
            shutil.rmtree(self._part)
        self._lock.close()

    def append(self, episode: Episode, origin: manifest.Origin | None = None) -> None:
        """Adds a whole episode; its chunk is written when enough have come together.

        Args:
          episode: with observations [T + 1, ...], or [T, ...] where the last one is
            not known, actions [T], rewards [T] and how it ended; its arrays are
            copied.
          origin: where it was read; None for an episode that was just played.

        Raises:
          ValueError: naming the file and the episode, if anything is wrong with it.
        """
        number = len(self._rows) + len(self._open)
        origin = origin or manifest.Origin(-1, number)
        validity.check(episode, self._header, self._header.named(origin))
        self._open.append(_copied(episode))
        self._open_origins.append(origin)
        self._open_bytes += episode.observations.nbytes
        if self._open_bytes >= self._header.chunk_bytes:
            self._close_chunk()

    def finish(self) -> None:
        """Writes the manifest and makes the store visible.

        Raises:
          ValueError: if no episode was appended.
        """
        if self._open:
            self._close_chunk()
        if not self._rows:
            raise ValueError(
                f"There is no episode for {self._path}: the source has none that is "
                "whole."
            )
        index = manifest.index_of([row[:-1] for row in self._rows])
        header = self._settled_header()
        text = manifest_file.to_json(manifest.Manifest(header, self._chunks, index))
        results.write_atomically(self._part / manifest_file.NAME, text)
        _publish(self._part, self._path)

    def _settled_header(self) -> manifest.Header:
        """Returns the header with the kind of rewards decided by the largest."""
        protocol = self._header.protocol
        if protocol.reward_kind != "inferred":
            return self._header
        largest = max(row[-1] for row in self._rows)
        protocol = dataclasses.replace(
            protocol, reward_kind="raw" if largest > 1 else "clipped"
        )
        return dataclasses.replace(self._header, protocol=protocol)

    def _close_chunk(self) -> None:
        """Writes the files of a chunk and then its line in the journal."""
        number, episodes = len(self._chunks), self._open
        chunk = {
            field: _write_file(
                self._part / manifest.chunk_name(number, field),
                [getattr(episode, field) for episode in episodes],
                self._header.dtype(field),
            )
            for field in manifest.FIELDS
        }
        rows = list(_index_rows(number, episodes, self._open_origins))
        journal.add(self._part, chunk, rows)
        self._chunks.append(chunk)
        self._rows += rows
        self._open, self._open_origins, self._open_bytes = [], [], 0


def settle(path: pathlib.Path) -> None:
    """Gives the store `path` its name if only that was left to do."""
    part = partial(path)
    if (part / manifest_file.NAME).exists() and not path.exists():
        _publish(part, path)


def _check_free(path: pathlib.Path) -> None:
    settle(path)
    if path.exists():
        raise ValueError(f"{path} exists already; name another --out or delete it.")


def _publish(part: pathlib.Path, path: pathlib.Path) -> None:
    """Gives a finished store its name."""
    for name in (journal.NAME, LOCK):
        (part / name).unlink(missing_ok=True)
    part.replace(path)


def _locked(part: pathlib.Path, path: pathlib.Path) -> IO[str]:
    """Returns the lock of a store, held until it is closed."""
    lock = (part / LOCK).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise ValueError(
            f"{path} is being written by another process; wait for it, or name "
            "another --out."
        ) from None
    return lock


def _copied(episode: Episode) -> Episode:
    """Returns the episode in arrays of its own, whatever becomes of the caller's."""
    return Episode(
        np.array(episode.observations),
        np.array(episode.actions),
        np.array(episode.rewards),
        episode.terminated,
    )


def _index_rows(
    chunk: int, episodes: Sequence[Episode], origins: Sequence[manifest.Origin]
) -> Iterator[journal.Row]:
    """Yields each episode's row of the index, and its largest reward behind it."""
    observation_row = step_row = 0
    for episode, origin in zip(episodes, origins, strict=True):
        steps, seen = len(episode.actions), len(episode.observations)
        yield [
            chunk,
            observation_row,
            step_row,
            steps,
            float(episode.rewards.sum(dtype=np.float64)),
            bool(episode.terminated),
            seen > steps,
            *origin,
            float(np.abs(episode.rewards).max()),
        ]
        observation_row, step_row = observation_row + seen, step_row + steps


def _write_file(
    path: pathlib.Path, arrays: Sequence[np.ndarray], dtype: np.dtype
) -> manifest.ChunkFile:
    """Writes the arrays one after the other as one .npy; returns size and sha256."""
    shape = (sum(map(len, arrays)), *arrays[0].shape[1:])
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        for data in (npy.header_bytes(shape, dtype), *map(_bytes, arrays)):
            digest.update(data)
            size += file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return manifest.ChunkFile(size, digest.hexdigest())


def _bytes(array: np.ndarray) -> memoryview:
    return np.ascontiguousarray(array).view(np.uint8).reshape(-1).data
