"""The sweep: what it plans, refuses, runs, skips, goes on with and leaves behind."""

import csv
import errno
import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from launch import study, sweep
from launch.executors import local
from scaling import results

FAKES = str(pathlib.Path(__file__).parent)
ONE = ["--budgets", "2e3", "--fractions", "0", "--seeds", "1", "--parallel", "1"]
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
    flags = ["--max-attempts", "2", "--parallel", "2", "--budgets", "2e3"]
    status, out = run("--first-seed", "6", "--seeds", "4", *flags)
    assert status == 1
    rows = {
        (row["frames"], row["fraction"], row["seed"]): row for row in table(tmp_path)
    }
    assert len(rows) == 8
    assert {r["status"] for r in rows.values() if r["seed"] == "6"} == {"ok"}
    failed = [row for row in rows.values() if row["status"] == "failed"]
    assert len(failed) == 6  # 7 raises, 8 refuses, 9 exits
    assert rows["2000", "0.0", "7"]["note"] == "RuntimeError: out of luck"
    assert rows["2000", "0.0", "7"]["score"] == ""
    assert "exit status 9" in rows["2000", "0.5", "9"]["note"]
    tries = {(row["seed"], row["attempts"], row["resumes"]) for row in failed}
    assert tries == {("7", "2", "0"), ("8", "1", "0"), ("9", "2", "0")}
    assert out.count("FAILED") == 6
    assert out.count("attempt 1 failed and is made again") == 4


def test_failed_runs_are_left_alone_unless_they_are_to_be_retried(run, tmp_path):
    flags = [*ONE, "--first-seed", "8", "--seeds", "2", "--max-attempts", "1"]
    assert run(*flags)[0] == 1
    status, out = run(*flags)
    assert status == 1
    assert "0 to run, 2 failed before and left alone (--retry-failed runs" in out
    assert out.count("Failed: ") == 2
    assert {row["attempts"] for row in table(tmp_path)} == {"1"}
    status, out = run(*flags, "--retry-failed")
    assert status == 1
    assert "2 to run, 2 of them failed before and run again" in out
    assert {row["attempts"] for row in table(tmp_path)} == {"2"}


def test_a_run_killed_after_a_checkpoint_goes_on_and_finishes(run, tmp_path):
    status, out = run(*ONE, "--first-seed", "16")
    assert status == 0
    assert "goes on from call 40. Checkpoint 80 is torn." in out
    assert {(r["attempts"], r["resumes"]) for r in table(tmp_path)} == {("2", "1")}


def test_runs_that_cannot_get_on_are_left_with_the_status_to_resume(run, tmp_path):
    flags = [*ONE, "--first-seed", "20"]
    status, out = run(*flags, "--max-attempts", "2")
    assert status == 75
    assert out.count("Interrupted: ") == 1
    assert table(tmp_path) == []
    _, out = run(*flags, "--dry-run")
    assert "1 to run, 1 of them begun before and gone on with" in out


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
        (["--max-attempts", "0"], "--max-attempts"),
        (["--grace", "-1"], "--grace"),
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


def test_a_directory_that_can_be_read_but_not_written_is_refused(
    run, tmp_path, monkeypatch
):
    run(*ONE)

    def refuse(**_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(study.tempfile, "TemporaryFile", refuse)
    with pytest.raises(ValueError, match="Read-only file system"):
        run(*ONE, "--seeds", "2")
    assert len(table(tmp_path)) == len(begun(tmp_path)) == 1


def test_a_disk_that_fills_stops_the_sweep_in_a_sentence(run, tmp_path):
    run(*ONE)
    with pytest.raises(ValueError, match="free some space, and use the same") as caught:
        run(*ONE, "--first-seed", "18")  # finds it full
    assert str(caught.value).endswith(".")
    assert [row["seed"] for row in table(tmp_path)] == ["0"]
    assert len(list(tmp_path.glob("out/runs/*-s18-*/result.json"))) == 0


def test_a_disk_too_full_for_the_table_is_a_sentence(run, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(results, "write_atomically", refuse)
    monkeypatch.setattr(study, "claim", lambda *_: (tmp_path / "out").mkdir())
    with pytest.raises(ValueError, match="free some space"):
        run(*ONE)
    assert not (tmp_path / "out" / "results.csv").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"settings": 3}', "\xff"])
def test_a_damaged_study_is_refused(run, tmp_path, text):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "study.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"study\.json is damaged"):
        run(*ONE)


def test_a_study_of_an_older_version_is_refused_with_what_to_do(run, tmp_path):
    run(*ONE)
    path = tmp_path / "out" / "study.json"
    values = json.loads(path.read_text())
    del values["settings"]["precision"], values["settings"]["learner"]["discount"]
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError, match="another version") as caught:
        run(*ONE, "--seeds", "2")
    assert "(learner.discount, precision)" in str(caught.value)
    assert len(begun(tmp_path)) == 1


