"""A Slurm job: one run, saved and queued again when the job has to give way.

Slurm starts it through submitit, from a pickle of a `Job` in DIR/slurm/. SIGUSR2 comes
some time before the time limit (and from Slurm's preemption, where it is set so): the
run saves, and submitit puts the job back into the queue. SIGTERM comes from `scancel`,
and from a preemption or requeue of Slurm's own: the run saves, and Slurm knows what is
next. Either way the run goes on from its checkpoint.
"""

import signal
import sys
from types import FrameType
from typing import NoReturn

from submitit import helpers

from launch import attempt, worker
from launch.executors import local
from launch.executors.task import Event
from scaling import peers

_AGAIN = signal.SIGUSR2  # submitit's, unless SUBMITIT_PREEMPT_SIGNAL is set


def start_real_runs() -> attempt.Runner:
    """Returns `scaling.run.run`, for a worker to which Slurm sends its signals too."""
    signal.signal(_AGAIN, signal.SIG_IGN)  # the job decides what it means
    return worker.start_real_runs()


class Stopped(KeyboardInterrupt):
    """The job has to end; its run has saved when this has passed through."""

    def __init__(self, number: int):
        super().__init__()
        self.number = number


class _TakenError(Exception):
    """Another sweep makes the run: this job is not needed."""


class Job:
    """What a Slurm job does; pickled, and pickled again when it is requeued.

    Args:
      message: of the order (launch/worker.py).
      grace_s: seconds that the run has to save.
      start: `module:function` that gives the worker what makes a run.
    """

    def __init__(self, message: str, grace_s: float, start: str):
        self._message, self._grace_s, self._start = message, grace_s, start
        self._in_vain = 0  # times in a row that it gave way without getting further
        self._got_on = False

    def __call__(self) -> str:
        """Makes the run; returns what came of it."""
        requeue = signal.getsignal(_AGAIN)  # submitit's
        for number in (_AGAIN, signal.SIGTERM):
            signal.signal(number, _stop)
        order = worker.order_of(self._message)
        try:
            return self._make(order)
        except Stopped as stopped:
            if stopped.number != _AGAIN or not self._may_go_on(order.rules):
                sys.exit(peers.RESUME_STATUS)
            assert callable(requeue)
            requeue(_AGAIN, None)
            sys.exit(peers.RESUME_STATUS)

    def _make(self, order: worker.Order) -> str:
        """Makes attempts in a process beside this one, until the run has its row."""
        last = ""

        def report(event: Event) -> None:
            nonlocal last
            if event.kind == "progress":
                return
            last = event.kind
            print(f"{event.task.run_id}: {last}", event.detail.get("note") or "")
            if last == "interrupted":
                self._got_on |= event.detail["got_on"]
            if last == "taken":
                raise _TakenError

        try:
            local.execute(
                [order.task],
                report,
                parallel=1,
                rules=order.rules,
                grace_s=self._grace_s,
                start=self._start,
            )
        except _TakenError:
            return "taken"
        return last

    def _may_go_on(self, rules: attempt.Rules) -> bool:
        """Tells whether the job is worth another turn, and remembers this one."""
        for number in (_AGAIN, signal.SIGTERM):  # Slurm's, while it is requeued
            signal.signal(number, signal.SIG_IGN)
        self._in_vain = 0 if self._got_on else self._in_vain + 1
        self._got_on = False
        return self._in_vain < rules.max_attempts

    def checkpoint(self) -> helpers.DelayedSubmission:
        """Returns what is to be queued again; called by submitit."""
        return helpers.DelayedSubmission(self)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    for each in (_AGAIN, signal.SIGTERM):  # once is enough; the run is saving
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)
