"""Runs tasks on this machine, in worker processes that share its cores.

One thread stands for each worker process: it hands over a task, passes on what
the worker says, and replaces the process when it dies, so that only the task it
was at fails.
"""

import itertools
import os
import queue
import threading
import time
from collections.abc import Iterable

from launch.executors.process import GRACE_S, WorkerProcess
from launch.executors.task import Event, Queue, Report, Task
from scaling import hardware

START = "launch.worker:start_real_runs"


def default_parallel(tasks: int, mesh: hardware.Mesh = hardware.ALL_DEVICES) -> int:
    """Returns how many workers suit this machine and number of tasks.

    One for each core; one in all where an accelerator or a mesh of several devices
    will be used, since their memory and time would be fought over.
    """
    several = (mesh.size or int(os.environ.get("JAX_NUM_CPU_DEVICES", "1"))) > 1
    one = several or hardware.has_accelerator()
    return max(1, min(1 if one else len(_cores()), tasks))


def execute(
    tasks: Iterable[Task], report: Report, *, parallel: int, start: str = START
) -> None:
    """Runs every task and reports what happens, from the calling thread.

    Args:
      tasks: to run, in no particular order.
      report: called with each event. What it raises ends the workers and is raised
        on; so does KeyboardInterrupt.
      parallel: number of workers.
      start: `module:function` that gives a worker what makes a run.
    """
    pool = _Pool(tasks, parallel, start)
    try:
        for event in pool.events():
            report(event)
    finally:
        pool.stop()


class _Pool:
    """The worker processes of one call of `execute`."""

    def __init__(self, tasks: Iterable[Task], parallel: int, start: str):
        self._waiting, self._lock = Queue(tasks), threading.Lock()
        self._events: queue.SimpleQueue[Event | _End] = queue.SimpleQueue()
        self._processes: dict[int, WorkerProcess] = {}
        self._start, self._stopping = start, False
        self._threads = [
            threading.Thread(target=self._serve, args=(place, cores), daemon=True)
            for place, cores in enumerate(_shares_of(_cores(), parallel))
        ]

    def events(self) -> Iterable[Event]:
        """Starts the workers and yields events until every task has ended."""
        for thread in self._threads:
            thread.start()
        running = len(self._threads)
        while running:
            event = self._events.get()
            if isinstance(event, _End):
                running -= 1
                if event.error is not None:
                    raise event.error
            else:
                yield event

    def stop(self) -> None:
        """Ends all workers, at once if they are at work."""
        with self._lock:
            self._stopping = True
            self._waiting.clear()
            processes = list(self._processes.values())
        for process in processes:
            process.ask_to_end()
        deadline = time.monotonic() + GRACE_S
        for process in processes:
            process.end_by(deadline)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _serve(self, place: int, cores: list[int]) -> None:
        """One worker's thread: task after task until none is left."""
        try:
            while (task := self._take(place)) is not None:
                self._make(place, cores, task)
            self._retire(place)
            self._events.put(_End(None))
        except Exception as error:
            self._events.put(_End(error))

    def _take(self, place: int) -> Task | None:
        with self._lock:
            return self._waiting.take(place)

    def _make(self, place: int, cores: list[int], task: Task) -> None:
        """Has the worker make one run, in a new process if its last one died."""
        self._events.put(Event("started", place, task, {}))
        process = self._process(place, cores)
        if process is None:
            return
        for answer in process.make(task):
            kind = answer["event"]
            if kind in ("finished", "failed"):
                self._events.put(Event(kind, place, task, answer))
                return
            if kind != "ready":
                self._events.put(Event("progress", place, task, answer))
        note = process.reason_of_death(task)
        self._retire(place)
        if not self._stopping:
            detail = {"status": "failed", "note": note}
            self._events.put(Event("failed", place, task, detail))

    def _process(self, place: int, cores: list[int]) -> WorkerProcess | None:
        with self._lock:
            if self._stopping:
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
