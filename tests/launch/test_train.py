"""One run in this process, and evaluating it again."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import types

import fakes
import pytest

from launch import evaluate, interruption, study, train, worker
from scaling import config, execution, ledger, presets, results

SETTINGS = presets.preset("demo").settings


FLAGS = ["--preset", "demo", "--frames", "4e3", "--fraction", "0.5"]


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Makes a fake run; returns the exit status and what was printed."""
    monkeypatch.setattr(worker, "start_real_runs", lambda: fakes.run)

    def call(seed=0, *flags):
        out = ["--seed", str(seed), "--out", str(tmp_path), *flags]
        return train.train([*FLAGS, *out]), capsys.readouterr().out

    return call


def one_task(tmp_path, seed=0):
    cell = config.Cell(frames=4000, fraction=0.5, seed=seed)
    planned = study.plan(SETTINGS, [cell], tmp_path)
    return study.tasks(SETTINGS, planned, tmp_path, execution.DEFAULT)[0]


def row_of(tmp_path, seed):
    return results.read_row(one_task(tmp_path, seed).directory)


def test_a_run_leaves_its_row(run, tmp_path):
    status, out = run()
    row = row_of(tmp_path, 0)
    assert row is not None
    assert (status, row["status"], row["frames"]) == (0, "ok", 4000)
    assert (row["attempts"], row["resumes"]) == (1, 0)
    assert "score 4,000.0" in out


def test_a_refusal_leaves_a_row_and_is_left_alone(run, tmp_path):
    shown = []
    for _ in range(2):
        status, out = run(8)
        shown.append(out)
        assert status == 1
        row = row_of(tmp_path, 8)
        assert row is not None
        assert (row["status"], row["attempts"]) == ("failed", 1)
    assert "1 failed before and left alone" in shown[1]
    run(8, "--retry-failed")
    assert "The cell is impossible" in (tmp_path / "results.csv").read_text()
    row = row_of(tmp_path, 8)
    assert row is not None
    assert row["attempts"] == 2


def test_a_failure_is_raised_and_leaves_a_row_when_tries_are_used_up(run, tmp_path):
    for tries in (1, 2):
        assert row_of(tmp_path, 7) is None
        with pytest.raises(RuntimeError, match="out of luck"):
            run(7, "--max-attempts", "2")
        made = ledger.attempts(one_task(tmp_path, 7).directory)
        assert [attempt.reason for attempt in made] == ["failed"] * tries
    row = row_of(tmp_path, 7)
    assert row is not None
    assert (row["status"], row["note"]) == ("failed", "RuntimeError: out of luck")
    assert "out of luck" in (tmp_path / "results.csv").read_text()


def test_a_divergence_is_a_failed_row_at_once(run, tmp_path):
    assert run(15)[0] == 1
    row = row_of(tmp_path, 15)
    assert row is not None
    assert row["status"] == "diverged"


@pytest.mark.parametrize(
    ("seed", "error"), [(22, KeyboardInterrupt), (17, interruption.Terminated)]
)
def test_a_signal_saves_the_run_and_it_goes_on(run, tmp_path, seed, error):
    with pytest.raises(KeyboardInterrupt) as caught:
        run(seed)
    assert caught.type is error
    assert row_of(tmp_path, seed) is None
    status, out = run(seed)
    assert status == 0
    assert "goes on from call 40" in out
    row = row_of(tmp_path, seed)
    assert row is not None
    assert (row["attempts"], row["resumes"]) == (2, 1)


def test_a_signal_is_an_exit_status_and_a_word_on_how_to_go_on(tmp_path):
    process = train_process(tmp_path, 12)
    wait_for_file(tmp_path / "begun.jsonl")
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75
    assert errors.splitlines() == [
        "",
        interruption.SAVING,
        "",
        f"Interrupted. {train.GO_ON}",
    ]


