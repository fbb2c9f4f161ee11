"""What follows a run's journal and hands its points to the trackers."""

import pathlib
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from scaling import config
from scaling.tracking import tensorboard, wandb
from scaling.tracking.points import Point, Points


@runtime_checkable
class Tracker(Protocol):
    """Keeps the points of one run."""

    def begin(self, points: Sequence[Point], seconds: float) -> None:
        """Puts these points in the place of all that is kept of the run.

        Args:
          points: of all its lines so far.
          seconds: that it has taken so far.
        """
        ...

    def add(self, point: Point) -> None:
        """Keeps one point more."""
        ...

    def close(self) -> None:
        """Ends; may come before `begin`."""
        ...


class Follower:
    """Makes points of the lines of a journal (`scaling.log.Follower`)."""

    def __init__(self, tracker: Tracker):
        self._tracker, self._points = tracker, Points()

    def begin(self, lines: Sequence[dict[str, Any]], seconds: float) -> None:
        """Puts these lines in the place of all earlier ones."""
        self._points = Points()
        self._tracker.begin([self._points.of(line) for line in lines], seconds)

    def add(self, line: dict[str, Any]) -> None:
        """Takes one line more."""
        self._tracker.add(self._points.of(line))

    def close(self) -> None:
        """Ends the tracking."""
        self._tracker.close()


def of_run(
    names: Sequence[str],
    directory: pathlib.Path,
    settings: config.Settings,
    cell: config.Cell,
) -> list[Follower]:
    """Returns what follows the journal of a run; nothing is written before `begin`.

    Args:
      names: of trackers, as `packages.parse` gives them.
      directory: of the run.
      settings: of its study.
      cell: of the run.
    """
    make = {
        "tensorboard": lambda: tensorboard.TensorBoard(directory),
        "wandb": lambda: wandb.WandB(directory, settings, cell),
    }
    return [Follower(make[name]()) for name in names]
