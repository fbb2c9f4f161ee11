"""Frames to a score and crossovers of lines."""

import numpy as np
import pytest

from analysis import fit, laws, reach, table

FRAMES = np.repeat(np.geomspace(1e4, 1e6, 5), 6)


def pair(level, slope, seed=0, noise=2.0, label="0.95"):
    draw = np.random.default_rng(seed).normal(size=FRAMES.size)
    score = level + slope * np.log10(FRAMES / 1e4) + noise * draw
    curve = table.Curve(label, 0.95, None, FRAMES, score, np.zeros(0), 0)
    return curve, fit.fit_law(laws.LOG_LINEAR, FRAMES, score)


def test_frames_to_a_score_are_read_off_the_line():
    found = reach.frames_to_score(*pair(0, 100), 100.0)
    assert found is not None
    assert found.frames.value == pytest.approx(1e5, rel=0.1)
    assert found.frames.set.kind == "bounded"
    assert found.frames.set.low < 1e5 < found.frames.set.high
    assert found.censored == ""
    assert found.first_budget in (1e5, pytest.approx(10**5.5))


def test_the_set_holds_the_scores_that_the_line_does_not_reject():
    curve, line = pair(0, 100)
    found = reach.frames_to_score(curve, line, 100.0)
    assert found is not None
    for end in found.frames.set[1:]:
        half = fit.pointwise_band(line, np.array([end]))
        assert half is not None
        gap = abs(float(fit.predict(line, np.array([end]))[0]) - 100)
        assert gap == pytest.approx(float(half[0]), rel=1e-6)


@pytest.mark.parametrize(
    ("score", "censored", "first"),
    [(1000.0, ">largest", None), (-50.0, "<smallest", 1e4)],
)
def test_scores_outside_the_budgets_are_kept_as_censored(score, censored, first):
    found = reach.frames_to_score(*pair(0, 100), score)
    assert found is not None
    assert found.censored == censored
    assert found.first_budget == first


def test_a_flat_line_leaves_the_frames_unidentified():
    found = reach.frames_to_score(*pair(0, 0, noise=20.0), 5.0)
    assert found is not None
    assert found.frames.set.kind != "bounded"


def test_targets_are_quarters_of_the_range_of_means():
    curves = [pair(0, 100, noise=0.0)[0], pair(0, 200, noise=0.0)[0]]
    assert reach.targets(curves) == [100, 200, 300]
    assert reach.targets([pair(7, 0, noise=0.0)[0]]) == []


def test_lines_cross_where_they_are_equal():
    low, high = pair(0, 100, 1, label="0"), pair(-50, 150, 2)
    (found,) = reach.crossovers([low, high])
    assert (found.first, found.second) == ("0", "0.95")
    assert found.frames.value == pytest.approx(1e5, rel=0.3)
    assert found.within
    at = np.array([found.frames.value])
    assert fit.predict(low[1], at) == pytest.approx(fit.predict(high[1], at))
    assert found.frames.set.low < 1e5 < found.frames.set.high


def test_parallel_lines_have_no_identified_crossover():
    (found,) = reach.crossovers([pair(0, 100, 1), pair(50, 100, 2)])
    assert found.frames.set.kind != "bounded"
    assert reach.crossovers([pair(0, 100)]) == []
