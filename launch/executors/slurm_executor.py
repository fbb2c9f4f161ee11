"""Runs tasks as jobs of a Slurm cluster, one job for each run.

Jobs look after themselves (launch/executors/slurm_job.py). The sweep submits those that
are not in the queue yet and watches the study's directory and the queue: what a run
wrote says how far it is, and a job that is gone while its run has no row is submitted
again, by the rules of launch/attempt.py, unless somebody cancelled it.
"""

import dataclasses
import time
from collections.abc import Iterable

from launch import attempt, worker
from launch.executors import slurm_watch
from launch.executors.slurm_job import Job
from launch.executors.slurm_queue import Limits, Queue
from launch.executors.task import Report, Task


def execute(
    tasks: Iterable[Task],
    report: Report,
    *,
    parallel: int,
    rules: attempt.Rules,
    grace_s: float,
    queue: Queue,
    limits: Limits,
) -> list[Task]:
    """Runs every task and reports what happens, until all have ended.

    Args:
      tasks: to run; the job of the largest one is the first in the queue.
      report: called with each event; what it raises, and KeyboardInterrupt, ends the
        jobs and is raised on.
      parallel: runs at a time, at most.
      rules: when a run is worth another attempt.
      grace_s: seconds that a run has to save when its job is stopped.
      queue: of the study.
      limits: of each job.

    Returns:
      Tasks that can go on and were left, since their jobs were cancelled.

    Raises:
      ValueError: if Slurm refuses the jobs, or the disk does not let runs be made.
    """
    jobs = _Jobs(queue, limits, parallel, rules, grace_s)
    watch = slurm_watch.Watch(tasks, report, parallel, rules, queue)
    try:
        jobs.submit(watch.without_job())
        while watch.open:
            time.sleep(slurm_watch.LOOK_S)
            jobs.submit(watch.look())
    except BaseException:
        watch.stop(grace_s)
        raise
    return watch.left


def submit(
    tasks: Iterable[Task],
    report: Report,
    *,
    parallel: int,
    rules: attempt.Rules,
    grace_s: float,
    queue: Queue,
    limits: Limits,
) -> list[Task]:
    """Submits the jobs that are not in the queue yet, and says so.

    The arguments are those of `execute`; nothing is left for a later call.

    Raises:
      ValueError: if Slurm refuses them.
    """
    watch = slurm_watch.Watch(tasks, report, parallel, rules, queue)
    without = watch.without_job()
    _Jobs(queue, limits, parallel, rules, grace_s).submit(without)
    print(
        f"{len(without)} jobs submitted, {len(watch.open) - len(without)} were in the "
        "queue already; launch/status.py shows how far they are.",
        flush=True,
    )
    return []


class _Jobs:
    """Makes jobs of tasks."""

    def __init__(
        self,
        queue: Queue,
        limits: Limits,
        parallel: int,
        rules: attempt.Rules,
        grace_s: float,
    ):
        self._queue, self._limits, self._parallel = queue, limits, parallel
        self._rules, self._grace_s = rules, grace_s

    def submit(self, tasks: Iterable[Task]) -> None:
        """Submits a job for every task, that of the largest one first."""
        jobs = {
            task.run_id: Job(self._message(task), self._grace_s, self._limits.start)
            for task in sorted(tasks, key=lambda task: -task.work)
        }
        self._queue.submit(jobs, self._limits, self._parallel)

    def _message(self, task: Task) -> str:
        there = dataclasses.replace(task, directory=task.directory.absolute())
        return worker.message(worker.Order(there, self._rules, None))
