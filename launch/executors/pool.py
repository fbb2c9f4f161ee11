"""Keeps workers busy with tasks until all have ended, wherever the workers are.

One thread stands for each place where a run can be made: it hires a worker, hands over
a task, passes on what the worker says, and hires another when that one dies. What died
or was interrupted by itself is taken up again, by the rules of launch/attempt.py. A run
that another sweep makes is left to it, and looked after: it may vanish.
"""

import pathlib
import queue
import threading
import time
from collections.abc import Iterable
from typing import Any, Protocol

from launch import attempt, worker
from launch.executors import backlog
from launch.executors.death import Death
from launch.executors.task import Event, Mates, Report, Task, no_mates

_STARTS = 3  # in a row that may fail


class Worker(Protocol):
    """Makes runs, one at a time, in processes of its own."""

    ready: bool
    """Whether it ever was."""

    def make(
        self, order: worker.Order, *mates: worker.Order
    ) -> Iterable[dict[str, Any]]:
        """Hands over an order and yields what the worker says until it is silent.

        Of several orders, which it gets only where `execute` was given mates, the runs
        are made side by side and each thing said has the `run_id` that it is of.
        """
        ...

    def death(self, run_directory: pathlib.Path) -> Death:
        """Returns why the worker ended while it was at a run."""
        ...

    def ask_to_end(self) -> None:
        """Asks the worker to save and to end."""
        ...

    def kill(self) -> None:
        """Ends the worker whatever it is at."""
        ...

    def close(self) -> None:
        """Lets the worker end by itself, and sees to it that it does."""
        ...


class Room(Protocol):
    """Where workers are hired, each for a place; called from the place's thread."""

    def hire(self, place: int) -> Worker | None:
        """Returns a worker at once; None: there is no room for it now."""
        ...

    def wait(self, place: int) -> bool:
        """Waits a while for room; tells whether there is some for the place now.

        The place has no task in hand meanwhile, so that whoever finds room first gets
        the largest one.
        """
        ...

    def leave(self, place: int) -> None:
        """Gives up room that was found and is not needed."""
        ...


def execute(
    tasks: Iterable[Task],
    report: Report,
    room: Room,
    places: int,
    rules: attempt.Rules,
    grace_s: float,
    mates: Mates = no_mates,
) -> list[Task]:
    """Runs every task and reports what happens, from the calling thread.

    Args:
      tasks: to run, in no particular order.
      report: called with each event. What it raises stops the workers and is raised
        on; so does KeyboardInterrupt, of which a second one ends them at once.
      room: where workers are hired.
      places: runs at a time, at most.
      rules: when a run is worth another attempt.
      grace_s: seconds that the workers have to save when they are stopped.
      mates: which runs a worker makes side by side.

    Returns:
      Tasks that can go on and were left: they were interrupted again and again.

    Raises:
      ValueError: if no worker can start, or the disk does not let them.
    """
    pool = _Pool(tasks, room, places, rules, mates)
    try:
        for event in pool.events():
            report(event)
    finally:
        pool.stop(report, grace_s)
    return pool.backlog.left


