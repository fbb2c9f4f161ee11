"""What every executor is given and what it reports: tasks in, events out."""

import dataclasses
import pathlib
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Literal, NamedTuple

from scaling import config, execution


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """One run to make."""

    run_id: str
    settings: config.Settings
    cell: config.Cell
    directory: pathlib.Path
    """Where the run writes: DIR/runs/<run_id>."""
    how: execution.Execution
    """It is carried out; stores are sized alike where shapes should be."""
    group: Hashable
    """Tasks of equal groups share compiled programs."""
    work: int
    """Predicted work, in searched and sampled states."""


Kind = Literal[
    "started", "progress", "finished", "failed", "again", "interrupted", "taken"
]


class Event(NamedTuple):
    """Something that happened to a task."""

    kind: Kind
    worker: int  # which of the executor's places it happened in, from 0
    task: Task
    detail: dict[str, Any]  # the run's report, or what came of it (launch/attempt.py)


Report = Callable[[Event], None]
Mates = Callable[[Task, Task], bool]
"""Tells whether a worker can make the second run side by side with the first"""


def no_mates(task: Task, other: Task) -> bool:
    """Every run is made by itself."""
    del task, other
    return False


class Queue:
    """Tasks not yet taken: largest first, and equal shapes to the same worker.

    Not safe to use from several threads at once: the executor holds a lock.
    """

    def __init__(self, tasks: Iterable[Task]):
        self._groups: dict[Hashable, list[Task]] = {}
        for task in sorted(tasks, key=lambda task: task.work):
            self._groups.setdefault(task.group, []).append(task)
        self._users: dict[int, Hashable] = {}

    def take(self, worker: int) -> Task | None:
        """Returns the worker's next task, or None when all are taken.

        A worker stays with its group while that has tasks. Then it takes a group that
        no worker is with, so that none compiles what another is compiling; or else
        the one with the most work left for each worker.
        """
        waiting = [group for group, tasks in self._groups.items() if tasks]
        if not waiting:
            return None
        group = self._users.pop(worker, None)
        if group not in waiting:
            group = max(waiting, key=self._need)
        self._users[worker] = group
        return self._groups[group].pop()

    def take_mates(self, task: Task, mates: Mates) -> list[Task]:
        """Returns the tasks of a taken one's group that go with it, taken too."""
        waiting = self._groups.get(task.group, [])
        found = [other for other in waiting if mates(task, other)]
        for other in found:
            waiting.remove(other)
        return found

    def put(self, task: Task) -> None:
        """Takes a task back that was not finished."""
        tasks = self._groups.setdefault(task.group, [])
        tasks.append(task)
        tasks.sort(key=lambda task: task.work)

    def clear(self) -> None:
        """Forgets every task that is not yet taken."""
        self._groups.clear()

    def __len__(self) -> int:
        """Returns how many tasks are not yet taken."""
        return sum(map(len, self._groups.values()))

    def _need(self, group: Hashable) -> tuple[bool, float]:
        """Returns how much a group needs one more worker; larger is more."""
        users = sum(other == group for other in self._users.values())
        work = sum(task.work for task in self._groups[group])
        return users == 0, work / (1 + users)
