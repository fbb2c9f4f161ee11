"""Worker processes: every task ends, in the right order, whatever happens to them."""

import json
import os
import pathlib

import fake_tasks
import pytest

from launch import attempt
from launch.executors import backlog, local
from launch.executors.task import Event, Queue, Task
from scaling import execution, hardware, lease, ledger, results

FAKES = str(pathlib.Path(__file__).parent)


@pytest.fixture(autouse=True)
def _workers_find_the_fakes(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", FAKES)


def task_of(directory, frames=100, seed=0, **known) -> Task:
    how = execution.Execution(allocate_frames=1000)
    return fake_tasks.task_of(directory, frames, seed, how=how, **known)


def execute(tasks, parallel=1, start="fakes:start", tries=2, **more) -> list[Event]:
    events: list[Event] = []
    rules = attempt.Rules(max_attempts=tries, **more)
    local.execute(tasks, events.append, parallel=parallel, rules=rules, start=start)
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
    ("seed", "tries", "note"),
    [
        (7, 2, "RuntimeError: out of luck"),
        (8, 1, "The cell is impossible; choose another."),
        (9, 2, "The worker ended with exit status 9; its last line: last words"),
        (11, 2, "The worker was killed by SIGKILL"),
        (15, 1, "The loss is no number any more."),
    ],
)
def test_a_failing_run_fails_alone_after_its_tries_and_says_why(
    tmp_path, seed, tries, note
):
    bad, good = task_of(tmp_path, 200, seed), task_of(tmp_path, 100)
    events = execute([bad, good], tries=2)
    kinds = [event.kind for event in of(events, bad) if event.kind != "progress"]
    assert kinds == [*["started", "again"] * (tries - 1), "started", "failed"]
    assert note in of(events, bad)[-1].detail["note"]
    row = results.read_row(bad.directory)
    assert row is not None
    assert note in row["note"]
    assert (row["attempts"], row["resumes"]) == (tries, 0)
    assert row["status"] == ("diverged" if seed == 15 else "failed")
    assert of(events, good)[-1].kind == "finished"
    pids = {line["pid"] for line in begun(tmp_path)}
    assert len(pids) == tries + (seed in (9, 11))  # each attempt has a new process


def ledger_of(task) -> list[tuple]:
    made = ledger.attempts(task.directory)
    return [(each.reason, each.resumed_from, each.saved) for each in made]


def test_a_killed_run_goes_on_from_its_checkpoint(tmp_path):
    task = task_of(tmp_path, seed=16)
    events = execute([task])
    kinds = [event.kind for event in events if event.kind != "progress"]
    assert kinds == ["started", "again", "started", "finished"]
    assert ledger_of(task) == [("gone", None, 40), ("finished", 40, None)]
    row = events[-1].detail["row"]
    assert (row["attempts"], row["resumes"]) == (2, 1)


def test_tries_are_counted_from_the_last_progress(tmp_path):
    task = task_of(tmp_path, seed=21)  # saves once and is then killed every time
    events = execute([task], tries=2)
    assert events[-1].kind == "failed"
    assert ledger_of(task) == [("gone", None, 40), *[("gone", 40, None)] * 2]


def test_a_worker_told_to_end_saves_and_its_run_is_taken_up_again(tmp_path):
    task = task_of(tmp_path, seed=17)
    events = execute([task])
    kinds = [event.kind for event in events if event.kind != "progress"]
    assert kinds == ["started", "interrupted", "started", "finished"]
    assert ledger_of(task) == [("interrupted", None, 40), ("finished", 40, None)]
    assert len({line["pid"] for line in begun(tmp_path)}) == 2


def test_a_run_that_is_interrupted_for_ever_is_left_and_has_no_row(tmp_path):
    task, good = task_of(tmp_path, 200, seed=20), task_of(tmp_path, 100)
    rules = attempt.Rules(max_attempts=2)
    left = local.execute(
        [task, good], lambda event: None, parallel=1, rules=rules, start="fakes:start"
    )
    assert left == [task]
    assert results.read_row(task.directory) is None
    assert ledger_of(task) == [("interrupted", None, None)] * 2
    assert ledger_of(good) == [("finished", None, None)]


def test_a_full_disk_stops_all_in_a_sentence_and_leaves_no_row(tmp_path):
    tasks = [task_of(tmp_path, 200, 18), task_of(tmp_path, 300, 12)]
    with pytest.raises(ValueError, match="free some space") as caught:
        execute(tasks, parallel=2)
    assert str(caught.value).endswith(".")
    assert [results.read_row(task.directory) for task in tasks] == [None, None]
    assert ledger_of(tasks[0]) == [("interrupted", None, None)]
    assert ledger_of(tasks[1]) in ([("interrupted", None, 40)], [])


