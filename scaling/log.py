"""What a run logs while it trains: lines of `metrics.jsonl`."""

import json
import math
import os
import pathlib
import time
from typing import Any

import numpy as np

from scaling import accounting, peers, run_state


class DivergedError(RuntimeError):
    """A loss is no number any more."""

    status = "diverged"  # of the run's row


def train_line(
    account: accounting.Account,
    call: int,
    summary: run_state.Summary,
    seconds: float,
) -> dict[str, Any]:
    """Returns a line: counts so far, and means since the line before."""
    at = np.array([call])
    updates = int(account.updates_before(at)[0])
    metrics, finished, total = summary
    made, finished = int(metrics.number), int(finished)
    means = {
        name: float(value) / made if made else None
        for name, value in metrics._asdict().items()
        if name != "number"
    }
    return {
        "kind": "train",
        "call": call,
        "frames": int(account.fresh_before(at)[0]) * account.frames_per_step,
        "searched": int(account.searched_before(at)[0]),
        "updates": updates,
        "seconds": round(seconds, 3),
        "episodes": finished,
        "episode_return": float(total) / finished if finished else None,
        **means,
    }


class Journal:
    """The file `metrics.jsonl` of a run, which goes on where a checkpoint was.

    Args:
      path: of the file, written by the first process alone.
    """

    def __init__(self, path: pathlib.Path):
        self._writes = peers.group().first
        self._file = (path if self._writes else pathlib.Path(os.devnull)).open("ab")
        self._before, self._started = 0.0, time.monotonic()

    def go_on(self, position: dict[str, Any]) -> None:
        """Forgets the lines written after the checkpoint that had this position."""
        if self._writes:
            self._file.truncate(position.get("journal_bytes", 0))
            self._file.seek(0, os.SEEK_END)
        self._before = position.get("journal_seconds", 0.0)

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

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


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
