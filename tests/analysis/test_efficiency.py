"""The data multiplier of one curve on another."""

import numpy as np
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
