"""One run in this process, and evaluating it again."""

import json
import pathlib
import sys
import types

import fakes
import pytest

from launch import display, evaluate, progress, study, train, worker
from scaling import config, execution, presets, results

SETTINGS = presets.preset("demo").settings


def one_task(tmp_path, seed=0):
    cell = config.Cell(frames=4000, fraction=0.5, seed=seed)
    study.claim(tmp_path, SETTINGS)
    planned = study.plan(SETTINGS, [cell], tmp_path)
    return study.tasks(SETTINGS, planned, tmp_path, execution.DEFAULT)[0]


def make(task):
    with progress.display_for(display.console(), [task], 1) as show:
        train.make(task, show, start=lambda: fakes.run)


def test_a_run_leaves_its_row(tmp_path, capsys):
    task = one_task(tmp_path)
    make(task)
    row = results.read_row(task.directory)
    assert row is not None
    assert (row["status"], row["frames"]) == ("ok", 4000)
    assert "score 4,000.0" in capsys.readouterr().out


def test_a_failure_leaves_a_row_and_is_raised(tmp_path):
    task = one_task(tmp_path, seed=7)
    with pytest.raises(RuntimeError, match="out of luck"):
        make(task)
    row = results.read_row(task.directory)
    assert row is not None
    assert (row["status"], row["note"]) == ("failed", "RuntimeError: out of luck")
    assert "out of luck" in (tmp_path / "results.csv").read_text()


def test_training_writes_the_layout_of_a_sweep(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(worker, "start_real_runs", lambda: fakes.run)
    flags = ["--preset", "demo", "--frames", "4e3", "--fraction", "0.5"]
    for _ in range(2):
        assert train.train([*flags, "--seed", "3", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.count("started") == 1
    assert "1 finished already and skipped" in out
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
    assert calls == [(directory, 7, None), (directory, None, pathlib.Path("a.gif"))]


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
