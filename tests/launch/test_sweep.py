"""The sweep: what it plans, refuses, runs, skips, goes on with and leaves behind."""

import csv
import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from launch import sweep
from launch.executors import local

FAKES = str(pathlib.Path(__file__).parent)
SMALL = ["--preset", "demo", "--budgets", "2e3,4e3", "--fractions", "0,0.5"]


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Runs a sweep of fake runs into a directory of its own."""
    monkeypatch.setenv("PYTHONPATH", FAKES)
    fake = functools.partial(local.execute, start="fakes:start")
    monkeypatch.setattr(local, "execute", fake)

    def call(*flags: str) -> tuple[int, str]:
        status = sweep.sweep([*SMALL, "--out", str(tmp_path / "out"), *flags])
        return status, capsys.readouterr().out

    return call


def table(tmp_path):
    with (tmp_path / "out" / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def begun(tmp_path) -> dict[str, int]:
    """Returns the process of every run that was begun, the last if several."""
    path = tmp_path / "out" / "begun.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return {run["run_id"]: run["pid"] for run in map(json.loads, lines)}


def test_every_cell_is_run_and_lands_in_the_table(run, tmp_path):
    status, out = run("--seeds", "2", "--parallel", "2")
    assert status == 0
    cells = {(r["frames"], r["fraction"], r["seed"]) for r in table(tmp_path)}
    assert len(table(tmp_path)) == len(cells) == 8
    assert {row["note"] for row in table(tmp_path)} == {"allocated 4000"}
    assert out.count("started") == 8
    assert f"Next: python analysis/fit_scaling.py --results {tmp_path / 'out'}" in (
        out.replace("\n", "")
    )


def test_finished_runs_are_skipped_and_the_grid_can_grow(run, tmp_path):
    run("--seeds", "1")
    assert len(begun(tmp_path)) == 4
    status, out = run("--seeds", "2", "--budgets", "2e3,4e3,6e3")
    assert status == 0
    assert "4 finished already and skipped" in out
    assert (out.count("started"), len(begun(tmp_path))) == (8, 12)
    _, out = run("--seeds", "2")
    assert "0 to run" in out
    assert "started" not in out
    assert len(begun(tmp_path)) == len(table(tmp_path)) == 12


def test_a_failed_cell_leaves_a_row_and_the_rest_go_on(run, tmp_path):
    status, out = run("--first-seed", "6", "--seeds", "4")  # 7 and 8 raise, 9 exits
    assert status == 1
    rows = {
        (row["frames"], row["fraction"], row["seed"]): row for row in table(tmp_path)
    }
    assert len(rows) == 16
    assert {r["status"] for r in rows.values() if r["seed"] == "6"} == {"ok"}
    failed = [row for row in rows.values() if row["status"] == "failed"]
    assert len(failed) == 12
    assert rows["2000", "0.0", "7"]["note"] == "RuntimeError: out of luck"
    assert rows["2000", "0.0", "7"]["score"] == ""
    assert "exit status 9" in rows["2000", "0.5", "9"]["note"]
    assert out.count("FAILED") == 12


def test_failed_runs_are_run_again_and_it_says_so(run, tmp_path, monkeypatch):
    run("--first-seed", "7", "--seeds", "1")
    status, out = run("--first-seed", "7", "--seeds", "1")
    assert status == 1
    assert "4 of them failed before and run again" in out
    assert {row["attempts"] for row in table(tmp_path)} == {"2"}


def test_a_run_that_wrote_its_row_before_its_worker_died_is_finished(run, tmp_path):
    status, out = run("--first-seed", "14", "--seeds", "1")
    assert status == 0
    assert {row["status"] for row in table(tmp_path)} == {"ok"}
    assert "FAILED" not in out


def test_controls_are_runs_of_their_own(run, tmp_path):
    run("--seeds", "1", "--control", "updates")
    assert sorted((r["fraction"], r["control"]) for r in table(tmp_path)) == [
        *[("0.0", "")] * 2,
        *[("0.0", "0.5")] * 2,
        *[("0.5", "")] * 2,
    ]


def test_a_dry_run_prints_the_plan_and_writes_nothing(run, tmp_path):
    status, out = run("--dry-run", "--seeds", "1")
    assert status == 0
    assert "searched states" in out
    assert "4 runs, 18,000 searched states: 4 to run." in out
    assert not (tmp_path / "out").exists()


def test_a_path_design_derives_its_fractions(tmp_path, capsys):
    flags = ["--preset", "demo", "--design", "path", "--budgets", "2e3,2e4"]
    sweep.sweep(
        [*flags, "--searches", "4e4", "--dry-run", "--out", str(tmp_path / "o")]
    )
    out = capsys.readouterr().out
    assert "0.95" in out
    assert "0.5" in out
    assert "6 runs, 240,000 searched states" in out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--budgets", "2e8..1e5"], "--budgets '2e8..1e5' is not a range"),
        (["--budgets", ""], "--budgets is empty"),
        (["--budgets", "3"], "use at least"),
        (["--fractions", "0,1.5"], "--fractions has 1.5"),
        (["--fractions", "0.5,0.50"], "0.5 twice"),
        (["--fractions", "1"], "data set"),
        (["--preset", "huge"], "'huge'"),
        (["--preset=huge"], "'huge'"),
        (["--env", "jumanji:PackMan-v1"], "PacMan-v1"),
        (["--env", "PacMan-v1"], "'PacMan-v1'"),
        (["--samples-per-search", "nan"], "--samples-per-search is nan"),
        (["--learner.learning-rate", "inf"], "--learner.learning-rate is inf"),
        (["--environments", "0"], "--environments is 0"),
        (["--shards", "3"], "power of two"),
        (["--learner.discount", "1.5"], r"must lie in \[0, 1\]"),
        (["--seeds", "0"], "--seeds"),
        (["--parallel", "0"], "--parallel"),
        (["--searches", "1e5"], "leave it out"),
        (["--design", "path"], "--fractions 0,0.5 cannot be chosen"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(run, tmp_path, flags, message):
    with pytest.raises(ValueError, match=message) as caught:
        run(*flags)
    assert str(caught.value).endswith(".")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "give it with --searches"),
        (["--searches", "lots"], "--searches has 'lots'"),
        (["--searches", "1e3"], "more than the 1000 states that --searches allows"),
    ],
)
def test_bad_path_designs_are_refused(flags, message):
    with pytest.raises(ValueError, match=message):
        sweep.sweep(["--preset", "demo", "--design", "path", *flags])


def test_the_directory_of_another_study_is_refused_by_the_difference(run, tmp_path):
    run("--seeds", "1")
    before = (tmp_path / "out" / "results.csv").read_bytes()
    with pytest.raises(
        ValueError, match=r"--learner.discount is 0.\d+ there, 0.5 here"
    ):
        run("--seeds", "1", "--learner.discount", "0.5")
    assert (tmp_path / "out" / "results.csv").read_bytes() == before
    assert len(begun(tmp_path)) == 4


def test_a_damaged_row_is_refused_and_no_other_run_harmed(run, tmp_path):
    run("--seeds", "1")
    path = next(tmp_path.glob("out/runs/*/result.json"))
    path.write_text("{")
    with pytest.raises(ValueError, match="delete it to run the cell again"):
        run("--seeds", "2")
    path.unlink()
    assert run("--seeds", "2")[0] == 0
    assert len(table(tmp_path)) == 8


def test_an_unwritable_directory_is_refused(run, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ValueError, match="choose another directory with --out"):
        run("--seeds", "1")


SWEEP_OF_FAKES = """
import functools
from launch import command, sweep
from launch.executors import local
local.execute = functools.partial(local.execute, start="fakes:start")
command.run(sweep.sweep, sweep.GO_ON)
"""


def sweep_process(tmp_path, *flags: str) -> subprocess.Popen:
    out = ["--out", str(tmp_path / "out")]
    return subprocess.Popen(
        [sys.executable, "-c", SWEEP_OF_FAKES, *SMALL, *out, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": FAKES},
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_is_finished_and_leaves_nothing_running(
    tmp_path, number
):
    flags = ["--first-seed", "12", "--seeds", "2", "--parallel", "1"]
    process = sweep_process(tmp_path, *flags)
    wait_until(lambda: any("-s12-" in run for run in begun(tmp_path)))  # it sleeps
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    assert [(row["seed"], row["status"]) for row in table(tmp_path)] == [("13", "ok")]
    for pid in begun(tmp_path).values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def wait_until(happened, seconds=30):
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_a_refusal_is_one_sentence_and_status_2(tmp_path):
    process = sweep_process(tmp_path, "--fractions", "2")
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert errors.startswith("Error: --fractions has 2")
    assert errors.count("\n") == 1
    assert out == ""
    assert not list(tmp_path.iterdir())
