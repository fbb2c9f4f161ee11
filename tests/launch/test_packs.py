"""Seeds of a cell in one worker: which, how their ends are told, what is refused."""

import csv
import dataclasses
import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from fake_tasks import SETTINGS, task_of

from launch import attempt, packs, sweep
from launch.executors import local
from launch.executors.task import Event, Task, no_mates
from scaling import config, ledger, results

FAKES = str(pathlib.Path(__file__).parent)
START = "packed_fakes:start"


@pytest.fixture(autouse=True)
def _workers_find_the_fakes(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", FAKES)


def execute(tasks, parallel=1, tries=2, **more) -> list[Event]:
    events: list[Event] = []
    rules = attempt.Rules(max_attempts=tries)
    how = {"start": START, "mates": packs.seeds_of_a_cell, "rules": rules}
    local.execute(tasks, events.append, parallel=parallel, **{**how, **more})
    return events


def kinds(events, task) -> list[str]:
    return [e.kind for e in events if e.task is task and e.kind != "progress"]


def made(directory) -> list[tuple[int, int]]:
    """Returns each attempt's seed, and how many runs were made side by side."""
    lines = (directory / "packs.jsonl").read_text().splitlines()
    return [tuple(json.loads(line)) for line in lines]


def pids(directory) -> dict[str, int]:
    lines = (directory / "begun.jsonl").read_text().splitlines()
    return {line["run_id"]: line["pid"] for line in map(json.loads, lines)}


def test_the_seeds_of_a_cell_are_made_in_one_worker_side_by_side(tmp_path):
    tasks = [task_of(tmp_path, n, seed) for n in (100, 200) for seed in (0, 1, 2)]
    events = execute(tasks)
    assert [kinds(events, task) for task in tasks] == [["started", "finished"]] * 6
    assert sorted(made(tmp_path)) == [(s, 3) for s in (0, 0, 1, 1, 2, 2)]
    assert {e.worker for e in events} == {0, 1, 2}  # each has a bar of its own
    for task in tasks:
        row = results.read_row(task.directory)
        assert row is not None
        assert row["score"] == task.cell.frames
        assert ledger.attempts(task.directory)[-1].reason == "finished"
    logs = [(task.directory / "log.txt").read_text() for task in tasks[:3]]
    assert logs[0].count("noise of a run") == 3
    assert f"../{tasks[0].run_id}/log.txt" in logs[1]


def test_two_workers_take_a_cell_each(tmp_path):
    tasks = [task_of(tmp_path, n, seed) for n in (100, 200) for seed in (0, 1)]
    execute([*tasks, task_of(tmp_path, 300)], parallel=2)
    assert sorted(made(tmp_path)) == [(0, 1), (0, 2), (0, 2), (1, 2), (1, 2)]
    found = pids(tmp_path)
    assert found[tasks[0].run_id] == found[tasks[1].run_id]


@pytest.mark.parametrize(
    ("seed", "tries", "note"),
    [
        (7, 2, "RuntimeError: out of luck"),
        (8, 1, "The cell is impossible; choose another."),
        (15, 1, "The loss is no number any more."),
    ],
)
def test_a_failing_seed_fails_alone_and_is_tried_again_by_itself(
    tmp_path, seed, tries, note
):
    tasks = [task_of(tmp_path, seed=s) for s in (0, 1, seed)]
    events = execute(tasks)
    assert [kinds(events, task) for task in tasks[:2]] == [["started", "finished"]] * 2
    again = ["started", "again"] * (tries - 1)
    assert kinds(events, tasks[2]) == [*again, "started", "failed"]
    assert made(tmp_path)[3:] == [(seed, 1)] * (tries - 1)
    row = results.read_row(tasks[2].directory)
    assert row is not None
    assert note in row["note"]


def test_a_worker_that_is_killed_takes_all_along_and_each_goes_on_by_itself(tmp_path):
    tasks = [task_of(tmp_path, seed=s) for s in (16, 116)]
    events = execute(tasks, tries=3)
    for task in tasks:
        assert events[-1].kind == "finished"
        first, *_, last = ledger.attempts(task.directory)
        assert (first.reason, last.reason) == ("gone", "finished")
        assert "SIGKILL" in (first.note or "")
    assert sorted(made(tmp_path)[:2]) == [(16, 2), (116, 2)]
    assert {together for _, together in made(tmp_path)[2:]} == {1}


def test_an_interrupt_lets_all_save(tmp_path):
    tasks = [task_of(tmp_path, seed=s) for s in (12, 112)]
    at_work = []

    def interrupt(event: Event) -> None:
        if event.kind == "progress" and "searched" in event.detail:
            at_work.append(event.task.run_id)
            if len(at_work) == 2:  # a second one would end all at once
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        local.execute(
            tasks, interrupt, parallel=1, start=START, mates=packs.seeds_of_a_cell
        )
    for task in tasks:
        (only,) = ledger.attempts(task.directory)
        assert (only.reason, only.saved) == ("interrupted", 40)
    assert len(set(pids(tmp_path).values())) == 1


def test_finished_seeds_are_left_out_of_what_is_made(tmp_path):
    tasks = [task_of(tmp_path, seed=s) for s in (0, 1, 2)]
    execute(tasks[1:2])
    events = execute(tasks)
    assert kinds(events, tasks[1]) == ["finished"]
    assert sorted(made(tmp_path)) == [(0, 2), (1, 1), (2, 2)]


def test_nothing_is_packed_unless_it_is_asked_for(tmp_path):
    execute([task_of(tmp_path, seed=s) for s in (0, 1)], mates=no_mates)
    assert sorted(made(tmp_path)) == [(0, 1), (1, 1)]


def of(settings=SETTINGS, **cell) -> Task:
    known = {"frames": 100, "fraction": 0.5, "seed": 0, **cell}
    task = task_of(pathlib.Path("x"))
    return dataclasses.replace(task, settings=settings, cell=config.Cell(**known))


@pytest.mark.parametrize(
    ("other", "together"),
    [
        (of(seed=1), True),
        (of(frames=200, seed=1), False),
        (of(fraction=0.9, seed=1), False),
        (of(fraction=0.0, control_for=0.5, seed=1), False),
    ],
)
def test_only_seeds_of_one_cell_are_packed(other, together):
    assert packs.seeds_of_a_cell(of(), other) is together


@pytest.mark.parametrize(
    ("change", "fraction", "words"),
    [
        ({}, 0.5, None),
        ({"env": "gymnasium:CartPole-v1"}, 0.0, "stepped on the host"),
        ({}, 1.0, "own copy of the data"),
        ({"sources": "recent:0.5,demonstrations:0.5"}, 0.5, "own copy of the data"),
        ({"sources": "recent:0.5,best:0.5"}, 0.5, "copied whole"),
        ({"sources": "recent:0.5,best:0.5"}, 0.0, None),
    ],
)
def test_what_runs_apart_is_said_with_its_reason(change, fraction, words):
    settings = dataclasses.replace(SETTINGS, **change)
    one, other = (of(settings, fraction=fraction, seed=seed) for seed in (0, 1))
    assert packs.seeds_of_a_cell(one, other) is (words is None)
    told = packs.warnings(settings, [one.cell, other.cell])
    assert [words in sentence for sentence in told if words] == [True] * bool(words)
    assert len(told) == bool(words)
    assert all(f"{fraction:.6g} run apart" in sentence for sentence in told)


def test_groups_hold_each_run_once():
    tasks = [of(frames=n, seed=s) for s in (0, 1, 2) for n in (100, 200)]
    found = packs.groups(tasks, packs.seeds_of_a_cell)
    assert [[t.cell.seed for t in group] for group in found] == [[0, 1, 2]] * 2
    assert packs.groups(tasks, no_mates) == [[task] for task in tasks]
    assert packs.groups([], no_mates) == []


SMALL = ["--preset", "demo", "--budgets", "2e3,4e3", "--fractions", "0,0.5"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--executor", "slurm"], "this is --executor slurm"),
        (["--executor", "ray"], "this is --executor ray"),
        (["--mesh.model", "2"], "--mesh.model 2 spreads"),
        (["--track", "tensorboard,wandb"], "one run of a process at a time"),
        (
            ["--coordinator", "h:1", "--process-id", "0", "--num-processes", "2"],
            "one worker process",
        ),
    ],
)
def test_where_runs_cannot_be_packed_it_is_refused(
    flags, message, tmp_path, monkeypatch
):
    monkeypatch.setattr(sweep.executing, "check", lambda *_: None)
    with pytest.raises(ValueError, match=message) as caught:
        sweep.sweep([*SMALL, "--pack-seeds", "--out", str(tmp_path / "o"), *flags])
    assert str(caught.value).endswith(".")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Runs a sweep of fake runs into a directory of its own."""
    fake = functools.partial(local.execute, start=START)
    monkeypatch.setattr(local, "execute", fake)

    def call(*flags: str) -> tuple[int, str]:
        status = sweep.sweep([*SMALL, "--out", str(tmp_path / "out"), *flags])
        return status, capsys.readouterr().out

    return call


def table(tmp_path) -> list[dict[str, str]]:
    with (tmp_path / "out" / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_sweep_packs_and_its_study_is_the_same_one(run, tmp_path):
    flags = ["--parallel", "2", "--seeds"]
    assert run(*flags, "1")[0] == 0
    status, out = run(*flags, "3", "--pack-seeds")
    assert status == 0
    assert "4 finished already and skipped" in out
    assert out.count("started") == 8
    assert len(table(tmp_path)) == 12
    together = [*[(0, 1)] * 4, *[(1, 2)] * 4, *[(2, 2)] * 4]
    assert sorted(made(tmp_path / "out")) == together


def test_the_plan_says_what_runs_apart(run, tmp_path):
    flags = ["--env", "gymnasium:CartPole-v1", "--protocol.random-start", "0"]
    flags += ["--protocol.view", "board", "--protocol.sticky", "0"]
    status, out = run(*flags, "--pack-seeds", "--dry-run")
    assert status == 0
    assert "fraction 0, 0.5 run apart in spite of --pack-seeds" in out
    assert not (tmp_path / "out").exists()


SWEEP_OF_FAKES = """
import functools
from launch import command, sweep
from launch.executors import local
local.execute = functools.partial(local.execute, start="packed_fakes:start")
command.run(sweep.sweep, sweep.GO_ON)
"""


def sweep_process(tmp_path, *flags: str) -> subprocess.Popen:
    command = [sys.executable, "-c", SWEEP_OF_FAKES, *SMALL, *flags]
    return subprocess.Popen(
        [*command, "--parallel", "1", "--pack-seeds", "--out", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_sigterm_saves_the_seeds_and_the_same_command_goes_on(tmp_path):
    flags = ["--budgets", "2e3", "--fractions", "0", "--first-seed", "12"]
    process = sweep_process(tmp_path, *flags, "--seeds", "2")
    end = time.monotonic() + 30
    while not any("-s12-" in line for line in lines_of(tmp_path / "out")):
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    assert "interrupted: The run was asked to stop." in out
    for pid in pids(tmp_path / "out").values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    again = sweep_process(tmp_path, *flags, "--seeds", "2")
    out, errors = again.communicate(timeout=60)
    assert again.returncode == 0, errors
    assert "goes on from call 40" in out
    assert {row["seed"]: row["resumes"] for row in table(tmp_path)} == {
        "12": "1",
        "13": "0",
    }


def lines_of(directory) -> list[str]:
    path = directory / "begun.jsonl"
    return path.read_text().splitlines() if path.exists() else []
