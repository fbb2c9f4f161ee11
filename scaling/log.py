"""What a run logs while it trains: lines of `metrics.jsonl`."""

import contextlib
import json
import math
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from scaling import accounting, operations, peers, run_state


class DivergedError(RuntimeError):
    """A loss is no number any more."""

    status = "diverged"  # of the run's row


def train_line(
    account: accounting.Account,
    call: int,
    summary: run_state.Summary,
    seconds: float,
    costs: operations.Operations | None = None,
) -> dict[str, Any]:
    """Returns a line: counts so far, and means since the line before.

    Args:
      account: of the run.
      call: calls made, 1 or more.
      summary: of the calls since the line before.
      seconds: that the run has taken. Nothing else in a line depends on a clock.
      costs: of the run's networks; None: not known.
    """
    at = np.array([call])
    fresh, searched = int(account.fresh_before(at)[0]), _searched(account, call)
    updates = int(account.updates_before(at)[0])
    metrics, finished, total, compared = summary
    made, finished = int(metrics.number), int(finished)
    share = costs and costs.search_share(searched, updates * account.batch_size)
    means = {
        name: float(value) / made if made else None
        for name, value in metrics._asdict().items()
        if name != "number"
    }
    return {
        "kind": "train",
        "call": call,
        "frames": fresh * account.frames_per_step,
        "searched": searched,
        "updates": updates,
        "seconds": round(seconds, 3),
        "realised_fraction": (searched - fresh) / searched,
        "search_share_of_operations": share,
        "window_age": _window_age(account, call) if updates else None,
        "episodes": finished,
        "episode_return": float(total) / finished if finished else None,
        **means,
        **_drift(compared),
    }


def _drift(sums: Any) -> dict[str, Any]:
    """Returns the means over the searches that were compared with older ones."""
    number = int(sums.number) if sums else 0
    return {
        "policy_drift": float(sums.policy) / number if number else None,
        "value_drift": float(sums.value) / number if number else None,
        "compared_searches": number,
    }


def _window_age(account: accounting.Account, call: int) -> int:
    """Returns the age, in searched states, of the oldest search last learned from.

    It is how many states had been searched since, when the last call's updates were
    made; samples that are drawn uniformly are half as old in the mean.
    """
    last = call - 1
    oldest = int(account.schedule(last, call).window_from[0])
    return _searched(account, last) - _searched(account, oldest)


def _searched(account: accounting.Account, call: int) -> int:
    return int(account.searched_before(np.array([call]))[0])


@runtime_checkable
class Follower(Protocol):
    """Is told the lines of a journal."""

    def begin(self, lines: Sequence[dict[str, Any]], seconds: float) -> None:
        """Is told the lines that count, before any is added; earlier ones are void.

        Args:
          lines: of the run so far.
          seconds: that it has taken so far.
        """
        ...

    def add(self, line: dict[str, Any]) -> None:
        """Is told a line that was written."""
        ...

    def close(self) -> None:
        """Is told that no line will follow; may come before `begin`."""
        ...


class Journal:
    """The file `metrics.jsonl` of a run, which goes on where a checkpoint was.

    Args:
      path: of the file, written by the first process alone.
      followers: are told its lines, in that process.
    """

    def __init__(self, path: pathlib.Path, followers: Sequence[Follower] = ()):
        self._writes = peers.group().first
        self._path = path if self._writes else pathlib.Path(os.devnull)
        self._file = self._path.open("ab")
        self._followers = followers if self._writes else ()
        self._before, self._started = 0.0, time.monotonic()

    def go_on(self, position: dict[str, Any]) -> None:
        """Forgets the lines written after the checkpoint that had this position."""
        if self._writes:
            self._file.truncate(position.get("journal_bytes", 0))
            self._file.seek(0, os.SEEK_END)
        self._before = position.get("journal_seconds", 0.0)
        for follower in self._followers:
            follower.begin(_lines(self._path), self.seconds())

    def position(self) -> dict[str, Any]:
        """Returns what a checkpoint keeps of the journal."""
        return {
            "journal_bytes": self._file.tell(),
            "journal_seconds": round(self.seconds(), 3),
        }

    def seconds(self) -> float:
        """Returns the seconds that the run has taken, in all its attempts."""
        return self._before + time.monotonic() - self._started

    def write(self, line: dict[str, Any]) -> None:
        """Appends a line and makes it visible to readers."""
        self._file.write((json.dumps(line) + "\n").encode())
        self._file.flush()
        for follower in self._followers:
            follower.add(line)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        for follower in self._followers:
            follower.close()


def _lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """Returns the lines of a journal but for those that a crash of the disk tore."""
    found = []
    for line in path.read_bytes().splitlines():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def check(line: dict[str, Any]) -> None:
    """Ends a run whose loss is no number any more.

    Raises:
      DivergedError: naming the update and the terms of the loss.
    """
    loss = line["loss"]
    if loss is not None and not math.isfinite(loss):
        terms = {name: line[name] for name in line if name.endswith("loss")}
        raise DivergedError(
            f"The loss is no number any more at update {line['updates']} ({terms}); "
            "lower --learner.learning-rate or set --learner.gradient-clip."
        )


def progress(account: accounting.Account, call: int) -> dict[str, Any]:
    """Returns what a progress display is told."""
    at = np.array([call])
    return {
        "call": call,
        "calls": account.calls,
        "searched": int(account.searched_before(at)[0]),
        "searched_total": account.searched,
        "frames": int(account.fresh_before(at)[0]) * account.frames_per_step,
        "updates": int(account.updates_before(at)[0]),
    }
