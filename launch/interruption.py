"""How a command ends before its time: Ctrl-C, SIGTERM, and the time to save."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from scaling import peers

INTERRUPTED = 130  # what shells give for Ctrl-C
SAVING = "Saving what is at work; Ctrl-C again ends at once."


class Terminated(KeyboardInterrupt):
    """SIGTERM, or a platform's notice that the machine goes away."""


def status_of(interrupt: KeyboardInterrupt) -> int:
    """Returns the exit status: 75 after SIGTERM, which means "resume me"."""
    is_notice = isinstance(interrupt, Terminated)
    return peers.RESUME_STATUS if is_notice else INTERRUPTED


def on_sigterm(signum: int, frame: FrameType | None) -> NoReturn:
    """Ends a command as Ctrl-C does; platforms may say it more than once."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


class Flag:
    """Whether, and by which signal, a run in this process was asked to stop."""

    def __init__(self) -> None:
        self.number: int | None = None

    def __call__(self) -> bool:
        """Tells whether the run is to save and end."""
        return self.number is not None

    def set(self, number: int = signal.SIGTERM, frame: FrameType | None = None) -> None:
        """Asks the run to stop."""
        if self.number is None:
            self.number = number

    def error(self) -> KeyboardInterrupt:
        """Returns what the command ends with."""
        is_ctrl_c = self.number == signal.SIGINT
        return KeyboardInterrupt() if is_ctrl_c else Terminated()


@contextlib.contextmanager
def deferred(grace_s: float) -> Iterator[Flag]:
    """Signals set a flag as long as the context lasts, so that a run can save.

    A second Ctrl-C is raised. A run that has not saved in time is ended.

    Args:
      grace_s: seconds that it has.
    """
    flag, timer = Flag(), None

    def take(number: int, frame: FrameType | None) -> None:
        nonlocal timer
        if flag() and number == signal.SIGINT:
            raise KeyboardInterrupt
        if timer is None:
            flag.set(number)
            print(f"\n{SAVING}", file=sys.stderr, flush=True)
            timer = threading.Timer(grace_s, _end, [grace_s, flag])
            timer.daemon = True
            timer.start()

    before = {
        number: signal.signal(number, take)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield flag
    finally:
        if timer is not None:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(grace_s: float, flag: Flag) -> NoReturn:
    print(
        f"Error: the run has not saved within {grace_s:g} s (--grace); it ends, and "
        "the same command goes on from the checkpoint before.",
        file=sys.stderr,
        flush=True,
    )
    os._exit(status_of(flag.error()))
