"""Weights & Biases: RUN/wandb/, kept on this machine unless WANDB_MODE says otherwise.

A run there has our run's name as its id, so one that goes on is the same run:

* Kept here (`offline`), it is written anew from the lines that still count.
* On the server, only what it lacks is sent. What it has is what the run does again,
  since a run that goes on repeats itself.

Trouble with the service ends the tracking of a run, never the run: `metrics.jsonl`
has everything.
"""

import os
import pathlib
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any

from scaling import config
from scaling.tracking import packages
from scaling.tracking.points import Point

_PROJECT = "scaling-unplugged"
_OFFLINE = ("offline", "dryrun")
_MOST_SECONDS = 60.0  # that the end of a run waits for the server


class WandB:
    """Keeps the points of a run at Weights & Biases.

    Args:
      directory: of the run.
      settings: of its study, which is the group.
      cell: of the run.
    """

    def __init__(
        self, directory: pathlib.Path, settings: config.Settings, cell: config.Cell
    ):
        self._directory, self._settings, self._cell = directory, settings, cell
        self._run: Any = None

    def begin(self, points: Sequence[Point], seconds: float) -> None:
        """Opens the run and hands over the points that it lacks.

        Raises:
          ValueError: if the package is not installed.
        """
        del seconds  # each point says its own
        packages.check(["wandb"])
        self._guarded(self._open)
        for point in points:
            self.add(point)

    def add(self, point: Point) -> None:
        """Hands over a point, if the run lacks it."""
        if self._run is not None and point.step >= self._run.starting_step:
            self._guarded(lambda: self._run.log(point.scalars, step=point.step))

    def close(self) -> None:
        """Ends the run there, sending or writing what is left."""
        if self._run is not None:
            self._guarded(self._run.finish)
            self._run = None

    def _open(self) -> None:
        service = packages.load("wandb")
        mode, name = os.environ.get("WANDB_MODE") or "offline", self._directory.name
        if mode in _OFFLINE:
            for old in self._directory.glob(f"wandb/offline-run-*-{name}"):
                shutil.rmtree(old, ignore_errors=True)
        self._run = service.init(
            project=os.environ.get("WANDB_PROJECT") or _PROJECT,
            group=config.study_hash(self._settings),
            id=name,
            name=name,
            dir=self._directory,
            config=config.as_dict(self._settings) | config.as_dict(self._cell),
            mode=mode,
            resume=None if mode in _OFFLINE else "allow",
            reinit="finish_previous",  # one that this process left open in trouble
            settings=service.Settings(
                console="off", silent=True, finish_timeout=_MOST_SECONDS
            ),
        )

    def _guarded(self, action: Callable[[], Any]) -> None:
        """Does something with the service; when that fails, the tracking ends."""
        try:
            action()
        except Exception as error:
            self._run = None
            reason = " ".join(str(error).split()) or type(error).__name__
            print(
                f"Weights & Biases gets no more of this run ({reason}); the run goes "
                "on, and metrics.jsonl has all of it.",
                file=sys.stderr,
            )
