"""Least squares and HC3 equal their references; laws are recovered."""

import numpy as np
import pytest
import statsmodels.api as sm

from analysis import fit, laws, search

RNG = np.random.default_rng(7)
FRAMES = np.repeat(np.geomspace(1e4, 1e6, 5), 3)
SCORE = 50 + 40 * np.log10(FRAMES / 1e5) + RNG.normal(size=15) * np.sqrt(FRAMES / 1e5)


def hc3_by_definition(columns, residuals):
    bread = np.linalg.inv(columns.T @ columns)
    meat = np.zeros_like(bread)
    for x, e in zip(columns, residuals, strict=True):
        meat += np.outer(x, x) * e**2 / (1 - x @ bread @ x) ** 2
    return bread @ meat @ bread


def test_hc3_equals_its_definition_and_statsmodels():
    columns = laws.quadratic_basis(FRAMES / 1e5)
    linear = fit.ordinary_least_squares(columns, SCORE)
    reference = sm.OLS(SCORE, columns).fit(cov_type="HC3", use_t=True)
    assert linear.covariance is not None
    np.testing.assert_allclose(linear.coefficients, reference.params, rtol=1e-10)
    np.testing.assert_allclose(linear.covariance, reference.cov_params(), rtol=1e-9)
    by_definition = hc3_by_definition(columns, linear.residuals)
    np.testing.assert_allclose(linear.covariance, by_definition, rtol=1e-9)


def test_a_saturated_fit_has_no_covariance():
    two = np.array([1e4, 1e5])
    fitted = fit.fit_law(laws.LOG_LINEAR, two, np.array([1.0, 2.0]))
    assert fitted.linear.coefficients == pytest.approx([1.5, 1.0])
    assert fitted.linear.covariance is None
    assert fit.simultaneous_band(fitted, two) is None


def test_a_run_that_alone_decides_a_coefficient_leaves_no_covariance():
    frames = np.array([1e4, 1e4, 1e4, 1e6])  # leverage 1 at the last
    fitted = fit.fit_law(laws.LOG_LINEAR, frames, np.array([1.0, 2.0, 3.0, 9.0]))
    assert fitted.linear.covariance is None


@pytest.mark.parametrize(
    ("law", "budgets"), [(laws.LOG_LINEAR, 1), (laws.BOX_COX, 4), (laws.QUADRATIC, 2)]
)
def test_too_few_budgets_are_refused(law, budgets):
    frames = np.repeat(np.geomspace(1e4, 1e6, budgets), 3)
    with pytest.raises(ValueError, match=rf"The {law.name} law .* Add budgets"):
        fit.fit_law(law, frames, frames)


@pytest.mark.parametrize("exponent", [-1.2, -0.4, 0.0, 0.7, 1.5])
def test_box_cox_is_recovered_without_noise(exponent):
    n = FRAMES / laws.geometric_mean_of_budgets(FRAMES)
    score = 3e4 + 2e3 * laws.box_cox(n, exponent)
    fitted = fit.fit_law(laws.BOX_COX, FRAMES, score)
    assert fitted.shapes[0] == pytest.approx(exponent, abs=1e-5)
    assert fitted.linear.coefficients == pytest.approx([3e4, 2e3], rel=1e-5)
    assert fitted.status == "converged"
    assert fitted.agreement == 1


def test_a_step_drives_the_exponent_to_its_bound():
    step = np.where(FRAMES > 9e5, 1.0, 0.0)
    assert fit.fit_law(laws.BOX_COX, FRAMES, step).status == "at a bound"


def test_the_search_finds_the_minimum_of_the_profile():
    fitted = fit.fit_law(laws.BOX_COX, FRAMES, SCORE)
    n = FRAMES / fitted.reference
    rows = search.Rows(n, SCORE, np.ones(n.size))
    profile = [
        search.sum_of_squares(laws.BOX_COX, rows, np.array([shape]))
        for shape in np.linspace(-4, 4, 2001)
    ]
    assert fitted.rss <= min(profile) * (1 + 1e-9)


def test_cell_means_move_every_sum_of_squares_by_the_same():
    n = FRAMES / laws.geometric_mean_of_budgets(FRAMES)
    runs, cells = search.Rows(n, SCORE, np.ones(n.size)), search.cell_means(n, SCORE)
    within = sum(
        float(np.sum((SCORE[n == value] - SCORE[n == value].mean()) ** 2))
        for value in np.unique(n)
    )
    for shape in (-1.0, 0.3, 2.0):
        point = np.array([shape])
        whole = search.sum_of_squares(laws.BOX_COX, runs, point)
        part = search.sum_of_squares(laws.BOX_COX, cells, point)
        assert whole == pytest.approx(part + within, rel=1e-10)


def test_an_early_stop_is_detected():
    n = FRAMES / laws.geometric_mean_of_budgets(FRAMES)
    best = fit.fit_law(laws.BOX_COX, FRAMES, SCORE)
    assert fit.relative_offset(best.linear, best.tangent, SCORE) < 1e-4
    shapes = best.shapes + 0.02  # where a loose tolerance may well stop
    linear = fit.ordinary_least_squares(laws.BOX_COX.basis(n, *shapes), SCORE)
    tangent = fit.tangent_fit(laws.BOX_COX, n, shapes, linear)
    assert fit.relative_offset(linear, tangent, SCORE) > 1e-3


def test_fits_transform_as_scores_and_frames_do():
    line = fit.fit_law(laws.BOX_COX, FRAMES, SCORE)
    moved = fit.fit_law(laws.BOX_COX, FRAMES * 4, SCORE * 1e6 + 5)
    assert moved.shapes == pytest.approx(line.shapes, abs=1e-6)
    expected = line.linear.coefficients * 1e6 + [5, 0]
    assert moved.linear.coefficients == pytest.approx(expected, rel=1e-6)


def test_bands_equal_their_formulas():
    fitted = fit.fit_law(laws.LOG_LINEAR, FRAMES, SCORE)
    columns = laws.log_linear_basis(FRAMES / fitted.reference)
    reference = sm.OLS(SCORE, columns).fit(cov_type="HC3", use_t=True)
    expected = reference.get_prediction(columns).conf_int()
    half = fit.pointwise_band(fitted, FRAMES)
    assert half is not None
    np.testing.assert_allclose(fit.predict(fitted, FRAMES) + half, expected[:, 1])
    whole = fit.simultaneous_band(fitted, FRAMES)
    assert whole is not None
    assert np.all(whole > half)


def test_aicc_prefers_the_law_that_made_the_data():
    line = fit.akaike_corrected(fit.fit_law(laws.LOG_LINEAR, FRAMES, SCORE))
    flat = fit.akaike_corrected(fit.fit_law(laws.CONSTANT, FRAMES, SCORE))
    assert line is not None
    assert flat is not None
    assert line < flat
