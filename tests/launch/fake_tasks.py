"""Tasks for the executors' tests, whose runs are fakes."""

import pathlib
from typing import Any

from launch.executors.task import Task
from scaling import config, execution

SETTINGS = config.Settings(env="jumanji:PacMan-v1")


def task_of(
    directory: pathlib.Path,
    frames: int = 100,
    seed: int = 0,
    *,
    fraction: float = 0.0,
    settings: config.Settings = SETTINGS,
    **known: Any,
) -> Task:
    """Returns the task of a run below a study's directory.

    Args:
      directory: of the study.
      frames: of the cell; its work too, unless that is known to be other.
      seed: of the cell; it says what a fake run does.
      fraction: of the cell.
      settings: of the study.
      known: further fields of the task.
    """
    cell = config.Cell(frames=frames, fraction=fraction, seed=seed)
    run_id = config.run_id(settings, cell)
    usual = {"how": execution.DEFAULT, "group": "g", "work": frames}
    return Task(
        run_id=run_id,
        settings=settings,
        cell=cell,
        directory=directory / "runs" / run_id,
        **{**usual, **known},
    )
