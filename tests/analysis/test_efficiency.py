"""Cells, ratios and the data multiplier."""

import numpy as np
import pandas as pd
import pytest

from analysis import efficiency, table

FRAMES = np.repeat(np.geomspace(1e4, 1e6, 5), 4)


def curve(label, fraction, control, intercept, slope, seed, noise=5.0):
    draw = np.random.default_rng(seed).normal(size=FRAMES.size)
    score = intercept + slope * np.log10(FRAMES) + noise * draw
    return table.Curve(label, fraction, control, FRAMES, score, np.zeros(0), 0)


BASE = curve("0", 0.0, None, 0, 100, 1)


def test_the_multiplier_of_parallel_lines_is_their_horizontal_distance():
    better = curve("0.95", 0.95, None, 70, 100, 2)
    found = efficiency.data_multiplier(better, BASE)
    assert found is not None
    for ratio in (found.everywhere, found.at_largest):
        assert ratio.set.kind == "bounded"
        assert ratio.set.low < 10**0.7 < ratio.set.high
        assert ratio.set.low < ratio.value < ratio.set.high
    assert found.supported == pytest.approx(10)
    assert found.equal_slopes is not None
    assert found.equal_slopes.p > 0.05


def test_a_flat_base_leaves_the_multiplier_unidentified():
    better = curve("0.95", 0.95, None, 0, 100, 2)
    flat = curve("0", 0.0, None, 50, 0, 3, noise=30)
    found = efficiency.data_multiplier(better, flat)
    assert found is not None
    assert found.at_largest.set.kind != "bounded"


def test_one_budget_has_no_multiplier():
    single = BASE._replace(frames=FRAMES[:4], score=BASE.score[:4])
    assert efficiency.data_multiplier(single, BASE) is None


def test_multipliers_compare_with_fraction_0_and_with_the_control():
    curves = [
        BASE,
        curve("0.5", 0.5, None, 30, 100, 2),
        curve("0.95", 0.95, None, 70, 100, 3),
        curve("control for 0.95", 0.0, 0.95, 20, 100, 4),
    ]
    pairs = [(m.of, m.base) for m in efficiency.multipliers(curves)]
    assert pairs == [("0.5", "0"), ("0.95", "0"), ("0.95", "control for 0.95")]


@pytest.mark.parametrize(
    ("ratio", "covariance", "kind"),
    [
        ((6.0, 3.0), [[0.01, 0.0], [0.0, 0.01]], "bounded"),
        ((6.0, 3.0), [[0.5, 0.6], [0.6, 1.0]], "bounded"),
        ((6.0, 0.3), [[0.01, 0.0], [0.0, 0.1]], "two rays"),
        ((0.1, 0.1), [[1.0, 0.0], [0.0, 1.0]], "everything"),
    ],
)
def test_fieller_sets_hold_exactly_what_the_t_test_does_not_reject(
    ratio, covariance, kind
):
    covariance, t2 = np.array(covariance), 1.9842169515**2  # t, 100 degrees
    found = efficiency.fieller(ratio, covariance, 100)
    assert found.kind == kind
    for value in np.linspace(-30, 30, 601):
        direction = np.array([1, -value])
        distance = (direction @ ratio) ** 2 / (direction @ covariance @ direction)
        inside = {
            "bounded": found.low <= value <= found.high,
            "two rays": value <= found.low or value >= found.high,
            "everything": True,
        }[kind]
        assert inside == (distance <= t2)


def runs(rows):
    names = ["env", "fraction", "control", "data_frames", "score", "status"]
    return pd.DataFrame(rows, columns=pd.Index(names))


def test_cells_have_mean_median_and_ratios():
    nan = float("nan")
    rows = [("e", 0.0, nan, 100.0, s, "ok") for s in (1.0, 2.0, 6.0)]
    rows += [("e", 0.9, nan, 100.0, s, "ok") for s in (6.0, 6.0, 15.0)]
    rows += [("e", 0.0, 0.9, 100.0, s, "ok") for s in (3.0, 3.0, 3.0)]
    rows += [("e", 0.9, nan, 900.0, nan, "failed")]
    found = efficiency.cells(runs(rows))
    best = found[(found["fraction"] == 0.9) & (found["frames"] == 100)].iloc[0]
    assert (best["mean"], best["median"], best["runs"]) == (9, 6, 3)
    assert best["sd"] == pytest.approx(np.std([6, 6, 15], ddof=1))
    assert best["high"] - best["mean"] == pytest.approx(12.908, abs=1e-3)  # t, 2
    assert best["mean_ratio_to_fraction_0"] == 3
    assert best["median_ratio_to_fraction_0"] == 3
    assert best["mean_ratio_to_control"] == 3
    assert best["median_ratio_to_control"] == 2
    lost = found[found["frames"] == 900].iloc[0]
    assert (lost["runs"], lost["not_ok"]) == (0, 1)
    assert np.isnan(lost["mean"])


def test_ratios_to_a_score_that_is_not_positive_are_empty():
    nan = float("nan")
    rows = [("e", 0.0, nan, 10.0, -2.0, "ok"), ("e", 0.5, nan, 10.0, 4.0, "ok")]
    ratios = efficiency.cells(runs(rows))["mean_ratio_to_fraction_0"]
    assert np.isnan(ratios.to_numpy(float)).all()
