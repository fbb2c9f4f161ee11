"""Profile intervals end where the sum of squares says."""

import numpy as np
import pytest
from scipy import optimize, stats

from analysis import fit, laws, profile, search

FRAMES = np.repeat(np.geomspace(1e5, 1e7, 7), 4)
X = np.log10(FRAMES) - 6
NOISE = np.random.default_rng(4).normal(size=FRAMES.size)


def test_the_interval_of_the_exponent_ends_where_the_sum_of_squares_says():
    fitted = fit.fit_law(laws.BOX_COX, FRAMES, 3 * X + NOISE)
    found = profile.shape_interval(fitted)
    assert found is not None
    n = fitted.frames / fitted.reference
    rows = search.Rows(n, fitted.score, np.ones(n.size))
    low, high = (
        search.sum_of_squares(laws.BOX_COX, rows, np.array([end])) for end in found
    )
    assert low == pytest.approx(high, rel=1e-6)
    degrees = n.size - 3
    plain = stats.f.ppf(0.95, 1, degrees) * fitted.rss / degrees
    assert (low - fitted.rss) / plain == pytest.approx(1, abs=0.5)  # the HC3 factor


@pytest.mark.parametrize("index", range(4))
def test_profiles_equal_a_minimisation_over_all_other_parameters(index):
    score = 10 / (1 + np.exp(-X / 0.3)) + 0.3 * NOISE
    fitted = fit.fit_law(laws.SIGMOID, FRAMES, score)
    found = profile.profile_interval(fitted, index)
    assert found is not None
    values = np.concatenate([fitted.linear.coefficients, fitted.shapes])
    n = fitted.frames / fitted.reference

    def left(others, held):
        whole = np.insert(others, index, held)
        return score - laws.sigmoid_basis(n, *whole[2:]) @ whole[:2]

    rises = []
    for end in found:
        best = optimize.least_squares(left, np.delete(values, index), args=(end,))
        rises.append(2 * best.cost - fitted.rss)
    assert rises[0] == pytest.approx(rises[1], rel=2e-3)
    assert found.low < values[index] < found.high


def test_a_parameter_without_a_limit_has_an_infinite_end():
    fitted = fit.fit_law(laws.SHIFTED_POWER, FRAMES, 3 * X + NOISE)
    found = profile.parameters(fitted)
    assert found["log10_offset"].method == "profile"
    assert found["alpha"].interval is not None
    assert not np.isfinite(found["alpha"].interval).all()


def test_linear_laws_and_laws_of_many_shapes_say_their_method():
    frames = np.repeat(np.geomspace(1e5, 1e7, 11), 3)
    score = np.log10(frames) + np.random.default_rng(0).normal(size=33)
    line = profile.parameters(fit.fit_law(laws.LOG_LINEAR, frames, score))
    many = profile.parameters(fit.fit_law(laws.BROKEN, frames, score))
    assert {found.method for found in line.values()} == {"HC3-t"}
    assert {found.method for found in many.values()} == {"tangent HC3-t"}


def test_no_noise_is_no_interval():
    fitted = fit.fit_law(laws.BOX_COX, FRAMES, laws.box_cox(FRAMES / 1e6, 0.5))
    assert profile.shape_interval(fitted) is None
    assert profile.profile_interval(fitted, 0) is None


def test_intervals_transform_as_scores_do():
    fitted = fit.fit_law(laws.SIGMOID, FRAMES, 3 * X + NOISE)
    moved = fit.fit_law(laws.SIGMOID, FRAMES, (3 * X + NOISE) * 1e6 - 40)
    plain = profile.profile_interval(fitted, 1)
    scaled = profile.profile_interval(moved, 1)
    assert plain is not None
    assert scaled is not None
    assert np.array(scaled) == pytest.approx(np.array(plain) * 1e6, rel=1e-2)
