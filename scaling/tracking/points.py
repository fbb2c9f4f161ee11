"""What is tracked of a line of `metrics.jsonl`: its numbers, named KIND/NAME.

The step of a point is the number of searched states. Searches are what a run of any
fraction spends: updates keep step with them, and fraction 1 has no frames. So where
curves have one step, their runs have computed alike.
"""

import math
from typing import Any, NamedTuple


class Point(NamedTuple):
    """What is tracked of one line."""

    step: int  # searched states
    seconds: float  # that the run had taken, in all its attempts
    scalars: dict[str, float]


class Points:
    """Makes the points of a run's lines, which are given in order."""

    def __init__(self):
        self._before: dict[str, Any] | None = None  # the last line of training

    def of(self, line: dict[str, Any]) -> Point:
        """Returns the point of a line; one of training has its rates too."""
        numbers = {name: value for name, value in line.items() if _is_number(value)}
        if "seconds" in line:
            numbers |= _rates(self._before, line)
            self._before = line
        seconds = 0.0 if self._before is None else self._before["seconds"]
        scalars = {f"{line['kind']}/{name}": float(n) for name, n in numbers.items()}
        return Point(line["searched"], seconds, scalars)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _rates(before: dict[str, Any] | None, line: dict[str, Any]) -> dict[str, float]:
    """Returns searched states and updates a second since the line before.

    The first line has none: its seconds are for the most part those of compiling.
    Every other one has both, NaN if the clock stood, so that which numbers a line has
    does not depend on a clock.
    """
    if before is None:
        return {}
    seconds = line["seconds"] - before["seconds"]
    return {
        f"{name}_per_second": (line[name] - before[name]) / seconds
        if seconds > 0
        else math.nan
        for name in ("searched", "updates")
    }
