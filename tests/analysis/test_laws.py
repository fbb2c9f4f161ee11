"""Laws have the columns their equations say, and print what they predict."""

import math

import numpy as np
import pytest

from analysis import fit, laws

FRAMES = np.repeat(np.geomspace(1e4, 1e6, 6), 2)
SCORE = 100 + 30 * np.log10(FRAMES) + np.tile([1.0, -2.0], 6)


@pytest.mark.parametrize("exponent", [-1.5, -0.3, 0.4, 2.0])
def test_box_cox_equals_its_definition(exponent):
    expected = [(n**exponent - 1) / (exponent * math.log(10)) for n in (0.1, 1.0, 30.0)]
    actual = laws.box_cox(np.array([0.1, 1.0, 30.0]), exponent)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


@pytest.mark.parametrize("exponent", [0.0, 1e-15, -1e-10, 1e-7])
def test_box_cox_tends_to_the_logarithm(exponent):
    n = np.array([1e-3, 0.5, 1.0, 1e3])
    np.testing.assert_allclose(laws.box_cox(n, exponent), np.log10(n), rtol=1e-6)


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.name)
def test_printed_formula_equals_the_prediction(law):
    fitted = fit.fit_law(law, FRAMES, SCORE)
    text = laws.formula(
        law, fitted.linear.coefficients, fitted.shapes, fitted.reference
    )
    names = {"log10": math.log10, "log": math.log, "expm1": math.expm1}
    printed = [eval(text, names, {"frames": frames}) for frames in FRAMES]
    np.testing.assert_allclose(printed, fit.predict(fitted, FRAMES), rtol=1e-9)


def test_formula_of_an_exponent_of_zero_is_the_logarithm():
    zero = laws.formula(laws.BOX_COX, np.array([1.0, 2.0]), np.zeros(1), 10.0)
    names = {"log": math.log, "expm1": math.expm1, "frames": 1e4}
    assert eval(zero, names) == pytest.approx(1 + 2 * 3, rel=1e-9)


def test_the_reference_is_the_geometric_mean_of_budgets_not_of_runs():
    uneven = np.array([1e4, 1e4, 1e4, 1e6])
    assert laws.geometric_mean_of_budgets(uneven) == pytest.approx(1e5)


def test_laws_with_shapes_need_two_budgets_more_than_parameters():
    assert laws.BOX_COX.budgets_to_fit == 5
    assert laws.LOG_LINEAR.budgets_to_fit == 2
    assert laws.LOG_LINEAR.budgets_to_test == 4