class _Pool:
    """The workers of one call of `execute`."""

    def __init__(
        self,
        tasks: Iterable[Task],
        room: Room,
        places: int,
        rules: attempt.Rules,
        mates: Mates,
    ):
        self.backlog = backlog.Backlog(tasks, rules.max_attempts)
        self._mates, self._places = mates, places
        self._rules, self._room, self._failed_starts = rules, room, 0
        self._events: queue.SimpleQueue[Event | _End] = queue.SimpleQueue()
        self._workers: dict[int, Worker] = {}
        self._lock = threading.Lock()  # of the workers, and of what is closed
        self._running = 0  # threads
        self._threads = [
            threading.Thread(target=self._serve, args=(place,), daemon=True)
            for place in range(places)
        ]

    def events(self) -> Iterable[Event]:
        """Starts the threads and yields events until every task has ended."""
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
            workers = list(self._workers.values())
        for each in workers:
            each.ask_to_end()
        try:
            self._drain(report, time.monotonic() + grace_s)
        finally:
            for each in workers:
                each.kill()
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

    def _serve(self, place: int) -> None:
        """One place's thread: task after task until none is left."""

        def retire() -> None:
            self._retire(place)

        ended = _End(None)
        try:
            while self._finds_room(place):
                task = self.backlog.next(place, idle=retire)
                if task is None:
                    break
                try:
                    self._make(place, self.backlog.with_mates(task, self._mates))
                finally:
                    self.backlog.done()
        except Exception as error:
            ended = _End(error)
        finally:
            retire()
            self._events.put(ended)

    def _finds_room(self, place: int) -> bool:
        """Waits for a worker, or room for one; tells if there is still work for it."""
        with self._lock:
            if place in self._workers:
                return True
        while not self._room.wait(place):
            if self.backlog.over():
                return False
        return True

    def _make(self, place: int, tasks: list[Task]) -> None:
        """Makes an attempt at each task, or gives them back if there is no room now."""
        at = _Places(place, self._places, tasks)
        orders = []
        for task in tasks:
            order = self._order(task)
            if isinstance(order, worker.Order):
                orders.append(order)
            else:
                self._deal_with(at.of(task), task, order)
        hired = self._worker(place) if orders else None
        if hired is None:
            for order in orders:
                self.backlog.again(order.task)
            return
        for task, outcome in self._attempts(at, hired, orders):
            self._deal_with(at.of(task), task, outcome)

    def _order(self, task: Task) -> worker.Order | attempt.Outcome:
        """Returns the order to make a run, or the outcome if there is no need."""
        seen = self.backlog.look(task)
        if seen is not None and not seen.stale:
            return {"event": "taken", "by": seen.by}
        if (known := attempt.settled(task, self._rules)) is not None:
            return known  # by another sweep
        return worker.Order(task, self._rules, seen.text if seen else None)

    def _attempts(
        self, at: "_Places", hired: Worker, orders: list[worker.Order]
    ) -> Iterable[tuple[Task, attempt.Outcome]]:
        """Has the worker make an attempt at each run; yields what came of them."""
        tasks = {order.task.run_id: order.task for order in orders}
        for task in tasks.values():
            self._events.put(Event("started", at.of(task), task, {}))
        first, retires = orders[0].task, False
        for said in hired.make(*orders):
            self._failed_starts = 0
            task = tasks[said.pop("run_id", first.run_id)]
            if said["event"] not in attempt.OUTCOMES:
                self._events.put(Event("progress", at.of(task), task, said))
                continue
            # It ends, or it may be out of memory: another attempt begins afresh.
            retires |= said["event"] in ("again", "interrupted")
            del tasks[task.run_id]
            if retires and not tasks:
                self._retire(at.place)
            yield task, said
            if not tasks:
                return
        death = hired.death(first.directory)  # its log is that of all
        yield from self._buried(at.place, hired, death, list(tasks.values()))

    def _buried(
        self, place: int, hired: Worker, death: Death, tasks: list[Task]
    ) -> Iterable[tuple[Task, attempt.Outcome]]:
        """Yields what comes of attempts whose worker is dead."""
        reason, note = death
        self._retire(place)
        if self.backlog.closed:
            reason = "interrupted"
        elif not hired.ready and reason == "gone":
            again = self._after_failed_start(note)
            yield from ((task, again) for task in tasks)
            return
        for task in tasks:
            yield task, attempt.bury(task, self._rules, reason, note)

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
            self.backlog.failed(task)
        elif kind == "interrupted":
            self.backlog.interrupted(task, got_on=outcome["got_on"])

    def _worker(self, place: int) -> Worker | None:
        """Returns the worker of a place; None: no room, or the sweep ends."""
        with self._lock:
            if self.backlog.closed or place in self._workers:
                return None if self.backlog.closed else self._workers[place]
        hired = self._room.hire(place)  # may take long
        if hired is None:
            return None
        with self._lock:
            if not self.backlog.closed:
                self._workers[place] = hired
                return hired
        hired.kill()
        hired.close()
        return None

    def _retire(self, place: int) -> None:
        with self._lock:
            hired = self._workers.pop(place, None)
        if hired is not None:
            hired.close()
        self._room.leave(place)


class _Places:
    """Where the runs that one worker makes side by side are shown.

    Args:
      place: of the worker.
      places: of all workers; those of mates come after them.
      tasks: that it makes, of which the first has the place itself.
    """

    def __init__(self, place: int, places: int, tasks: list[Task]):
        self.place = place
        self._of = {t.run_id: place + n * places for n, t in enumerate(tasks)}

    def of(self, task: Task) -> int:
        """Returns the place of a run."""
        return self._of[task.run_id]


class _End:
    """A place's thread has ended, with the error it met if any."""

    def __init__(self, error: Exception | None):
        self.error = error
