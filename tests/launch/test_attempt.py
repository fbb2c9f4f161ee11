"""One attempt: what comes of each way to end, and what the disk says."""

import errno
import os
import pathlib

import fakes
import pytest
from fake_tasks import task_of

from launch import attempt, errors, interruption
from launch.executors import backlog, together
from scaling import lease, ledger, peers, results

RULES = attempt.Rules(max_attempts=2)


def make(task, rules=RULES, stop=lambda: False) -> attempt.Outcome:
    begun = attempt.begin(task, rules)
    if isinstance(begun, attempt.Attempt):
        return begun.run(fakes.run, lambda detail: None, stop)
    return begun


@pytest.mark.parametrize(
    ("seed", "outcome", "reason"),
    [
        (0, {"event": "finished"}, "finished"),
        (7, {"event": "again", "note": "RuntimeError: out of luck"}, "failed"),
        (8, {"event": "failed", "status": "failed"}, "failed"),
        (15, {"event": "failed", "status": "diverged"}, "diverged"),
        (18, {"event": "stopped"}, "interrupted"),
        (12, {"event": "interrupted", "got_on": True}, "interrupted"),
    ],
)
def test_what_comes_of_an_attempt_and_the_lease_is_given_back(
    tmp_path, seed, outcome, reason
):
    task = task_of(tmp_path, seed=seed)
    assert outcome.items() <= make(task, stop=lambda: True).items()
    assert [a.reason for a in ledger.attempts(task.directory)] == [reason]
    assert lease.Observer().look(task.directory) is None
    row = results.read_row(task.directory)
    has_row = outcome["event"] in ("finished", "failed")
    assert (row is not None) == has_row


def test_a_run_that_another_process_makes_is_taken(tmp_path):
    task = task_of(tmp_path)
    with lease.acquire(task.directory):
        outcome = make(task)
    assert outcome["event"] == "taken"
    assert outcome["by"].endswith(f"pid {os.getpid()}")
    assert not ledger.attempts(task.directory)


def test_what_another_process_has_finished_is_not_made_again(tmp_path):
    task = task_of(tmp_path)
    assert make(task)["event"] == "finished"
    assert make(task)["row"]["attempts"] == 1
    assert len(ledger.attempts(task.directory)) == 1


def test_an_attempt_without_an_end_is_gone_and_counts(tmp_path):
    task = task_of(tmp_path)
    ledger.begin(task.directory)
    assert make(task)["row"]["attempts"] == 2
    first, second = ledger.attempts(task.directory)
    assert (first.reason, second.reason) == ("gone", "finished")
    assert f"pid {os.getpid()}" in (first.note or "")


def test_a_library_that_has_a_status_of_its_own_is_a_failure(tmp_path):
    error = RuntimeError("no such page")
    error.status = 404  # pyright: ignore[reportAttributeAccessIssue]
    assert errors.row_status(error) == "failed"


def test_a_damaged_row_fails_its_run_alone_and_is_kept(tmp_path):
    task = task_of(tmp_path)
    task.directory.mkdir(parents=True)
    path = task.directory / "result.json"
    path.write_text("{")
    assert "delete it to run the cell again" in make(task)["note"]
    assert path.read_text() == "{"


STUDY = pathlib.Path("study")
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def wrapped(error):
    try:
        raise ValueError("Error writing chunk") from error
    except ValueError as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "way"),
    [
        (FULL, "free some space"),
        (wrapped(FULL), "free some space"),
        (RuntimeError("tensorstore: No space left on device [28]"), "free some space"),
        (OSError(errno.EDQUOT, "Quota", "x"), "free some of your quota"),
        (OSError(errno.EROFS, "Read-only", "study/runs/a"), "make it writable"),
        (OSError(errno.EACCES, "Denied", "study/runs/a"), "make it writable"),
        (OSError(errno.EACCES, "Denied", "roms/pacman.bin"), None),
        (OSError(errno.EEXIST, "Exists", "study/runs/a"), "move the file"),
        (FileNotFoundError(errno.ENOENT, "Nothing", "study/runs/a"), None),
        (RuntimeError("out of luck"), None),
    ],
)
def test_errors_of_the_disk_say_what_to_do(error, way):
    said = errors.of_the_disk(error, STUDY)
    assert (said is None) == (way is None)
    if way is not None and said is not None:
        assert way in said
        assert errors.is_sentence(ValueError(said))


def test_one_process_waits_for_a_run_of_another(tmp_path, monkeypatch):
    monkeypatch.setattr(backlog, "LOOK_S", 0.02)
    monkeypatch.setattr(together.worker, "start_real_runs", lambda: fakes.run)
    tasks, told = [task_of(tmp_path, seed=seed) for seed in (0, 1)], []
    held = lease.acquire(tasks[1].directory)  # the one that comes first

    def report(event) -> None:
        if event.kind in ("taken", "finished"):
            told.append((event.kind, event.task.cell.seed))
        if told[-1:] == [("finished", 0)]:
            held.release()

    flag = interruption.Flag()
    together.execute(tasks, tasks, report, peers.Alone(), rules=RULES, stop=flag)
    assert told == [("taken", 1), ("finished", 0), ("finished", 1)]


def test_one_process_that_waits_can_be_interrupted(tmp_path, monkeypatch):
    monkeypatch.setattr(backlog, "LOOK_S", 0.02)
    task, flag = task_of(tmp_path), interruption.Flag()
    with lease.acquire(task.directory), pytest.raises(interruption.Terminated):
        together.execute(
            [task],
            [task],
            lambda event: flag.set(),
            peers.Alone(),
            rules=RULES,
            stop=flag,
        )
