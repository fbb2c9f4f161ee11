"""Workers for hire: tasks go to whoever there is room for, the largest one first."""

import threading

import pytest
from fake_tasks import task_of

from launch import attempt
from launch.executors import pool
from launch.executors.death import Death
from launch.executors.task import Event, Task
from scaling import ledger, results

RULES = attempt.Rules(max_attempts=2)


class Worker:
    """Finishes its runs in this process; one that is `lost` saves and falls silent."""

    def __init__(self, room):
        self.ready, self._room = True, room

    def make(self, order, *mates):
        self._room.begun.append(order.task.cell.frames)
        begun = attempt.begin(*order)
        assert isinstance(begun, attempt.Attempt)
        yield {"event": "phase", "name": "training"}
        if self._room.losses:
            self._room.losses -= 1
            directory = order.task.directory
            ledger.saved(directory, len(ledger.attempts(directory)), 40)
            begun._held.release()  # its process is dead
            return
        yield begun.run(_finish, lambda detail: None, lambda: False)

    def death(self, run_directory):
        return Death(self._room.reason, "Ray lost a node.")

    def ask_to_end(self):
        self._room.asked_to_end += 1

    def kill(self):
        pass

    def close(self):
        self._room.free += 1


def _finish(settings, cell, directory, *, how, report, stop):
    row = results.identity(settings, cell, "factorial") | {"status": "ok"}
    results.write_row(directory, row)
    return row


class Room:
    """Room for a number of workers, of which some is found only by waiting."""

    def __init__(self, free=1, losses=0, reason="interrupted"):
        self.free, self.losses, self.reason = free, losses, reason
        self.begun, self.waited, self.asked_to_end = [], 0, 0
        self._found: set[int] = set()
        self._lock = threading.Lock()

    def hire(self, place):
        if place not in self._found:
            return None
        self._found.remove(place)
        return Worker(self)

    def wait(self, place):
        with self._lock:
            self.waited += 1
            if self.free:
                self.free -= 1
                self._found.add(place)
                return True
        threading.Event().wait(0.01)
        return False

    def leave(self, place):
        with self._lock:
            if place in self._found:
                self._found.remove(place)
                self.free += 1


def execute(tasks, room, places=1) -> tuple[list[Event], list[Task]]:
    events: list[Event] = []
    left = pool.execute(tasks, events.append, room, places, RULES, grace_s=5.0)
    return events, left


def kinds(events, task) -> list[str]:
    return [e.kind for e in events if e.task is task and e.kind != "progress"]


@pytest.mark.parametrize("places", [1, 4])
def test_the_largest_is_begun_first_however_many_wait_for_room(tmp_path, places):
    tasks = [task_of(tmp_path, frames) for frames in (200, 500, 100, 400)]
    room = Room()
    events, left = execute(tasks, room, places)
    assert room.begun == [500, 400, 200, 100]
    assert sum(event.kind == "finished" for event in events) == 4
    assert left == []
    assert room.free == 1


def test_a_lost_run_is_the_next_one_and_goes_on(tmp_path):
    tasks = [task_of(tmp_path, frames) for frames in (100, 300, 200)]
    room = Room(losses=1)
    events, _ = execute(tasks, room)
    assert room.begun == [300, 300, 200, 100]
    assert kinds(events, tasks[1]) == ["started", "interrupted", "started", "finished"]
    made = ledger.attempts(tasks[1].directory)
    assert [(each.reason, each.note) for each in made] == [
        ("interrupted", "Ray lost a node."),
        ("finished", None),
    ]


def test_a_run_whose_nodes_are_lost_for_ever_is_left_without_a_failed_row(tmp_path):
    task = task_of(tmp_path, 100)
    ledger.begin(task.directory)  # got as far before
    ledger.saved(task.directory, 1, 40)
    ledger.end(task.directory, 1, "interrupted")

    class Stuck(Worker):
        def make(self, order, *mates):
            begun = attempt.begin(*order)
            assert isinstance(begun, attempt.Attempt)
            begun._held.release()
            yield {"event": "phase", "name": "training"}

    room = Room()
    room.hire = lambda place: Stuck(room)
    events, left = execute([task], room)
    assert left == [task]
    assert [event.kind for event in events].count("interrupted") == 2
    assert results.read_row(task.directory) is None


def test_workers_that_cannot_start_end_all_in_a_sentence(tmp_path):
    room = Room(reason="gone")

    class Stillborn(Worker):
        def make(self, order, *mates):
            self.ready = False
            yield from ()

    room.hire = lambda place: Stillborn(room)
    with pytest.raises(ValueError, match="No worker process can start") as caught:
        execute([task_of(tmp_path, 100)], room)
    assert str(caught.value).endswith(".")
    assert not (tmp_path / "runs").exists()


def test_an_interrupt_asks_the_workers_to_end_and_gives_up_the_room(tmp_path):
    room = Room()

    def report(event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool.execute(
            [task_of(tmp_path, 100), task_of(tmp_path, 200)],
            report,
            room,
            places=2,
            rules=RULES,
            grace_s=5.0,
        )
    assert room.asked_to_end <= 1  # it may have been at its end already
    assert room.free == 1