def test_a_row_of_another_version_is_refused_and_no_run_harmed(run, tmp_path):
    run(*ONE)
    path = next(tmp_path.glob("out/runs/*/result.json"))
    row = json.loads(path.read_text())
    path.write_text(json.dumps({**row, "elo": 3}))
    with pytest.raises(ValueError, match="its columns elo are unknown here"):
        run(*ONE, "--seeds", "2")
    assert len(begun(tmp_path)) == len(table(tmp_path)) == 1


def test_a_damaged_ledger_is_refused_before_anything_is_run(run, tmp_path):
    run(*ONE)
    path = next(tmp_path.glob("out/runs/*/attempts.jsonl"))
    path.write_text("{\n")
    with pytest.raises(ValueError, match=r"Line 1 of .*attempts.jsonl is damaged"):
        run(*ONE, "--seeds", "2")
    path.unlink()
    assert run(*ONE, "--seeds", "2")[0] == 0


def test_a_damaged_row_of_another_grid_is_left_out_of_the_table(run, tmp_path):
    run(*ONE)
    path = next(tmp_path.glob("out/runs/*/result.json"))
    path.write_text("{")
    status, out = run(*ONE, "--budgets", "6e3")
    assert status == 1
    assert f"Not in the table: {path} is not valid JSON" in out
    assert [row["frames"] for row in table(tmp_path)] == ["6000"]


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


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)]
)
def test_an_interrupt_saves_and_the_same_command_goes_on(tmp_path, number, status):
    flags = [*ONE, "--first-seed", "12", "--seeds", "2"]
    process = sweep_process(tmp_path, *flags)
    wait_until(lambda: any("-s12-" in run for run in begun(tmp_path)))  # it is long
    process.send_signal(number)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    assert "interrupted: The run was asked to stop." in out
    assert all(row["seed"] == "13" for row in table_if_any(tmp_path))
    for pid in begun(tmp_path).values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    again = sweep_process(tmp_path, *flags)
    out, _ = again.communicate(timeout=60)
    assert again.returncode == 0
    assert "goes on from call 40" in out
    made = {row["seed"]: (row["attempts"], row["resumes"]) for row in table(tmp_path)}
    assert made == {"12": ("2", "1"), "13": ("1", "0")}


def table_if_any(tmp_path):
    return table(tmp_path) if (tmp_path / "out" / "results.csv").exists() else []


def test_a_second_interrupt_ends_at_once(tmp_path):
    process = sweep_process(tmp_path, *ONE, "--first-seed", "19")
    wait_until(lambda: begun(tmp_path))  # it does not heed the first one
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.0)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
    for pid in begun(tmp_path).values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_two_sweeps_share_a_directory_and_make_every_run_once(tmp_path):
    flags = ["--seeds", "2", "--parallel", "1"]
    sweeps = [sweep_process(tmp_path, *flags) for _ in range(2)]
    for process in sweeps:
        _, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, "")
    lines = (tmp_path / "out" / "begun.jsonl").read_text().splitlines()
    runs = [json.loads(line)["run_id"] for line in lines]
    assert len(runs) == len(set(runs)) == len(table(tmp_path)) == 8
    assert {row["attempts"] for row in table(tmp_path)} == {"1"}


def test_a_sweep_takes_up_the_runs_of_one_that_was_killed(tmp_path):
    flags = [*ONE, "--first-seed", "12"]
    killed = sweep_process(tmp_path, *flags)
    wait_until(lambda: begun(tmp_path))
    killed.kill()
    killed.communicate()
    again = sweep_process(tmp_path, *flags)  # the worker sees it, saves and ends
    out, errors = again.communicate(timeout=60)
    assert again.returncode == 0, errors
    assert "goes on from call 40" in out
    assert [row["attempts"] for row in table(tmp_path)] == ["2"]


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
