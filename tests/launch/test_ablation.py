"""The ablation: its columns, what it refuses, and that it goes on where it stopped."""

import csv
import functools
import json
import pathlib

import pytest

from launch import ablation, ablation_columns
from launch.executors import local
from scaling import config, presets, selection

FAKES = str(pathlib.Path(__file__).parent)
DEMO = presets.preset("demo").settings
ONLINE = ["--preset", "demo", "--budget", "2e3", "--fraction", "0.5", "--seeds", "2"]

SECOND_OF_TWO = ["--coordinator", "localhost:1", "--process-id", "1"]
SECOND_OF_TWO += ["--num-processes", "2"]


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Runs an ablation of fake runs into a directory of its own."""
    monkeypatch.setenv("PYTHONPATH", FAKES)
    fake = functools.partial(local.execute, start="fakes:start")
    monkeypatch.setattr(local, "execute", fake)

    def call(*flags: str) -> tuple[int, str]:
        out = ["--out", str(tmp_path / "out"), "--parallel", "1"]
        status = ablation.ablation([*ONLINE, *out, *flags])
        return status, capsys.readouterr().out

    return call


def table(directory):
    with (directory / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_columns_of_the_paper_are_read():
    found = ablation_columns.parse(ablation_columns.OF_THE_PAPER)
    assert [column.name for column in found] == [
        "supervised-0",
        "supervised-1",
        "supervised-5",
        "crr-5",
        "reanalyse-5",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "write TARGET:UNROLL"),
        ("supervised", "write TARGET:UNROLL"),
        ("supervised:-1", "write TARGET:UNROLL"),
        ("cloning:5", "a target out of reanalyse, supervised, crr"),
        ("crr:5,crr:5", "lists one twice"),
        ("crr:5,reanalyse:0", "a search needs a model"),
    ],
)
def test_other_columns_are_refused(text, words):
    with pytest.raises(ValueError, match=words):
        ablation_columns.parse(text)


@pytest.mark.parametrize("acts", [True, False])
@pytest.mark.parametrize("column", ablation_columns.parse("crr:0,crr:1,reanalyse:3"))
def test_every_column_is_evaluated_in_every_way_that_it_can_be(column, acts):
    found = ablation_columns.settings_of(column, DEMO, acts)
    selection.check(found, [0.5 if acts else 1.0])
    ways = {found.evaluation.action, *found.evaluation.also}
    assert ways == {"policy", "value"} | ({"mcts"} if column.unroll_steps else set())
    assert (found.learner.target, found.learner.unroll_steps) == column


def test_online_what_learns_without_a_search_acts_without_one():
    crr, search = ablation_columns.parse("crr:5,reanalyse:5")
    acting = ablation_columns.settings_of(crr, DEMO, acts=True).acting
    assert acting == config.Acting(action="value", epsilon=0.1)
    needs = selection.needs(ablation_columns.settings_of(crr, DEMO, True), True)
    assert not needs.search
    assert ablation_columns.settings_of(search, DEMO, acts=True).acting == DEMO.acting
    assert ablation_columns.settings_of(crr, DEMO, acts=False).acting == DEMO.acting


def test_each_column_is_a_study_and_finished_ones_are_skipped(run, tmp_path):
    columns = ("--columns", "supervised:0,reanalyse:5")
    status, out = run(*columns)
    assert status == 0
    assert out.count("started") == 4
    for name, target, steps in (
        ("supervised-0", "supervised", 0),
        ("reanalyse-5", "reanalyse", 5),
    ):
        directory = tmp_path / "out" / name
        assert {row["seed"] for row in table(directory)} == {"0", "1"}
        learner = json.loads((directory / "study.json").read_text())["settings"][
            "learner"
        ]
        assert (learner["target"], learner["unroll_steps"]) == (target, steps)
    assert "started" not in run(*columns)[1]
    assert run("--columns", "crr:1,reanalyse:5")[1].count("started") == 2


def test_a_dry_run_writes_nothing(run, tmp_path):
    status, out = run("--dry-run")
    assert status == 0
    assert out.count("to run") >= 5
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--preset", "demo"], "give one of these pairs"),
        (["--preset", "demo", "--budget", "2e3"], "give one of these pairs"),
        ([*ONLINE, "--fraction", "1"], "needs a data set"),
        ([*ONLINE, "--fraction", "1.5"], "choose values in"),
        ([*ONLINE, "--searches", "1e5"], "is for a data set"),
        ([*ONLINE, "--budget", "1e3,2e3"], "lists several budgets"),
        ([*ONLINE, "--dataset", "nowhere"], "leave one of them out"),
        ([*ONLINE, "--columns", "reanalyse:0"], "a search needs a model"),
        ([*ONLINE, *SECOND_OF_TWO], "with launch/sweep.py"),
    ],
)
def test_contradictions_are_refused_and_nothing_is_written(flags, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        ablation.ablation([*flags, "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