def test_a_run_that_does_not_save_in_time_is_ended(tmp_path):
    process = train_process(tmp_path, 19, "--grace", "0.3")
    wait_for_file(tmp_path / "begun.jsonl")
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 75
    assert "has not saved within 0.3 s (--grace)" in errors


def test_a_second_interrupt_ends_a_run_at_once(tmp_path):
    process = train_process(tmp_path, 19)
    wait_for_file(tmp_path / "begun.jsonl")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "Saving" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    made = ledger.attempts(one_task(tmp_path, 19).directory)
    assert [attempt.reason for attempt in made] == ["interrupted"]


TRAIN_A_FAKE = """
import fakes
from launch import command, train, worker
worker.start_real_runs = lambda: fakes.run
command.run(train.train, train.GO_ON)
"""


def train_process(tmp_path, seed, *flags):
    fake = str(pathlib.Path(__file__).parent)
    out = ["--seed", str(seed), "--out", str(tmp_path), *flags]
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN_A_FAKE, *FLAGS, *out],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": fake},
    )


def wait_for_file(path, seconds=60):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, "it did not begin"
        time.sleep(0.05)
    time.sleep(0.1)


def test_training_writes_the_layout_of_a_sweep(run, tmp_path):
    shown = [run(3)[1] for _ in range(2)]
    assert ["started" in out for out in shown] == [True, False]
    assert "1 finished already and skipped" in shown[1]
    (path,) = tmp_path.glob("runs/*/result.json")
    assert path.parent.name.startswith("jumanji_PacMan_v1-4000-f0.5-s3-")
    assert (tmp_path / "results.csv").exists()


def finished_run(tmp_path, **row):
    task = one_task(tmp_path)
    task.directory.mkdir(parents=True)
    values = {"settings": config.as_dict(SETTINGS), "cell": config.as_dict(task.cell)}
    results.write_atomically(task.directory / "config.json", json.dumps(values))
    if row:
        results.write_row(task.directory, row)
    return task.directory


def test_a_finished_run_is_evaluated_again(tmp_path, monkeypatch, capsys):
    directory = finished_run(tmp_path, status="ok", score=1.0)
    calls = []

    def again(*arguments):
        calls.append(arguments)
        film = {"video_return": 5.0, "video_steps": 9}
        score = {"score": 1234.5, "score_sd": 6.0, "eval_episodes": 7}
        return {**score, **film, "returns": []}

    fake_sharding = types.SimpleNamespace(start=lambda: None)
    fake_run = types.SimpleNamespace(evaluate_again=again)
    monkeypatch.setitem(sys.modules, "scaling.sharding", fake_sharding)
    monkeypatch.setitem(sys.modules, "scaling.run", fake_run)
    monkeypatch.setattr("scaling.sharding", fake_sharding, raising=False)
    monkeypatch.setattr("scaling.run", fake_run, raising=False)
    assert evaluate.evaluate([str(directory), "--episodes", "7"]) == 0
    assert "score 1,234.5 (sd 6.0 over 7 episodes)" in capsys.readouterr().out
    assert evaluate.evaluate([str(directory), "--video", "a.gif"]) == 0
    shown = "Video: a.gif (episode 1 of 7: return 5.0 in 9 steps)"
    assert shown in capsys.readouterr().out
    assert evaluate.evaluate([str(directory), "--action", "value"]) == 0
    assert calls == [
        (directory, 7, None, None),
        (directory, None, pathlib.Path("a.gif"), None),
        (directory, None, None, "value"),
    ]


@pytest.mark.parametrize(
    ("row", "flags", "message"),
    [
        ({}, [], "is not finished"),
        ({"status": "failed", "note": "bad luck"}, [], r"failed \(bad luck\)"),
        ({"status": "ok"}, ["--episodes", "0"], "--episodes is 0"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(tmp_path, row, flags, message):
    directory = finished_run(tmp_path, **row)
    with pytest.raises(ValueError, match=message):
        evaluate.evaluate([str(directory), *flags])
