"""Figures show what they say, and have a place each."""

import pathlib

import numpy as np
import pandas as pd
import pytest
from matplotlib import colors

from analysis import (
    diagnostic_plots,
    drawing,
    efficiency_plots,
    gallery,
    inference,
    study,
    table,
)


def runs(folder: pathlib.Path, budgets=5, **columns):
    generator = np.random.default_rng(0)
    rows = [
        {
            **{"frames": n, "fraction": f, "seed": s, "searched_states": n / (1 - f)},
            "score": (10 + 90 * f) * np.log10(n / 1e3) + 5 * generator.normal(),
            **columns,
        }
        for f in (0.0, 0.9)
        for n in np.geomspace(1e4, 1e6, budgets).round()
        for s in range(3)
    ]
    pd.DataFrame(rows).to_csv(folder / "runs.csv", index=False)
    return table.read_tables([folder / "runs.csv"])


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    found = runs(tmp_path_factory.mktemp("gallery"))
    return study.analyse(found, study.Options(profiled=False)), found


def test_residuals_are_those_of_the_cells(here):
    made = diagnostic_plots.residuals(here[0])
    assert made is not None
    line = here[0].fits[1].line
    mine = made.data[made.data["curve"] == "0.9"]["standard_errors"]
    assert mine.tolist() == pytest.approx(inference.residual_pattern(line))
    assert len(made.figure.axes[0].lines) == 3  # two curves and the zero


def test_the_profile_crosses_its_limit_at_the_ends_of_the_interval(here):
    made = diagnostic_plots.exponent_profile(here[0])
    assert made is not None
    mine = made.data[made.data["curve"] == "0.9"]
    low, high = here[0].fits[1].exponent
    inside = mine[(mine["lambda"] > low) & (mine["lambda"] < high)]
    outside = mine[(mine["lambda"] < low) | (mine["lambda"] > high)]
    assert np.all(inside["excess"] <= 1)
    assert np.all(outside["excess"] >= 1)


def test_extrapolation_leaves_the_largest_budget_out(here):
    made = diagnostic_plots.extrapolation(here[0])
    assert made is not None
    row = made.data.iloc[1]
    fine = here[1][here[1]["fraction"] == 0.9]
    rest = fine[fine["data_frames"] < 1e6]
    slope, level = np.polyfit(np.log10(rest["data_frames"]), rest["score"], 1)
    assert row["predicted"] == pytest.approx(level + 6 * slope)
    last = fine[fine["data_frames"] == 1e6]["score"]
    assert row["observed"] == pytest.approx(last.mean())


def test_the_heat_map_writes_on_colours_that_the_page_does_not_change(here):
    made = diagnostic_plots.heat_map(here[0])
    assert made is not None
    written = {colors.to_hex(text.get_color()) for text in made.figure.axes[0].texts}
    assert written <= {diagnostic_plots.ON_DARK, diagnostic_plots.ON_LIGHT}
    assert len(made.data) == 10


def test_figures_that_a_table_does_not_allow_are_left_out(tmp_path):
    bare = runs(tmp_path, budgets=2).drop(columns="searched_states")
    found = study.analyse(
        bare.assign(searched_states=np.nan), study.Options(profiled=False)
    )
    names = [each.name for each in gallery.of_environment(found, bare, compare=False)]
    assert names == ["score_vs_frames", "residuals", "heat_map", "frames_to_score"]


def test_score_against_compute_has_every_cell(here):
    made = efficiency_plots.score_against_compute(*here)
    assert made is not None
    assert len(made.data) == 10
    best = made.data.sort_values("compute").iloc[-1]
    assert best["compute"] == pytest.approx(1e7)
    assert best["pareto"]


@pytest.mark.parametrize(
    ("envs", "folders"),
    [
        (["one"], [""]),
        (["a:B", "a_b", "a/b"], ["a_B", "a_b-2", "a_b-3"]),
        (["..", "x"], ["env", "x"]),
    ],
)
def test_folders_are_plain_and_distinct(envs, folders):
    assert gallery.folders(envs) == folders


@pytest.mark.parametrize(
    ("low", "high", "budgets"),
    [(1e4, 1e6, 5), (1e3, 3e9, 20), (2e4, 9e4, 30), (1e5, 1e5, 1), (1.0, 1.2, 9)],
)
def test_ticks_are_few_and_inside(low, high, budgets):
    found = drawing.ticks(np.geomspace(low, high, budgets))
    assert 1 <= len(found) <= 8
    assert np.all((found >= low / 1.31) & (found <= high * 1.31))
