"""A very large table is analysed in time; processes change nothing."""

import os
import pathlib
import resource
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from analysis import atari57, files, study, table

SCRIPT = pathlib.Path(__file__).parents[2] / "analysis" / "fit_scaling.py"


def large(games, budgets, seeds):
    generator = np.random.default_rng(0)
    frames = np.geomspace(2e5, 2e8, budgets).round()
    grid = pd.MultiIndex.from_product(
        [games, [0.0, 0.5, 0.95], frames, range(seeds)],
        names=["env", "fraction", "frames", "seed"],
    ).to_frame(index=False)
    rise = 10 + 30 * grid["fraction"]
    noise = 15 * generator.normal(size=len(grid))
    states = (grid["frames"] / (1 - grid["fraction"])).round()
    score = rise * np.log10(grid["frames"]) + noise
    return grid.assign(score=score, searched_states=states)


@pytest.mark.slow
def test_100_000_rows_take_less_than_two_minutes_on_two_cores(tmp_path):
    games = [f"atari:{game}" for game in sorted(atari57.GAMES)]
    rows = large(games, 6, 98)
    assert len(rows) > 100_000
    rows.to_csv(tmp_path / "runs.csv", index=False)
    start = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--table", "runs.csv"],
        cwd=tmp_path,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = time.perf_counter() - start
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    size = (tmp_path / "report.html").stat().st_size
    print(f"\n{len(rows):,} rows: {wall:.0f} s, {spent:.0f} s of cores, {size:,} bytes")
    assert done.returncode == 0, done.stderr
    assert spent < 150  # of the 240 that two cores have in two minutes
    assert size < 20e6


@pytest.mark.slow
def test_processes_find_what_one_process_finds(tmp_path, monkeypatch):
    large(["a", "b"], 2, 2).to_csv(tmp_path / "runs.csv", index=False)
    paths = [tmp_path / "runs.csv"]
    runs = table.read_tables(paths)
    alone = files.analysed(runs, paths, study.Options(), compare=False)
    monkeypatch.setattr(files, "PARALLEL_RUNS", 0)
    monkeypatch.setattr(files.os, "sched_getaffinity", lambda _: {0, 1})
    together = files.analysed(runs, paths, study.Options(), compare=False)
    assert together.files == alone.files


def test_a_directory_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "figures").write_text("in the way")
    with pytest.raises(ValueError, match="name another directory with --out"):
        files.write(tmp_path, {"figures/a.svg": b""})
