"""Jobs in a queue: what the sweep sees of them, and when it submits them again."""

import os
import pathlib
import pickle
import signal
import subprocess
import sys

import fake_tasks
import pytest

pytest.importorskip("submitit", reason="submitit is not installed (extra `slurm`).")

from launch import attempt
from launch.executors import slurm_executor, slurm_queue, slurm_watch
from launch.executors.slurm_queue import Limits
from launch.executors.task import Event, Task
from scaling import ledger, presets, results

# The extra is there for the slow tests, and not before.
pytestmark = pytest.mark.slow

FAKES = str(pathlib.Path(__file__).parent)
LIMITS = Limits(60, 90, {"CPU": 1}, None, {}, start="fakes:start")
JOB = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))()"


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", FAKES)
    monkeypatch.setattr(slurm_watch, "LOOK_S", 0.05)
    monkeypatch.setattr(slurm_watch, "_QUEUE_S", 0.1)


def task_of(directory, frames=4000, seed=0) -> Task:
    demo = presets.preset("demo").settings
    return fake_tasks.task_of(directory, frames, seed, fraction=0.5, settings=demo)


class Queue:
    """A queue whose jobs are processes, which begin as soon as they are submitted."""

    def __init__(self, folder):
        self._folder, self.order, self.processes = folder, [], {}
        self.every: list[subprocess.Popen] = []
        (folder / "runs").mkdir(exist_ok=True)

    def submit(self, jobs, limits, parallel):
        for name, job in jobs.items():
            self.order.append(name)
            path = self._folder / f"{len(self.order)}.pkl"
            path.write_bytes(pickle.dumps(job))
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-c", JOB, str(path)], stdout=subprocess.DEVNULL
            )
            self.every.append(self.processes[name])

    def known(self):
        return {name: name for name in self.processes}

    def alive(self):
        found = self.processes.items()
        return {name: "RUNNING" for name, process in found if process.poll() is None}

    def ask_to_end(self, ids):
        for name in ids:
            self.processes[name].terminate()

    def kill(self, ids):
        for name in ids:
            self.processes[name].kill()
            self.processes[name].wait()


@pytest.fixture
def queue(tmp_path):
    queue = Queue(tmp_path)
    yield queue
    for process in queue.every:
        process.wait(30)


def execute(queue, tasks, report=None, **rules) -> tuple[list[Event], list[Task]]:
    events: list[Event] = []

    def note(event: Event) -> None:
        events.append(event)
        if report is not None:
            report(event)

    left = slurm_executor.execute(
        tasks,
        note,
        parallel=2,
        rules=attempt.Rules(**{"max_attempts": 2, **rules}),
        grace_s=20.0,
        queue=queue,
        limits=LIMITS,
    )
    return events, left


def kinds(events, task) -> list[str]:
    return [e.kind for e in events if e.task is task and e.kind != "progress"]


def score_of(task) -> float:
    row = results.read_row(task.directory)
    assert row is not None
    return row["score"]


def reasons(task) -> list[str | None]:
    return [each.reason for each in ledger.attempts(task.directory)]


def test_the_largest_is_submitted_first_and_every_run_ends(queue, tmp_path):
    small, large = task_of(tmp_path), task_of(tmp_path, 8000)
    events, left = execute(queue, [small, large])
    assert queue.order == [large.run_id, small.run_id]
    for task in (small, large):
        assert kinds(events, task) == ["started", "finished"]
        assert score_of(task) == task.cell.frames
    assert left == []
    assert {event.worker for event in events} <= {0, 1}


def test_a_run_that_fails_is_made_again_in_its_own_job(queue, tmp_path):
    task = task_of(tmp_path, seed=7)
    events, _ = execute(queue, [task])
    assert kinds(events, task)[-1] == "failed"
    assert reasons(task) == ["failed", "failed"]
    assert len(queue.order) == 1


def test_a_job_that_is_gone_without_a_word_is_submitted_again(queue, tmp_path):
    task = task_of(tmp_path, seed=12)  # takes long unless it is stopped

    def kill(event: Event) -> None:
        made = ledger.attempts(task.directory)
        if event.kind == "started" and len(made) == 1:
            os.kill(made[0].pid, signal.SIGSTOP)  # or it would save
            queue.kill([task.run_id])
            os.kill(made[0].pid, signal.SIGKILL)
            (task.directory / "checkpoint").write_text("40")

    events, left = execute(queue, [task], kill)
    assert kinds(events, task) == ["started", "again", "started", "finished"]
    assert reasons(task) == ["gone", "finished"]
    assert queue.order == [task.run_id] * 2
    assert left == []


def test_a_run_whose_job_was_cancelled_has_saved_and_is_left(queue, tmp_path):
    task, good = task_of(tmp_path, seed=12), task_of(tmp_path, seed=1)

    def cancel(event: Event) -> None:
        if event.kind == "started" and event.task is task:
            queue.ask_to_end([task.run_id])

    events, left = execute(queue, [task, good], cancel)
    assert left == [task]
    assert reasons(task) == ["interrupted"]
    assert ledger.attempts(task.directory)[0].saved == 40
    assert kinds(events, good) == ["started", "finished"]
    assert queue.order.count(task.run_id) == 1


def test_an_interrupt_ends_the_jobs_when_they_have_saved(queue, tmp_path):
    task = task_of(tmp_path, seed=12)
    seen = []

    def interrupt(event: Event) -> None:
        seen.append(event.kind)
        if event.kind == "started":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(queue, [task], interrupt)
    assert queue.alive() == {}
    assert seen == ["started", "interrupted"]
    assert reasons(task) == ["interrupted"]
    events, _ = execute(queue, [task])
    assert kinds(events, task) == ["started", "finished"]


def test_jobs_that_are_in_the_queue_are_not_submitted_again(queue, tmp_path, capsys):
    tasks = [task_of(tmp_path, seed=12), task_of(tmp_path)]
    how = {"parallel": 2, "rules": attempt.Rules(), "grace_s": 20.0}
    slurm_executor.submit(
        tasks[:1], lambda event: None, **how, queue=queue, limits=LIMITS
    )
    slurm_executor.submit(tasks, lambda event: None, **how, queue=queue, limits=LIMITS)
    assert queue.order == [task.run_id for task in tasks]
    assert "1 jobs submitted, 1 were in the queue already" in capsys.readouterr().out
    queue.kill(queue.known())


def test_a_failed_row_is_no_outcome_where_it_is_to_be_retried(queue, tmp_path):
    task = task_of(tmp_path, seed=8)
    execute(queue, [task])
    assert reasons(task) == ["failed"]
    events, _ = execute(queue, [task], failed_rows="retry")
    assert kinds(events, task) == ["started", "failed"]
    assert reasons(task) == ["failed", "failed"]


def test_what_slurm_is_asked_for():
    limits = Limits(90, 75, {"CPU": 8, "GPU": 2}, "big", {"account": "lab"})
    asked = slurm_queue.parameters(limits, 16)
    assert (asked["time"], asked["partition"], asked["cpus_per_task"]) == (90, "big", 8)
    assert asked["signal_delay_s"] == 75
    assert asked["array_parallelism"] == 16
    more = {"requeue": True, "account": "lab", "gres": "gpu:2"}
    assert asked["additional_parameters"] == more
