"""The figure shows every run, says what it compares, and never changes."""

import numpy as np
import pandas as pd
import pytest

from analysis import cells as cell_table
from analysis import drawing, plots, table
from analysis import verdict as verdicts


def panel(lost=(), fractions=(0.0, 0.5, 0.95), budgets=3, seeds=3, steps=1.0):
    rng = np.random.default_rng(0)
    rows = [
        (
            "game",
            f,
            float("nan"),
            n,
            100 + 100 * f * np.log10(n) + 9 * rng.normal(),
            "ok",
        )
        for f in fractions
        for n in np.geomspace(1e4, 1e5, budgets)
        for _ in range(seeds)
    ]
    names = ["env", "fraction", "control", "data_frames", "score", "status"]
    runs = pd.DataFrame(rows, columns=pd.Index(names)).assign(curve_of="")
    curves = [c._replace(lost=np.array(lost)) for c in table.curves(runs)]
    drawn = [plots.DrawnCurve(c, verdicts.judge(c).line, "a note") for c in curves]
    cells = cell_table.cells(runs)
    return plots.Panel("game", tuple(drawn), cells, steps, "frames", "a caption")


@pytest.mark.parametrize(
    ("count", "label"),
    [
        (10_000, "10k"),
        (200_000, "200k"),
        (2e6, "2M"),
        (2e9, "2B"),
        (3e12, "3T"),
        (2e16, "2e+16"),
        (999, "999"),
    ],
)
def test_counts_are_short(count, label):
    assert drawing.count_label(count) == label


def test_the_svg_is_text_and_the_same_each_time():
    first = drawing.saved(plots.score_against_frames([panel()]), "svg")
    again = drawing.saved(plots.score_against_frames([panel()]), "svg")
    assert first == again
    text = first.decode()
    for shown in ("10k", "100k", "a caption", "0.95:  a note", "bands: simultaneous"):
        assert shown in text
    assert "dc:date" not in text
    assert "agent steps" not in text


def test_agent_steps_stand_above_where_a_step_has_frames():
    figure = plots.score_against_frames([panel(steps=4.0)])
    text = drawing.saved(figure, "svg").decode()
    assert "agent steps" in text
    assert "2.5k" in text


def test_every_seed_is_a_dot_and_every_lost_run_a_cross():
    figure = plots.score_against_frames([panel(lost=[1e4, 1e5])])
    axes = figure.axes[0]
    dots = sum(
        len(np.asarray(c.get_offsets()))
        for c in axes.collections
        if type(c).__name__ == "PathCollection"
    )
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert dots == 27
    assert [len(np.asarray(line.get_xdata())) for line in crosses] == [2, 2, 2]
    assert "×: failed or diverged" in drawing.saved(figure, "svg").decode()


@pytest.mark.parametrize(
    ("budgets", "seeds", "fractions"),
    [
        (1, 1, (0.5,)),
        (1, 3, (0.0, 0.5)),
        (2, 1, (0.0,)),
        (9, 1, np.linspace(0, 0.9, 7)),
    ],
)
def test_studies_of_any_size_are_drawn_without_a_warning(budgets, seeds, fractions):
    some = panel(budgets=budgets, seeds=seeds, fractions=tuple(fractions))
    png = drawing.saved(plots.score_against_frames([some]), "png")
    assert png.startswith(b"\x89PNG")


def test_many_environments_make_a_grid_of_panels():
    figure = plots.score_against_frames([panel()] * 5)
    captions = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert captions.count("a caption") == 5


def test_a_panel_whose_runs_are_all_lost_is_drawn():
    some = panel(lost=[1e4])
    empty = some.curves[0].curve._replace(frames=np.zeros(0), score=np.zeros(0))
    drawn = (plots.DrawnCurve(empty, None, "not fitted"),)
    figure = plots.score_against_frames([some._replace(curves=drawn)])
    assert drawing.saved(figure, "png")


@pytest.mark.parametrize(("most", "rasterised"), [(53, True), (54, False)])
def test_dots_are_rasterised_by_their_number_in_the_whole_figure(
    monkeypatch, most, rasterised
):
    monkeypatch.setattr(plots, "MOST_DOTS", most)
    figure = plots.score_against_frames([panel()] * 2)  # 27 dots each
    text = drawing.saved(figure, "svg").decode()
    assert ("<image" in text) == rasterised
    assert "0.95:  a note" in text
