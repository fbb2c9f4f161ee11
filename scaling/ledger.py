"""The ledger of a run: every attempt at it, in `attempts.jsonl` of its directory.

A line for the start of an attempt and one for its end, and between them one for each
checkpoint, so that a process that vanishes leaves how far it came:

    {"event": "started", "number": 2, "time": …, "host": …, "pid": …, …}
    {"event": "resumed", "number": 2, "call": 40, "skipped": []}
    {"event": "saved", "number": 2, "call": 80, "size": 4096, …}
    {"event": "ended", "number": 2, "time": …, "reason": "failed", "note": …, …}

Only the holder of the run's lease (`scaling.lease`) writes.
"""

import datetime
import importlib.metadata
import json
import os
import pathlib
import socket
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

NAME = "attempts.jsonl"
Reason = Literal["finished", "failed", "diverged", "interrupted", "gone"]


class Interrupted(RuntimeError):  # noqa: N818, it is no fault
    """A run was asked to stop, has saved, and can go on."""

    status = "interrupted"


class Attempt(NamedTuple):
    """One start of a run, and what became of it."""

    number: int  # from 1
    time: str  # of the start, ISO 8601 in UTC
    host: str
    pid: int
    code_version: str
    retry: bool = False  # a failed row was set aside for it: a new series begins
    resumed_from: int | None = None  # call of the checkpoint it went on from
    saved: int | None = None  # call of its newest checkpoint
    ended: str | None = None  # time
    reason: Reason | None = None  # None: it is at work, or gone without a word
    note: str | None = None


def attempts(run_directory: pathlib.Path) -> list[Attempt]:
    """Returns the attempts at a run, the first one first.

    What a writer was killed at, a last line without its end, is passed over.

    Raises:
      ValueError: if the file is damaged.
    """
    path = run_directory / NAME
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return []
    made: dict[int, Attempt] = {}
    for number, line in enumerate(text.split(b"\n")[:-1], 1):
        try:
            _take(made, json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"Line {number} of {path} is damaged; delete the file, which forgets "
                "the attempts at this run and nothing else, and use the same command "
                "again."
            ) from error
    return list(made.values())


def counts(run_directory: pathlib.Path) -> tuple[int, int]:
    """Returns the columns `attempts` and `resumes` of a run that is being made.

    A run that no command has started, and so has no ledger, is its first attempt.
    """
    made = attempts(run_directory)
    resumes = sum(attempt.resumed_from is not None for attempt in made)
    return max(1, len(made)), resumes


def fruitless(made: Sequence[Attempt]) -> int:
    """Returns how many of the last attempts failed, in a row, and got no further.

    An attempt got further if it saved a later call than all before it. One that was
    interrupted is no failure and no success: it is passed over.
    """
    furthest, row = -1, 0
    for attempt in made:
        saved = -1 if attempt.saved is None else attempt.saved
        if attempt.retry or saved > furthest or attempt.reason == "finished":
            row = 0
        if attempt.reason in ("failed", "gone") and saved <= furthest:
            row += 1
        furthest = max(furthest, saved)
    return row


def begin(run_directory: pathlib.Path, *, retry: bool = False) -> int:
    """Writes the start of an attempt by this process; returns its number.

    Args:
      run_directory: of the run.
      retry: whether the failures before it are forgiven.
    """
    number = len(attempts(run_directory)) + 1
    line = {
        "event": "started",
        "number": number,
        "time": _now(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "code_version": importlib.metadata.version("scaling-unplugged"),
        "retry": retry,
    }
    _append(run_directory, line)
    return number


def resumed(
    run_directory: pathlib.Path, number: int, call: int, skipped: Sequence[str]
) -> None:
    """Writes that an attempt went on from a checkpoint.

    Args:
      run_directory: of the run.
      number: of the attempt.
      call: the checkpoint's.
      skipped: a sentence for each newer checkpoint that could not be used.
    """
    line = {"event": "resumed", "number": number, "call": call}
    _append(run_directory, {**line, "skipped": list(skipped)})


def saved(run_directory: pathlib.Path, number: int, call: int, **cost: float) -> None:
    """Writes that an attempt has a checkpoint of `call`, and what that cost."""
    line = {"event": "saved", "number": number, "call": call}
    cost = {name: round(value, 4) for name, value in cost.items()}
    _append(run_directory, {**line, **cost})


def end(
    run_directory: pathlib.Path, number: int, reason: Reason, note: str | None = None
) -> None:
    """Writes the end of an attempt, with how far it came.

    Args:
      run_directory: of the run.
      number: of the attempt.
      reason: of its end.
      note: what a reader must know, one line.
    """
    attempt = attempts(run_directory)[number - 1]
    line = {
        "event": "ended",
        "number": number,
        "time": _now(),
        "reason": reason,
        "resumed_from": attempt.resumed_from,
        "saved": attempt.saved,
        "note": note,
    }
    _append(run_directory, line)


def bury(run_directory: pathlib.Path, reason: Reason, note: str) -> Attempt | None:
    """Writes the end of an attempt whose process is gone, and returns the attempt.

    The caller holds the lease: no attempt can be at work.

    Returns:
      The attempt that had no end, None if there was none.
    """
    made = attempts(run_directory)
    if not made or made[-1].reason is not None:
        return None
    end(run_directory, made[-1].number, reason, note)
    return made[-1]


def _take(made: dict[int, Attempt], line: dict[str, Any]) -> None:
    """Takes a line of the ledger into account."""
    event, number = line["event"], line["number"]
    if event == "started":
        names = ("number", "time", "host", "pid", "code_version", "retry")
        made[number] = Attempt(**{name: line[name] for name in names})
        return
    news = {
        "resumed": lambda: {"resumed_from": line["call"]},
        "saved": lambda: {"saved": line["call"]},
        "ended": lambda: {
            "ended": line["time"],
            "reason": line["reason"],
            "note": line["note"],
        },
    }
    made[number] = made[number]._replace(**news[event]())


def _append(run_directory: pathlib.Path, line: dict[str, Any]) -> None:
    """Appends a whole line or nothing, and has it on the disk."""
    run_directory.mkdir(parents=True, exist_ok=True)
    text = (json.dumps(line) + "\n").encode()
    with (run_directory / NAME).open("a+b", buffering=0) as file:
        size = _whole(file.fileno())
        try:
            file.truncate(size)
            written = file.write(text)
            if written != len(text):  # the disk is full: say so
                file.write(text[written:])
            os.fsync(file.fileno())
        except BaseException:
            file.truncate(size)
            raise


def _whole(file: int) -> int:
    """Returns the bytes of a file that are whole lines."""
    text = os.pread(file, os.fstat(file).st_size, 0)
    return text.rfind(b"\n") + 1


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
