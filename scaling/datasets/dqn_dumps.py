"""The dumps of Dopamine's ring buffer: their rows in the order of time, cut at ends.

What the files are and why they are read so stands in `dqn_replay`.
"""

import contextlib
import itertools
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from scaling import npy

STORED = ("observation", "action", "reward", "terminal")
DTYPES = {"observation": "u1", "action": "i4", "reward": "f4", "terminal": "u1"}
MOST_ROWS = 20_000_000  # of a dump, as its small arrays are loaded; real ones have 1e6
SIDE = 84  # pixels
MOST_STEPS = 27_000  # of an episode, Dopamine's `Runner.max_steps_per_episode`
PADDING = 3  # rows of zeros before an episode: Dopamine's stack of 4, less 1


class Dump(NamedTuple):
    """One dump of the ring."""

    number: int
    capacity: int  # rows of its arrays
    rows: int  # of them that were written
    cursor: int  # where the oldest row lies
    first: int | None  # steps of the run before the oldest row, None if not known


class Columns(NamedTuple):
    """The small arrays of a dump, oldest row first."""

    actions: Int[np.ndarray, " R"]
    rewards: Float[np.ndarray, " R"]
    terminal: Bool[np.ndarray, " R"]


class Piece(NamedTuple):
    """Rows up to an episode's end or to the end of a dump."""

    observations: UInt8[np.ndarray, "R 84 84"]
    actions: Int[np.ndarray, " R"]
    rewards: Float[np.ndarray, " R"]
    from_start: bool  # whether an episode is known to begin at its first row
    to_end: bool  # whether the episode ends at its last row


def numbers(folder: pathlib.Path) -> list[int]:
    """Returns the numbers of the dumps in `folder`, in order."""
    names = (path.name for path in folder.glob("$store$_*_ckpt.*.gz"))
    found = (re.fullmatch(r"\$store\$_\w+_ckpt\.(\d{1,9})\.gz", name) for name in names)
    return sorted({int(match[1]) for match in found if match})


def array_path(folder: pathlib.Path, array: str, number: int) -> pathlib.Path:
    """Returns the file of one array of a dump."""
    return folder / f"$store$_{array}_ckpt.{number}.gz"


def dump(folder: pathlib.Path, number: int) -> Dump:
    """Returns what the headers of a dump's files and its add_count say.

    Raises:
      ValueError: if a file is missing, damaged or of another shape or type.
    """
    missing = [a for a in STORED if not array_path(folder, a, number).is_file()]
    if missing:
        raise ValueError(
            f"{array_path(folder, missing[0], number)} is missing; dump {number} needs "
            f"{', '.join(STORED)}: fetch it, or take the dump's other files away."
        )
    capacities = {array: _capacity(folder, array, number) for array in STORED}
    capacity = capacities["observation"]
    if len(set(capacities.values())) > 1 or not 0 < capacity <= MOST_ROWS:
        raise ValueError(
            f"The arrays of dump {number} in {folder} have {capacities} rows; they "
            f"must have the same number, from 1 to {MOST_ROWS:,}."
        )
    counter = folder / f"add_count_ckpt.{number}.gz"
    if not counter.is_file():
        return Dump(number, capacity, capacity, 0, None)
    added = npy.gzipped_integer(counter)
    rows = min(added, capacity)
    cursor = added % capacity if added >= capacity else 0
    return Dump(number, capacity, rows, cursor, added - rows)


def _capacity(folder: pathlib.Path, array: str, number: int) -> int:
    path = array_path(folder, array, number)
    with contextlib.closing(npy.GzippedRows(path)) as file:
        shape, dtype = file.header
    rest = (SIDE,) * 2 if array == "observation" else ()
    if shape[1:] != rest or dtype != np.dtype(DTYPES[array]):
        raise ValueError(
            f"{path} holds {dtype} of shape {shape}, but DQN Replay's {array} is "
            f"{np.dtype(DTYPES[array])} of shape {('C', *rest)}."
        )
    return shape[0]


def follows(dump: Dump, before: Dump | None) -> bool:
    """Returns whether a dump's oldest row is the step after another's newest."""
    if before is None or before.first is None or dump.first is None:
        return False
    return dump.first == before.first + before.rows


def pieces(folder: pathlib.Path, dump: Dump) -> Iterator[tuple[Piece, float]]:
    """Yields the pieces of a dump, oldest first, and the share of it that is read.

    Raises:
      ValueError: naming the file that is damaged or has no end of an episode.
    """
    actions, rewards, terminal = _columns(folder, dump)
    ends = np.flatnonzero(terminal) + 1
    bounds = [0, *ends.tolist()]
    if bounds[-1] != dump.rows:
        bounds.append(dump.rows)
    frames = _Frames(array_path(folder, "observation", dump.number), dump)
    for start, stop in itertools.pairwise(bounds):
        check_length(folder, dump, stop - start)
        piece = Piece(
            observations=frames.read(stop - start),
            actions=actions[start:stop],
            rewards=rewards[start:stop],
            from_start=start > 0 or (dump.number == 0 and not dump.first),
            to_end=bool(terminal[stop - 1]),
        )
        yield piece, stop / dump.rows
    frames.close()


def _columns(folder: pathlib.Path, dump: Dump) -> Columns:
    """Returns actions, rewards and ends, oldest first."""
    arrays = []
    for array in ("action", "reward", "terminal"):
        path = array_path(folder, array, dump.number)
        with contextlib.closing(npy.GzippedRows(path)) as file:
            arrays.append(np.roll(file.read(dump.capacity), -dump.cursor)[: dump.rows])
    actions, rewards, terminal = arrays
    if terminal.size and terminal.max() > 1:
        path = array_path(folder, "terminal", dump.number)
        raise ValueError(
            f"{path} holds {terminal.max()}, but only 0 and 1 have meaning."
        )
    return Columns(actions, rewards, terminal == 1)


def check_length(folder: pathlib.Path, dump: Dump, rows: int) -> None:
    """Refuses so many rows as no episode has, before they are loaded or joined.

    Raises:
      ValueError: naming the file that should have had an end among them.
    """
    if rows > MOST_STEPS + PADDING:
        raise ValueError(
            f"{array_path(folder, 'terminal', dump.number)} has {rows:,} rows without "
            f"an end, but no episode has more than {MOST_STEPS:,} steps."
        )


class _Frames:
    """The observations of a dump, oldest first.

    The file is read from the cursor to its end and, if the cursor is not at 0, once
    more from its beginning.
    """

    def __init__(self, path: pathlib.Path, dump: Dump):
        self._path, self._cursor = path, dump.cursor
        self._file = npy.GzippedRows(path)
        self._file.skip(dump.cursor)

    def read(self, rows: int) -> UInt8[np.ndarray, "R 84 84"]:
        """Returns the next rows."""
        now = min(rows, self._file.left)
        parts = [self._file.read(now)]
        if now < rows:
            self._file.close()
            self._file = npy.GzippedRows(self._path)
            parts.append(self._file.read(rows - now))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def close(self) -> None:
        """Reads what is left, so that the checksum is compared, and closes."""
        if not self._cursor:  # else the end was read before
            self._file.skip(self._file.left)
        self._file.close()


def joined(carried: Piece | None, piece: Piece) -> Piece:
    """Returns a piece behind the one that the dump before it ended with."""
    if carried is None:
        return piece
    return Piece(
        np.concatenate([carried.observations, piece.observations]),
        np.concatenate([carried.actions, piece.actions]),
        np.concatenate([carried.rewards, piece.rewards]),
        carried.from_start,
        piece.to_end,
    )
