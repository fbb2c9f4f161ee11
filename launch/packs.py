"""Packing: which runs of a sweep are made side by side, as one program.

How that is done is in `scaling/packing.py`; a run and its row are the same either way.
"""

import dataclasses
from collections.abc import Sequence

from launch.executors.task import Mates, Task
from scaling import config, hardware, mixing
from scaling.envs import registry
from scaling.tracking import packages


def seeds_of_a_cell(task: Task, other: Task) -> bool:
    """Tells whether two runs are seeds of one cell that can be one program."""
    if _why_apart(task.settings, task.cell) is not None:
        return False
    return _without_seed(task.cell) == _without_seed(other.cell)


def _without_seed(cell: config.Cell) -> config.Cell:
    return dataclasses.replace(cell, seed=0)


def _why_apart(settings: config.Settings, cell: config.Cell) -> str | None:
    """Returns why the seeds of a cell are made one by one; None: they need not be."""
    if not registry.is_device(settings.env):
        return f"{settings.env} is stepped on the host"
    if cell.fraction == 0:
        return None
    if cell.fraction == 1 or mixing.uses(settings, "demonstrations"):
        return "each run would have its own copy of the data on the device"
    if mixing.uses(settings, "best"):
        return "the archive of the best episodes would be copied whole in every call"
    return None


def warnings(settings: config.Settings, cells: Sequence[config.Cell]) -> list[str]:
    """Returns a sentence for each reason why some seeds are made one by one."""
    apart: dict[str, dict[float, None]] = {}
    for cell in cells:
        if (reason := _why_apart(settings, cell)) is not None:
            apart.setdefault(reason, {})[cell.fraction] = None
    return [
        f"the seeds of fraction {', '.join(f'{f:.6g}' for f in fractions)} run apart "
        f"in spite of --pack-seeds: {reason}."
        for reason, fractions in apart.items()
    ]


def groups(tasks: Sequence[Task], mates: Mates) -> list[list[Task]]:
    """Returns the tasks that are made side by side, those by themselves among them."""
    found: list[list[Task]] = []
    for task in tasks:
        own = next((each for each in found if mates(each[0], task)), None)
        if own is None:
            found.append([task])
        else:
            own.append(task)
    return found


def check(
    executor: str, mesh: hardware.Mesh, processes: hardware.Processes, track: str
) -> None:
    """Refuses to pack where it cannot be done.

    Args:
      executor: of the sweep.
      mesh: of its runs.
      processes: of each of them.
      track: where their curves go besides.

    Raises:
      ValueError: naming the flag.
    """
    if executor != "local":
        raise ValueError(
            "--pack-seeds makes runs in one worker process of this machine, and this "
            f"is --executor {executor}, which gives each run its own; leave it out."
        )
    if hardware.several(processes):
        raise ValueError(
            "--pack-seeds makes runs in one worker process, and here a run may have "
            "several (--coordinator, a Slurm step, a Cloud TPU); leave it out."
        )
    if mesh.model > 1:
        raise ValueError(
            f"--pack-seeds has each run on one device, and --mesh.model {mesh.model} "
            "spreads its parameters over several; leave out one of them."
        )
    if "wandb" in packages.parse(track):
        raise ValueError(
            f"--track {track} has Weights & Biases, which follows one run of a process "
            "at a time, and --pack-seeds makes several; leave out one of them."
        )
