"""Runs tasks in this process, together with the other processes of a pod.

Every process makes the same runs in the same order; the first one decides which,
shows them and writes their rows.
"""

import hashlib
import json
from collections.abc import Sequence

from launch import attempt, errors, interruption, worker
from launch.executors import backlog
from launch.executors.task import Event, Report, Task
from scaling import config, execution, hardware, ledger, peers


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
    tasks: Sequence[Task],
    every: Sequence[Task],
    report: Report,
    group: peers.Alone,
    *,
    rules: attempt.Rules,
    stop: interruption.Flag,
) -> None:
    """Makes the runs that the first process has left to make, largest first.

    A run that diverges or that is refused fails on all processes alike and the next
    begins. Anything else may have happened to this process alone: it is raised, and
    so ends the others. Runs that another sweep makes come last.

    Args:
      tasks: left to make, as this process sees its directory.
      every: all tasks of the study.
      report: told what happens; that of the first process.
      group: of processes.
      rules: when a run is worth another attempt.
      stop: tells a run to save and end.

    Raises:
      KeyboardInterrupt: after it was stopped, when all have saved.
    """
    known = {task.run_id: task for task in every}
    waiting = backlog.Backlog(tasks, rules.max_attempts)
    runner: attempt.Runner | None = None
    while True:
        begun = _begin_next(waiting, rules, report, group, stop)
        run_id = group.share(begun.task.run_id if begun else None)
        if run_id is None:
            break
        runner = runner or worker.start_real_runs()
        try:
            _run(begun, known[run_id], runner, report, stop)
        except ledger.Interrupted:
            group.leave()
            raise stop.error() from None
    if stop():
        group.leave()
        raise stop.error()


def _begin_next(
    waiting: backlog.Backlog,
    rules: attempt.Rules,
    report: Report,
    group: peers.Alone,
    stop: interruption.Flag,
) -> attempt.Attempt | None:
    """Returns the next run begun, on the first process; None: there is none."""

    def idle() -> None:
        group.mark("waiting for runs of another sweep")
        if stop():
            waiting.close()

    while group.first and not stop() and (task := waiting.next(0, idle)) is not None:
        seen = waiting.look(task)
        if seen is not None and not seen.stale:
            begun: attempt.Attempt | attempt.Outcome
            begun = {"event": "taken", "by": seen.by}
        else:
            begun = attempt.begin(task, rules, seen.text if seen else None)
        waiting.done()
        if isinstance(begun, attempt.Attempt):
            report(Event("started", 0, task, {}))
            return begun
        if begun["event"] != "taken" or waiting.leave(task, begun["by"]):
            _tell(report, task, begun)
    return None


def _run(
    begun: attempt.Attempt | None,
    task: Task,
    runner: attempt.Runner,
    report: Report,
    stop: interruption.Flag,
) -> None:
    """Makes a run; the first process keeps its ledger and tells of it.

    Raises:
      Interrupted: if it was stopped.
      Exception: what may have happened to this process alone.
    """
    if begun is None:
        _follow(task, runner, stop)
        return
    outcome = begun.run(
        runner, lambda detail: report(Event("progress", 0, task, detail)), stop
    )
    _tell(report, task, outcome)
    if begun.error is not None and outcome["event"] in ("again", "interrupted"):
        raise begun.error
    if begun.error is not None and not _is_everywhere(begun.error):
        raise begun.error


def _follow(task: Task, runner: attempt.Runner, stop: interruption.Flag) -> None:
    """Makes a run beside the first process."""
    try:
        runner(
            task.settings,
            task.cell,
            task.directory,
            how=task.how,
            report=lambda detail: None,
            stop=stop,
        )
    except Exception as error:
        if not _is_everywhere(error):
            raise


def _is_everywhere(error: Exception) -> bool:
    """Tells whether all processes meet an error alike, and go on with the next run."""
    return errors.is_sentence(error) or errors.row_status(error) == "diverged"


def _tell(report: Report, task: Task, outcome: attempt.Outcome) -> None:
    if outcome["event"] == "stopped":
        raise ValueError(outcome["note"])
    report(Event(outcome["event"], 0, task, outcome))
