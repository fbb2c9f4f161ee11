"""Runs tasks in this process, together with the other processes of a pod.

Every process makes the same runs in the same order; the first one decides which,
shows them and writes their rows.
"""

import hashlib
import json
from collections.abc import Sequence

from launch import errors, worker
from launch.executors.task import Event, Report, Task
from scaling import config, execution, hardware, peers


def join(processes: hardware.Processes, tasks: Sequence[Task]) -> peers.Alone:
    """Returns the group of processes once all have come; JAX is started for it.

    One process alone starts JAX later, where its runs are made.

    Raises:
      ValueError: if a process never comes, or was started with other flags.
    """
    if not hardware.several(processes):
        return peers.Alone()
    from scaling import sharding

    return sharding.start(processes, _fingerprint(tasks))


def _fingerprint(tasks: Sequence[Task]) -> str:
    """Returns a hash of what must be equal in all processes."""
    same = [
        [
            config.as_dict(task.settings),
            config.as_dict(task.cell),
            execution.as_dict(task.how),
        ]
        for task in tasks
    ]
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()


def execute(
    tasks: Sequence[Task], every: Sequence[Task], report: Report, group: peers.Alone
) -> None:
    """Makes the runs that the first process has left to make, largest first.

    A run that diverges or that is refused fails on all processes alike and the next
    begins. Anything else may have happened to this process alone: it is raised, and
    so ends the others.

    Args:
      tasks: left to make, as this process sees its directory.
      every: all tasks of the study.
      report: told what happens; that of the first process.
      group: of processes.
    """
    known = {task.run_id: task for task in every}
    ordered = sorted(tasks, key=lambda task: task.work, reverse=True)
    for run_id in group.share([task.run_id for task in ordered]):
        task = known[run_id]
        if group.first:
            _make(task, report)
        else:
            _make(task, lambda event: None)


def _make(task: Task, report: Report) -> None:
    report(Event("started", 0, task, {}))
    try:
        row = worker.start_real_runs()(
            task.settings,
            task.cell,
            task.directory,
            how=task.how,
            report=lambda detail: report(Event("progress", 0, task, detail)),
        )
    except Exception as error:
        if not errors.is_sentence(error) and not hasattr(error, "status"):
            raise
        detail = {"status": errors.row_status(error), "note": errors.one_line(error)}
        report(Event("failed", 0, task, detail))
    else:
        report(Event("finished", 0, task, {"row": row}))
