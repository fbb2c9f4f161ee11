"""How much of a run's time its searches take.

Searches and updates of a run are parts of one program, or are given to the device
without waiting for either, so no clock is between them. Now and then the searches of a
call are therefore made by themselves, and waited for; the run's state stays as it is.
"""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from scaling import accounting, config, loops, run_state, selection

_REPEATS = 3  # of which the fastest counts
Line = dict[str, Any]


class Mark(NamedTuple):
    """Where a run was when its calls began to be counted."""

    call: int
    at: float  # of the monotonic clock


def mark(call: int) -> Mark:
    """Returns the mark of a run that is at `call` now."""
    return Mark(call, time.monotonic())


def is_due(
    since: Mark,
    call: int,
    settings: config.Settings,
    account: accounting.Account,
    every_s: float,
) -> bool:
    """Returns whether a run should time a search now.

    Args:
      since: the last mark.
      call: that the run is at.
      settings: of the run.
      account: of the run.
      every_s: seconds between timings.
    """
    if not since.call < call < account.calls:
        return False
    if time.monotonic() - since.at < every_s:
        return False
    return selection.needs(settings, account.environments > 0).search


def timed(
    loop: loops.Loop,
    state: Any,
    call: int,
    account: accounting.Account,
    clock: Callable[[], float] = time.monotonic,
) -> float:
    """Returns the seconds that the searches of a call take by themselves, at best.

    Args:
      loop: of the run.
      state: before the call; it stays as it is.
      call: one that is left to make.
      account: of the run.
      clock: in seconds.
    """
    search = of_call(loop, state, call, account)

    def once() -> float:
        before = clock()
        jax.block_until_ready(search())
        return clock() - before

    once()  # compiles, the first time
    return min(once() for _ in range(_REPEATS))


def of_call(
    loop: loops.Loop, state: Any, call: int, account: accounting.Account
) -> Callable[[], Any]:
    """Returns the function that makes the searches of a call by themselves."""
    what = run_state.Call(*(f[0] for f in account.schedule(call, call + 1)))
    return functools.partial(loop.search, state, what, account.updates)


def line(
    account: accounting.Account, call: int, since: Mark, now: float, search_s: float
) -> Line:
    """Returns a line of the log.

    Args:
      account: of the run.
      call: calls made, more than at the mark.
      since: the last mark.
      now: by the same clock.
      search_s: seconds of a call's searches by themselves.
    """
    searched = int(account.searched_before(np.array([call]))[0])
    share = search_s * (call - since.call) / (now - since.at)
    return {
        "kind": "timing",
        "call": call,
        "searched": searched,
        "search_seconds": round(search_s, 6),
        "search_share_of_time": round(share, 4),
    }