def test_where_no_worker_can_start_nothing_is_recorded(tmp_path):
    tasks = [task_of(tmp_path, frames) for frames in (100, 200)]
    with pytest.raises(ValueError, match="no devices here") as caught:
        execute(tasks, start="fakes:start_nothing")
    assert "No worker process can start" in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_a_worker_that_fails_to_start_once_is_started_again(tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_TROUBLE", str(tmp_path / "trouble"))
    task = task_of(tmp_path)
    events = execute([task], start="fakes:start_after_trouble")
    assert "the device is busy" in of(events, task)[1].detail["note"]
    assert events[-1].kind == "finished"
    assert ledger_of(task) == [("finished", None, None)]


def test_an_earlier_attempts_log_is_kept_and_not_taken_for_this_ones(tmp_path):
    task = task_of(tmp_path, seed=11)
    task.directory.mkdir(parents=True)
    (task.directory / "log.txt").write_text("old words\n")
    events = execute([task], tries=1)
    assert "noise below Python" in events[-1].detail["note"]
    assert "old words" in (task.directory / "log.txt").read_text()


def test_a_failed_row_is_left_alone_unless_it_is_to_be_retried(tmp_path):
    task = task_of(tmp_path, seed=9)
    execute([task], tries=1)
    assert [event.kind for event in execute([task], tries=1)] == ["failed"]
    events = execute([task], tries=2, failed_rows="retry")
    assert [e.kind for e in events if e.kind in ("again", "failed")] == [
        "again",
        "failed",
    ]
    row = results.read_row(task.directory)
    assert row is not None
    assert row["attempts"] == 3


def test_a_crash_loop_over_many_calls_of_the_command_ends_as_well(tmp_path):
    task = task_of(tmp_path)
    for _ in range(3):  # each time the whole machine went away
        ledger.begin(task.directory)
        ledger.bury(task.directory, "gone", "It went.")
    events = execute([task], tries=3)
    assert [event.kind for event in events] == ["started", "failed"]
    assert not (tmp_path / "begun.jsonl").exists()
    row = results.read_row(task.directory)
    assert row is not None
    assert (row["note"], row["attempts"]) == ("It went.", 3)


def test_a_damaged_ledger_fails_its_run_alone_and_says_what_to_do(tmp_path):
    bad, good = task_of(tmp_path, 200), task_of(tmp_path, 100)
    ledger.begin(bad.directory)
    with (bad.directory / ledger.NAME).open("a") as file:
        file.write("no JSON\n")
    events = execute([bad, good])
    assert "delete the file" in of(events, bad)[-1].detail["note"]
    assert results.read_row(bad.directory) is None
    assert of(events, good)[-1].kind == "finished"


def test_a_file_in_the_way_of_a_run_is_named(tmp_path):
    task = task_of(tmp_path)
    task.directory.parent.mkdir()
    task.directory.write_text("in the way")
    with pytest.raises(ValueError, match="move the file that is in the way"):
        execute([task])


@pytest.fixture
def quick_looks(monkeypatch):
    monkeypatch.setattr(backlog, "LOOK_S", 0.05)


def test_a_run_of_another_sweep_is_left_to_it(tmp_path, quick_looks):
    theirs, mine = task_of(tmp_path, 200), task_of(tmp_path, 100)
    held, events = lease.acquire(theirs.directory), []

    def report(event: Event) -> None:
        events.append(event)
        if event.kind == "finished" and event.task is mine:  # the other one ends too
            row = results.identity(theirs.settings, theirs.cell, "factorial")
            results.write_row(theirs.directory, {**row, "status": "ok"})
            held.release()

    local.execute([theirs, mine], report, parallel=1, start="fakes:start")
    assert [event.kind for event in of(events, theirs)] == ["taken", "finished"]
    assert of(events, theirs)[0].detail["by"].endswith(f"pid {os.getpid()}")
    assert {line["run_id"] for line in begun(tmp_path)} == {mine.run_id}


def test_a_stale_lease_is_taken_over(tmp_path, quick_looks, monkeypatch):
    monkeypatch.setattr(lease, "EXPIRY_S", 0.3)
    task = task_of(tmp_path)
    monkeypatch.setattr(lease, "_machine", lambda: "another")
    monkeypatch.setattr(lease.Lease, "_keep", lambda held: None)  # it stands still
    held = lease.acquire(task.directory, lost=lambda: None)
    events = execute([task])
    kinds = [event.kind for event in events if event.kind != "progress"]
    assert kinds == ["taken", "started", "finished"]
    assert not held.held()


def test_workers_stay_on_their_cores_and_run_side_by_side(tmp_path):
    events = execute([task_of(tmp_path, seed=s) for s in (0, 1, 2, 3)], parallel=2)
    assert sum(event.kind == "finished" for event in events) == 4
    cores = {line["pid"]: line["cores"] for line in begun(tmp_path)}
    shares = local._shares_of(local._cores(), 2)
    assert all(mine in shares for mine in cores.values())


@pytest.mark.parametrize("grace_s", [30.0, 0.2])
def test_an_interrupt_lets_the_workers_save_in_time(tmp_path, grace_s):
    seed = 12 if grace_s > 1 else 19  # the second does not heed it
    tasks = [task_of(tmp_path, seed=seed), task_of(tmp_path, 200, seed=seed)]
    events: list[Event] = []

    def interrupt(event: Event) -> None:
        events.append(event)
        at_work = sum(e.detail.get("event") == "progress" for e in events)
        if event.detail.get("event") == "progress" and at_work == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        local.execute(
            tasks, interrupt, parallel=2, grace_s=grace_s, start="fakes:start"
        )
    saved = 40 if seed == 12 else None
    assert [ledger_of(task) for task in tasks] == [[("interrupted", None, saved)]] * 2
    assert results.read_row(tasks[0].directory) is None
    if seed == 12:
        assert {of(events, task)[-1].kind for task in tasks} == {"interrupted"}
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
    assert [local.parallel(None, n, hardware.ALL_DEVICES) for n in (0, 1, 3, 9)] == [
        1,
        1,
        3,
        4,
    ]
    monkeypatch.setattr(local.hardware, "has_accelerator", lambda: True)
    assert local.parallel(None, 9, hardware.ALL_DEVICES) == 1


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
