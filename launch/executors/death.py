"""How a worker process ended that should not have, in one line."""

import pathlib
import signal
from typing import NamedTuple

from scaling import ledger, peers


class Death(NamedTuple):
    """How a process ended that should not have."""

    reason: ledger.Reason  # interrupted: it can go on; gone: it cannot say
    note: str  # in one line


def of(status: int, written: bytes) -> Death:
    """Returns what an exit status and the last line of what was written say.

    Args:
      status: negative if the process was killed, by the signal of that number.
      written: by the process, at its end.
    """
    how = f"ended with exit status {status}"
    if status < 0:
        how = f"was killed by {signal.Signals(-status).name}"
    last = last_line(written)
    note = f"The worker {how}" + (f"; its last line: {last}" if last else ".")
    can_go_on = status in (peers.RESUME_STATUS, -signal.SIGTERM)
    return Death("interrupted" if can_go_on else "gone", note)


def last_line(text: bytes) -> str:
    """Returns the last line that is not empty, cut to what a row's note may be."""
    lines = text.decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")[:500]


def log_of(run_directory: pathlib.Path) -> bytes:
    """Returns the log of a run, nothing if there is none."""
    try:
        return (run_directory / "log.txt").read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return b""
