"""What a run logs while it trains: lines of `metrics.jsonl`."""

import json
import math
from typing import Any, TextIO

import numpy as np

from scaling import accounting, iteration


class DivergedError(RuntimeError):
    """A loss is no number any more."""

    status = "diverged"  # of the run's row


def train_line(
    account: accounting.Account,
    call: int,
    summary: iteration.Summary,
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


def write(file: TextIO, line: dict[str, Any]) -> None:
    """Appends a line and makes it visible to readers."""
    file.write(json.dumps(line) + "\n")
    file.flush()


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


def progress(
    account: accounting.Account, call: int, line: dict[str, Any]
) -> dict[str, Any]:
    """Returns what a progress display is told."""
    return {
        "call": call,
        "calls": account.calls,
        "searched": line["searched"],
        "searched_total": account.searched,
        "frames": line["frames"],
        "updates": line["updates"],
        "episode_return": line["episode_return"],
    }
