"""Seeds needed, against the figures of a known study and against simulation."""

import numpy as np
import pytest

from analysis import fit, inference, laws, power

# 5 budgets over 2 decades, seed deviation 285, slope 848 a decade.
KNOWN = power.Study(np.geomspace(1e5, 1e7, 5), 848.0, 285.0)


@pytest.mark.parametrize(
    ("difference", "fewest", "most"), [(0.5, 3, 4), (0.3, 8, 9), (0.2, 18, 22)]
)
def test_seeds_needed_by_the_known_study(difference, fewest, most):
    found = power.seeds_needed(KNOWN, difference)
    assert found.seeds is not None
    assert fewest <= found.seeds <= most
    enough = power.power_of_equal_slopes(KNOWN, difference, found.seeds)
    short = power.power_of_equal_slopes(KNOWN, difference, found.seeds - 1)
    assert short < power.POWER <= enough


@pytest.mark.parametrize(("seeds", "factor"), [(3, 1.8), (10, 1.37)])
def test_precision_of_the_multiplier_of_the_known_study(seeds, factor):
    assert power.multiplier_factor(KNOWN, seeds) == pytest.approx(factor, abs=0.03)


def test_no_slope_needs_more_seeds_than_anyone_has():
    assert power.seeds_needed(KNOWN._replace(slope=0.0), 0.5).seeds is None


def test_the_power_is_that_of_simulated_studies():
    generator, found, draws = np.random.default_rng(0), 0, 400
    frames = np.repeat(KNOWN.budgets, 8)
    for _ in range(draws):
        lines = [
            fit.fit_law(
                laws.LOG_LINEAR,
                frames,
                slope * np.log10(frames) + 285 * generator.normal(size=frames.size),
            )
            for slope in (848.0, 848.0 * 1.3)
        ]
        test = inference.equal_slopes(lines)
        assert test is not None
        found += test.p < 0.05
    assert found / draws == pytest.approx(
        power.power_of_equal_slopes(KNOWN, 0.3, 8), abs=0.07
    )


def test_the_power_of_one_slope_is_that_of_simulated_studies():
    weak = KNOWN._replace(slope=250.0)
    generator, found, draws = np.random.default_rng(1), 0, 400
    frames = np.repeat(KNOWN.budgets, 5)
    for _ in range(draws):
        noise = 285 * generator.normal(size=frames.size)
        line = fit.fit_law(laws.LOG_LINEAR, frames, 250 * np.log10(frames) + noise)
        interval = inference.coefficient_interval(line.linear, 1)
        assert interval is not None
        found += not interval.contains(0)
    expected = power.power_of_slope(weak, 5)
    assert found / draws == pytest.approx(expected, abs=0.07)
    seeds = power.seeds_to_see_slope(weak)
    assert seeds is not None
    assert power.power_of_slope(weak, seeds) >= power.POWER
    assert power.power_of_slope(weak, seeds - 1) < power.POWER
    assert power.seeds_to_see_slope(KNOWN._replace(slope=0.0)) is None


def test_seeds_for_the_exponent_go_with_the_square():
    assert power.seeds_for_exponent(1.0, 3, 0.5) == 12
    assert power.seeds_for_exponent(0.5, 4, 0.5) == 4
