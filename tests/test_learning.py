"""Real studies on real games, through the commands that users type."""

import csv
import pathlib
import statistics
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
pytestmark = pytest.mark.slow


def sweep(out: pathlib.Path, *flags: str) -> list[dict[str, str]]:
    """Runs a sweep and returns the rows of its table."""
    command = [sys.executable, "launch/sweep.py", *flags, "--out", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=1500)
    with (out / "results.csv").open() as file:
        return list(csv.DictReader(file))


def scores(rows: list[dict[str, str]]) -> list[float]:
    assert all(row["status"] == "ok" for row in rows)
    return sorted(float(row["score"]) for row in rows)


def test_cartpole_is_learned_from_30_000_frames(tmp_path):
    flags = ["--preset", "cartpole", "--budgets", "3e4", "--fractions", "0.9"]
    assert scores(sweep(tmp_path, *flags))[1] >= 400  # two of three seeds


def test_pacman_without_random_starts_is_learned_from_10_000_frames(tmp_path):
    """A check of the learner itself, in the setting of docs/demo.md."""
    flags = ["--preset", "demo", "--budgets", "1e4", "--fractions", "0.98"]
    setting = ["--protocol.random-start", "0", "--learner.batch-size", "256"]
    setting += ["--learner.schedule", "constant", "--replay.window-share", "1"]
    assert statistics.median(scores(sweep(tmp_path, *flags, *setting))) >= 450


def test_atari_trains_evaluates_and_lands_in_the_table(tmp_path):
    flags = ["--preset", "atari-small", "--budgets", "2e4", "--fractions", "0,0.5"]
    rows = sweep(tmp_path, *flags, "--seeds", "1", "--evaluation.episodes", "4")
    assert len(scores(rows)) == 2
    for row in rows:
        assert row["env"] == "atari:MsPacman"
        assert int(row["agent_steps"]) == 5000
        assert float(row["realised_fraction"]) == float(row["fraction"])
