"""Timing: a first run apart, repeats, medians. Knows nothing of what is timed."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
_MOST_RUNS = 1000  # of one repeat
_FEWEST_REPEATS = 3  # however slow a run is, unless fewer were asked for


class Effort(NamedTuple):
    """How much time a measurement may take."""

    repeats: int  # figures that the median is taken of
    seconds: float  # of all repeats together; a few are made however long they take


class Timing(NamedTuple):
    """Seconds of the runs of one function."""

    first: float  # of the first run, which compiles
    seconds: tuple[float, ...]  # of a run, one mean for each repeat
    runs: int  # of a repeat

    @property
    def median(self) -> float:
        """Seconds of a run."""
        return statistics.median(self.seconds)

    @property
    def compiling(self) -> float:
        """Seconds of the first run beyond those of a later one."""
        return max(0.0, self.first - self.median)

    def as_values(self) -> dict[str, Any]:
        """Returns the timing as plain values; times in seconds."""
        return {
            "median_s": self.median,
            "fastest_s": min(self.seconds),
            "slowest_s": max(self.seconds),
            "repeats": len(self.seconds),
            "runs_of_a_repeat": self.runs,
            "compile_s": self.compiling,
        }


def returned(function: Callable[[], T]) -> tuple[T, float]:
    """Returns what the function returns, and the seconds until all of it is there."""
    import jax  # late, since `--help` must not load JAX

    started = time.perf_counter()
    value = jax.block_until_ready(function())
    return value, time.perf_counter() - started


def run_once(function: Callable[[], Any]) -> float:
    """Returns the seconds until everything that the function returns is there."""
    return returned(function)[1]


def time_one(function: Callable[[], Any], effort: Effort) -> Timing:
    """Returns the timing of a function."""
    return time_together([function], effort)[0]


def time_together(
    functions: Sequence[Callable[[], Any]], effort: Effort
) -> list[Timing]:
    """Returns the timings of functions that take turns.

    What disturbs the machine for a while disturbs all of them alike, so their ratios
    are steadier than each of them.

    Args:
      functions: of no arguments; the first run of each compiles.
      effort: of each function.
    """
    run_once(lambda: None)  # imports what it needs
    first = [run_once(function) for function in functions]
    again = [run_once(function) for function in functions]
    share = effort.seconds / effort.repeats
    runs = [max(1, min(_MOST_RUNS, int(share / seconds))) for seconds in again]
    found: list[list[float]] = [[] for _ in functions]
    until = time.perf_counter() + effort.seconds * len(functions)
    for repeat in range(effort.repeats):
        if repeat >= _FEWEST_REPEATS and time.perf_counter() > until:
            break
        for function, number, seconds in zip(functions, runs, found, strict=True):
            seconds.append(sum(run_once(function) for _ in range(number)) / number)
    return [Timing(*each) for each in zip(first, map(tuple, found), runs, strict=True)]


def ratio(above: Timing, below: Timing) -> float:
    """Returns the median of the ratios of two timings, turn by turn."""
    pairs = zip(above.seconds, below.seconds, strict=True)
    return statistics.median(a / b for a, b in pairs)


def load() -> float:
    """Returns how many processes have wanted a core in the last minute, on average."""
    return os.getloadavg()[0]
