"""Laws of frames and searched states are recovered, or refused by name."""

import math

import numpy as np
import pytest
import statsmodels.api as sm

from analysis import surfaces

FRAMES, FRACTION = (
    grid.ravel() for grid in np.meshgrid(np.geomspace(1e4, 1e6, 5), [0.0, 0.5, 0.95])
)
PAIRS = np.repeat(np.column_stack([FRAMES, FRAMES / (1 - FRACTION)]), 3, axis=0)
NOISE = np.random.default_rng(2).normal(size=len(PAIRS))
CENTRE = np.exp(np.mean(np.log(np.unique(PAIRS, axis=0)), axis=0))
N, U = (PAIRS / CENTRE).T


def test_the_semi_log_surface_is_the_least_squares_of_statsmodels():
    score = 100 + 20 * np.log10(N) + 30 * np.log10(U) + NOISE
    found = surfaces.fit_surface(surfaces.SEMI_LOG, PAIRS, score)
    n, u = np.log10(N), np.log10(U)
    columns = np.column_stack([np.ones(n.size), n, u, n * u])
    reference = sm.OLS(score, columns).fit(cov_type="HC3", use_t=True)
    np.testing.assert_allclose(found.linear.coefficients, reference.params)
    for interval, ends in zip(
        surfaces.coefficient_intervals(found), reference.conf_int(), strict=True
    ):
        assert interval == pytest.approx(tuple(ends), rel=1e-8)


def test_the_power_surface_is_recovered_without_noise():
    score = 50 - 8 * N**-0.4 - 3 * U**-0.7
    found = surfaces.fit_surface(surfaces.POWER, PAIRS, score)
    assert found.shapes == pytest.approx([0.4, 0.7], rel=1e-4)
    assert found.linear.coefficients == pytest.approx([50, 8, 3], rel=1e-4)
    assert found.status == "converged"


@pytest.mark.parametrize("law", surfaces.SURFACES, ids=lambda law: law.name)
def test_printed_formula_equals_the_prediction(law):
    score = 50 - 8 * N**-0.4 - 3 * U**-0.7 + NOISE
    found = surfaces.fit_surface(law, PAIRS, score)
    text = surfaces.formula(found)
    printed = [
        eval(text, {"log10": math.log10}, {"frames": n, "searched_states": u})
        for n, u in PAIRS
    ]
    np.testing.assert_allclose(printed, surfaces.predict(found, PAIRS), rtol=1e-9)


@pytest.mark.parametrize(
    "pairs",
    [
        np.column_stack([PAIRS[:, 0], 4 * PAIRS[:, 0]]),
        np.column_stack([np.geomspace(1e4, 1e6, 9), np.full(9, 1e6)]),
    ],
    ids=["one fraction", "path"],
)
def test_a_surface_that_is_not_identified_is_refused_by_name(pairs):
    score = np.arange(len(pairs), dtype=float)
    with pytest.raises(ValueError, match=r"two-variable semi-log law is not identif"):
        surfaces.fit_surface(surfaces.SEMI_LOG, pairs, score)


def test_too_few_cells_are_refused():
    with pytest.raises(ValueError, match="two-variable power law has 5 parameters"):
        surfaces.fit_surface(surfaces.POWER, PAIRS[:18:3], np.arange(6.0))
