"""Tasks that have not ended: waiting, at work here, or left to another sweep."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable

from launch.executors.task import Mates, Queue, Task
from scaling import lease

LOOK_S = 2.0  # between looks at what other sweeps make


class Backlog:
    """Hands out tasks to several threads until all have ended.

    Args:
      tasks: all that there are to make.
      most: times that a task may be interrupted by itself without getting further.
    """

    def __init__(self, tasks: Iterable[Task], most: int):
        self._waiting, self._changed = Queue(tasks), threading.Condition()
        self._elsewhere: dict[str, Task] = {}
        self._left_to: dict[str, str] = {}  # by whom they are, or were, made
        self._observer, self._looking = lease.Observer(), threading.Lock()
        self._interrupted: Counter[str] = Counter()
        self._alone: set[str] = set()
        self._most, self._at_work, self.closed = most, 0, False
        self.left: list[Task] = []  # for a later call of the same command

    def next(self, worker: int, idle: Callable[[], None]) -> Task | None:
        """Returns a worker's next task as soon as there is one; None: all have ended.

        Args:
          worker: its place.
          idle: called before it waits, which may be for long.
        """
        while True:
            with self._changed:
                if (task := self._waiting.take(worker)) is not None:
                    self._at_work += 1
                    return task
                if self.closed or not (self._at_work or self._elsewhere):
                    return None
            idle()
            with self._changed:
                self._changed.wait(LOOK_S)
            self._look_elsewhere()

    def with_mates(self, task: Task, mates: Mates) -> list[Task]:
        """Returns a task that was handed out and what is to be made with it, by seeds.

        Nothing goes with a run that has failed, and it goes with nothing.
        """

        def are_mates(one: Task, other: Task) -> bool:
            alone = {one.run_id, other.run_id} & self._alone
            return not alone and mates(one, other)

        with self._changed:
            found = [task, *self._waiting.take_mates(task, are_mates)]
        return sorted(found, key=lambda each: each.cell.seed)

    def over(self) -> bool:
        """Returns whether all tasks have ended, or are forgotten."""
        with self._changed:
            return self.closed or not (
                len(self._waiting) or self._at_work or self._elsewhere
            )

    def done(self) -> None:
        """Notes that a task that was handed out is at work no more."""
        with self._changed:
            self._at_work -= 1
            self._changed.notify_all()

    def look(self, task: Task) -> lease.Sighting | None:
        """Returns who makes a run; None: nobody."""
        with self._looking:
            return self._observer.look(task.directory)

    def again(self, task: Task) -> None:
        """Takes back a task that is to be handed out again."""
        with self._changed:
            if not self.closed:
                self._waiting.put(task)

    def failed(self, task: Task) -> None:
        """Takes back a task that has failed, to be made again by itself."""
        self._alone.add(task.run_id)
        self.again(task)

    def interrupted(self, task: Task, *, got_on: bool) -> None:
        """Takes back a task that was interrupted, unless that goes on for ever."""
        self._interrupted[task.run_id] += 1
        if got_on:
            self._interrupted[task.run_id] = 0
        if self._interrupted[task.run_id] < self._most:
            self.again(task)
        elif not self.closed:
            self.left.append(task)

    def leave(self, task: Task, by: str) -> bool:
        """Leaves a task to another sweep; tells whether that is news."""
        with self._changed:
            if not self.closed:
                self._elsewhere[task.run_id] = task
            before = self._left_to.get(task.run_id)
            self._left_to[task.run_id] = by
        return by != before

    def close(self) -> None:
        """Forgets every task that is not at work here."""
        with self._changed:
            self.closed = True
            self._waiting.clear()
            self._elsewhere.clear()
            self._changed.notify_all()

    def _look_elsewhere(self) -> None:
        """Takes back what no other sweep makes any more."""
        with self._changed:
            elsewhere = list(self._elsewhere.values())
        for task in elsewhere:
            seen = self.look(task)
            if seen is not None and not seen.stale:
                continue
            with self._changed:
                known = self._elsewhere.pop(task.run_id, None)
            if known is not None:
                self.again(task)
