"""Runs tasks on this machine, in worker processes that share its cores.

One thread stands for each worker process: it hands over a task, passes on what
the worker says, and replaces the process when it dies. What died or was interrupted
by itself is taken up again, by the rules of launch/attempt.py. A run that another
sweep makes is left to it, and looked after: it may vanish.
"""

import itertools
import os
import queue
import threading
import time
from collections.abc import Iterable

from launch import attempt, worker
from launch.executors import backlog
from launch.executors.process import WorkerProcess
from launch.executors.task import Event, Report, Task
from scaling import hardware

START = "launch.worker:start_real_runs"
GRACE_S = 60.0  # for a run to save: a checkpoint of large stores takes a while
RULES = attempt.Rules()
_STARTS = 3  # in a row that may fail


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

    Returns:
      Tasks that can go on and were left: they were interrupted again and again.

    Raises:
      ValueError: if no worker can start, or the disk does not let them.
    """
    pool = _Pool(tasks, parallel, rules, start)
    try:
        for event in pool.events():
            report(event)
    finally:
        pool.stop(report, grace_s)
    return pool.backlog.left


class _Pool:
    """The worker processes of one call of `execute`."""

    def __init__(
        self, tasks: Iterable[Task], parallel: int, rules: attempt.Rules, start: str
    ):
        self.backlog = backlog.Backlog(tasks, rules.max_attempts)
        self._rules, self._start, self._failed_starts = rules, start, 0
        self._events: queue.SimpleQueue[Event | _End] = queue.SimpleQueue()
        self._processes: dict[int, WorkerProcess] = {}
        self._lock = threading.Lock()  # of the processes, and of starting them
        self._running = 0  # threads
        self._threads = [
            threading.Thread(target=self._serve, args=(place, cores), daemon=True)
            for place, cores in enumerate(_shares_of(_cores(), parallel))
        ]

    def events(self) -> Iterable[Event]:
        """Starts the workers and yields events until every task has ended."""
        for thread in self._threads:
            thread.start()
            self._running += 1
        while self._running:
            event = self._events.get()
            if isinstance(event, _End):
                self._running -= 1
                if event.error is not None:
                    raise event.error
            else:
                yield event

    def stop(self, report: Report, grace_s: float) -> None:
        """Ends all workers; those at work have `grace_s` seconds to save."""
        with self._lock:
            self.backlog.close()
            processes = list(self._processes.values())
        for process in processes:
            process.ask_to_end()
        try:
            self._drain(report, time.monotonic() + grace_s)
        finally:
            for process in processes:
                process.kill()
            for thread in self._threads:
                if thread.ident is not None:
                    thread.join()

    def _drain(self, report: Report, deadline: float) -> None:
        """Reports what still happens until all threads have ended."""
        while self._running and (left := deadline - time.monotonic()) > 0:
            try:
                event = self._events.get(timeout=left)
            except queue.Empty:
                return
            if isinstance(event, _End):
                self._running -= 1
                continue
            try:
                report(event)
            except Exception:  # the first error counts, and is raised on
                continue

    def _serve(self, place: int, cores: list[int]) -> None:
        """One worker's thread: task after task until none is left."""

        def retire() -> None:
            self._retire(place)

        ended = _End(None)
        try:
            while (task := self.backlog.next(place, idle=retire)) is not None:
                try:
                    self._make(place, cores, task)
                finally:
                    self.backlog.done()
        except Exception as error:
            ended = _End(error)
        finally:
            retire()
            self._events.put(ended)

    def _make(self, place: int, cores: list[int], task: Task) -> None:
        """Makes an attempt, in a new process if the last one died or has ended."""
        seen = self.backlog.look(task)
        if seen is not None and not seen.stale:
            outcome: attempt.Outcome = {"event": "taken", "by": seen.by}
        elif (known := attempt.settled(task, self._rules)) is not None:
            outcome = known  # by another sweep
        else:
            order = worker.Order(task, self._rules, seen.text if seen else None)
            process = self._process(place, cores)
            if process is None:  # the sweep ends
                return
            outcome = self._attempt(place, process, order)
        self._deal_with(place, task, outcome)

    def _attempt(
        self, place: int, process: WorkerProcess, order: worker.Order
    ) -> attempt.Outcome:
        """Has the worker make an attempt and returns what came of it."""
        self._events.put(Event("started", place, order.task, {}))
        for said in process.make(order):
            self._failed_starts = 0
            if said["event"] in attempt.OUTCOMES:
                # It ends, or it may be out of memory: another attempt begins afresh.
                if said["event"] in ("again", "interrupted"):
                    self._retire(place)
                return said
            self._events.put(Event("progress", place, order.task, said))
        return self._bury(place, process, order)

    def _bury(
        self, place: int, process: WorkerProcess, order: worker.Order
    ) -> attempt.Outcome:
        """Returns what comes of an attempt whose process is dead."""
        reason, note = process.death(order.task.directory)
        self._retire(place)
        if self.backlog.closed:
            reason = "interrupted"
        elif not process.ready and reason == "gone":
            return self._after_failed_start(note)
        return attempt.bury(order.task, self._rules, reason, note)

    def _after_failed_start(self, note: str) -> attempt.Outcome:
        """Returns the outcome of a run that is not to blame."""
        self._failed_starts += 1
        if self._failed_starts >= _STARTS:
            raise ValueError(
                f"No worker process can start ({note.rstrip('.')}); mend that and use "
                "the same command again."
            )
        return {"event": "again", "note": note}

    def _deal_with(self, place: int, task: Task, outcome: attempt.Outcome) -> None:
        """Reports what came of an attempt and sees to what is next."""
        kind = outcome["event"]
        if kind == "stopped":
            raise ValueError(outcome["note"])
        if kind == "taken" and not self.backlog.leave(task, outcome["by"]):
            return
        self._events.put(Event(kind, place, task, outcome))
        if kind == "again":
            self.backlog.again(task)
        elif kind == "interrupted":
            self.backlog.interrupted(task, got_on=outcome["got_on"])

    def _process(self, place: int, cores: list[int]) -> WorkerProcess | None:
        with self._lock:
            if self.backlog.closed:
                return None
            if place not in self._processes:
                self._processes[place] = WorkerProcess(cores, self._start)
            return self._processes[place]

    def _retire(self, place: int) -> None:
        with self._lock:
            process = self._processes.pop(place, None)
        if process is not None:
            process.close()


class _End:
    """A worker's thread has ended, with the error it met if any."""

    def __init__(self, error: Exception | None):
        self.error = error


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
