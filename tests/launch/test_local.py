"""Worker processes: every task ends, in the right order, whatever happens to them."""

import json
import os
import pathlib

import pytest

from launch.executors import local
from launch.executors.task import Event, Queue, Task
from scaling import config, execution, results

FAKES = str(pathlib.Path(__file__).parent)
SETTINGS = config.Settings(env="jumanji:PacMan-v1")


@pytest.fixture(autouse=True)
def _workers_find_the_fakes(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", FAKES)


def task_of(directory, frames=100, seed=0, group="g", work=None, fraction=0.0) -> Task:
    cell = config.Cell(frames=frames, fraction=fraction, seed=seed)
    run_id = config.run_id(SETTINGS, cell)
    return Task(
        run_id=run_id,
        settings=SETTINGS,
        cell=cell,
        directory=directory / "runs" / run_id,
        how=execution.Execution(allocate_frames=1000),
        group=group,
        work=frames if work is None else work,
    )


def execute(tasks, parallel=1, start="fakes:start") -> list[Event]:
    events: list[Event] = []
    local.execute(tasks, events.append, parallel=parallel, start=start)
    return events


def of(events, task) -> list[Event]:
    return [event for event in events if event.task is task]


def begun(directory) -> list[dict]:
    lines = (directory / "begun.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_run_reports_and_leaves_its_row(tmp_path):
    task = task_of(tmp_path)
    events = execute([task])
    kinds = [event.kind for event in events]
    assert kinds == ["started", "progress", "progress", "finished"]
    assert events[-1].detail["row"]["score"] == 100
    row = results.read_row(task.directory)
    assert row is not None
    assert row["note"] == "allocated 1000"


def test_what_a_run_prints_goes_to_its_log(tmp_path):
    task = task_of(tmp_path)
    execute([task])
    log = (task.directory / "log.txt").read_text()
    assert "noise of a run" in log
    assert "noise below Python" in log


@pytest.mark.parametrize(
    ("seed", "note"),
    [
        (7, "RuntimeError: out of luck"),
        (8, "The cell is impossible; choose another."),
        (9, "The worker ended with exit status 9; its last line: last words"),
        (11, "The worker was killed by SIGKILL"),
    ],
)
def test_a_failing_run_fails_alone_and_says_why(tmp_path, seed, note):
    bad, good = task_of(tmp_path, 200, seed), task_of(tmp_path, 100)
    events = execute([bad, good])
    assert of(events, bad)[-1].kind == "failed"
    assert note in of(events, bad)[-1].detail["note"]
    assert of(events, good)[-1].kind == "finished"
    pids = {line["pid"] for line in begun(tmp_path)}
    assert len(pids) == (1 if seed in (7, 8) else 2)


def test_a_worker_that_cannot_start_fails_its_runs_with_the_reason(tmp_path):
    tasks = [task_of(tmp_path, frames) for frames in (100, 200)]
    events = execute(tasks, start="fakes:start_nothing")
    for task in tasks:
        assert "no devices here" in of(events, task)[-1].detail["note"]


def test_an_earlier_attempts_log_is_not_taken_for_this_ones(tmp_path):
    task = task_of(tmp_path)
    task.directory.mkdir(parents=True)
    (task.directory / "log.txt").write_text("old words\n")
    events = execute([task], start="fakes:start_nothing")
    assert "old words" not in events[-1].detail["note"]


def test_workers_stay_on_their_cores_and_run_side_by_side(tmp_path):
    events = execute([task_of(tmp_path, seed=s) for s in (0, 1, 2, 3)], parallel=2)
    assert sum(event.kind == "finished" for event in events) == 4
    cores = {line["pid"]: line["cores"] for line in begun(tmp_path)}
    shares = local._shares_of(local._cores(), 2)
    assert all(mine in shares for mine in cores.values())


def test_an_interrupt_ends_the_workers(tmp_path):
    def interrupt(event: Event) -> None:
        if event.kind == "progress":
            raise KeyboardInterrupt

    tasks = [task_of(tmp_path, seed=12), task_of(tmp_path, 200, seed=12)]
    with pytest.raises(KeyboardInterrupt):
        local.execute(tasks, interrupt, parallel=2, start="fakes:start")
    for line in begun(tmp_path):
        with pytest.raises(ProcessLookupError):
            os.kill(line["pid"], 0)


def test_cores_are_shared_out():
    assert local._shares_of([0, 1], 2) == [[0], [1]]
    assert local._shares_of([0, 1, 2, 3, 4], 2) == [[0, 1], [2, 3, 4]]
    assert local._shares_of([4, 5], 3) == [[4], [5], [4]]


def test_one_worker_for_each_core_but_no_more_than_runs(monkeypatch):
    monkeypatch.setattr(local, "_cores", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(local.hardware, "has_accelerator", lambda: False)
    assert [local.default_parallel(n) for n in (0, 1, 3, 9)] == [1, 1, 3, 4]
    monkeypatch.setattr(local.hardware, "has_accelerator", lambda: True)
    assert local.default_parallel(9) == 1


def taken(queue: Queue, workers) -> list[str]:
    order = []
    for worker in workers:
        task = queue.take(worker)
        order.append(f"{task.group}{task.work}" if task else "-")
    return order


def tasks_of(*names: str) -> list[Task]:
    return [
        task_of(pathlib.Path("x"), seed=i, group=name[0], work=int(name[1:]))
        for i, name in enumerate(names)
    ]


def test_a_worker_stays_with_equal_shapes_largest_first():
    queue = Queue(tasks_of("a1", "b4", "a3", "b5", "a2"))
    assert taken(queue, [0] * 6) == ["b5", "b4", "a3", "a2", "a1", "-"]


def test_workers_begin_with_different_shapes():
    queue = Queue(tasks_of("a1", "b9", "b8", "a2"))
    assert taken(queue, [0, 1, 1, 1, 0]) == ["b9", "a2", "a1", "b8", "-"]


def test_workers_share_a_shape_when_each_has_one():
    queue = Queue(tasks_of("a1", "b90", "b80", "b70", "c20"))
    assert taken(queue, [0, 1, 2, 3, 2]) == ["b90", "c20", "a1", "b80", "b70"]
