"""Runs tasks on this machine, in worker processes that share its cores."""

import itertools
import os
from collections.abc import Iterable

from launch import attempt
from launch.executors import pool
from launch.executors.process import WorkerProcess
from launch.executors.task import Mates, Report, Task, no_mates
from scaling import hardware

START = "launch.worker:start_real_runs"
GRACE_S = 60.0  # for a run to save: a checkpoint of large stores takes a while
RULES = attempt.Rules()


def parallel(asked: int | None, tasks: int, mesh: hardware.Mesh) -> int:
    """Returns how many workers make a number of tasks.

    Args:
      asked: by the user. None: one for each core; one in all where an accelerator or
        a mesh of several devices is used, since their memory and time would be
        fought over.
      tasks: how many there are.
      mesh: that each of them uses.

    Raises:
      ValueError: if so many cannot be.
    """
    if asked is None:
        devices = hardware.cpu_devices()
        one = devices is None or (mesh.size or devices) > 1
        asked = 1 if one else len(_cores())
    if asked < 1:
        raise ValueError(
            f"--parallel is the number of worker processes; got {asked}, use at "
            "least 1."
        )
    return max(1, min(asked, tasks))


def execute(
    tasks: Iterable[Task],
    report: Report,
    *,
    parallel: int,
    rules: attempt.Rules = RULES,
    grace_s: float = GRACE_S,
    start: str = START,
    mates: Mates = no_mates,
) -> list[Task]:
    """Runs every task and reports what happens, from the calling thread.

    Args:
      tasks: to run, in no particular order.
      report: called with each event. What it raises stops the workers and is raised
        on; so does KeyboardInterrupt, of which a second one ends them at once.
      parallel: number of workers.
      rules: when a run is worth another attempt.
      grace_s: seconds that the workers have to save when they are stopped.
      start: `module:function` that gives a worker what makes a run.
      mates: which runs a worker makes side by side.

    Returns:
      Tasks that can go on and were left: they were interrupted again and again.

    Raises:
      ValueError: if no worker can start, or the disk does not let them.
    """
    room = _Here(parallel, start)
    return pool.execute(tasks, report, room, parallel, rules, grace_s, mates)


class _Here:
    """Room for worker processes on this machine: there always is some."""

    def __init__(self, parallel: int, start: str):
        self._cores, self._start = _shares_of(_cores(), parallel), start

    def hire(self, place: int) -> WorkerProcess:
        """Returns a worker process on the cores of its place."""
        return WorkerProcess(self._cores[place], self._start)

    def wait(self, place: int) -> bool:
        """There is room at once."""
        return True

    def leave(self, place: int) -> None:
        """There is nothing to give up."""


def _cores() -> list[int]:
    """Returns the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _shares_of(cores: list[int], parallel: int) -> list[list[int]]:
    """Returns each worker's cores: equal shares, or one core for several workers."""
    if parallel >= len(cores):
        return [[cores[place % len(cores)]] for place in range(parallel)]
    ends = [place * len(cores) // parallel for place in range(parallel + 1)]
    return [cores[start:stop] for start, stop in itertools.pairwise(ends)]
