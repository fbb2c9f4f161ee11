"""Laws have the columns their equations say, and print what they predict."""

import math

import numpy as np
import pytest

from analysis import fit, laws


@pytest.mark.parametrize("exponent", [-1.5, -0.3, 0.4, 2.0])
def test_box_cox_equals_its_definition(exponent):
    expected = [(n**exponent - 1) / (exponent * math.log(10)) for n in (0.1, 1.0, 30.0)]
    actual = laws.box_cox(np.array([0.1, 1.0, 30.0]), exponent)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


@pytest.mark.parametrize("exponent", [0.0, 1e-15, -1e-10, 1e-7])
def test_box_cox_tends_to_the_logarithm(exponent):
    n = np.array([1e-3, 0.5, 1.0, 1e3])
    np.testing.assert_allclose(laws.box_cox(n, exponent), np.log10(n), rtol=1e-6)


NAMES = {**{"log10": math.log10, "log": math.log, "exp": math.exp, "expm1": math.expm1}}


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.name)
def test_printed_formula_equals_the_prediction(law):
    frames = np.repeat(np.geomspace(1e4, 1e6, 10), 2)
    score = 100 + 30 * np.log10(frames) + np.resize([1.0, -2.0, 0.5], 20)
    fitted = fit.fit_law(law, frames, score)
    text = laws.formula(
        *(law, fitted.linear.coefficients, fitted.shapes),
        n=f"frames / {fitted.reference!r}",
    )
    printed = [eval(text, NAMES, {"frames": value}) for value in frames]
    np.testing.assert_allclose(printed, fit.predict(fitted, frames), rtol=1e-9)


def test_formula_of_an_exponent_of_zero_is_the_logarithm():
    zero = laws.formula(
        laws.BOX_COX, np.array([1.0, 2.0]), np.zeros(1), n="frames / 10.0"
    )
    assert eval(zero, NAMES, {"frames": 1e4}) == pytest.approx(1 + 2 * 3, rel=1e-9)


PLAIN = {
    "shifted power": lambda n, s: 2 - 3 * (n + 10 ** s[0]) ** -s[1],
    "sigmoid": lambda n, s: 2 + 3 / (1 + math.exp(-(math.log10(n) - s[0]) / s[1])),
    "broken power": lambda n, s: (
        2 + 3 * n ** -s[0] * (1 + (n / 10 ** s[2]) ** (1 / s[3])) ** (-s[1] * s[3])
    ),
}


@pytest.mark.parametrize(
    ("law", "shapes"),
    [
        (laws.SHIFTED_POWER, (-0.5, 0.7)),
        (laws.SIGMOID, (0.2, 0.3)),
        (laws.BROKEN, (0.3, -0.6, 0.1, 0.2)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_laws_with_shapes_equal_their_definitions(law, shapes):
    n = np.array([0.01, 0.5, 1.0, 40.0])
    actual = law.basis(n, *shapes) @ [2, 3]
    expected = [PLAIN[law.name](value, shapes) for value in n]
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("law", "shapes"),
    [
        (laws.SHIFTED_POWER, (-0.5, 0.7)),
        (laws.SIGMOID, (0.2, 0.3)),
        (laws.BROKEN, (0.4, 0.9, 0.2, 0.15)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_laws_with_shapes_are_recovered_without_noise(law, shapes):
    frames = np.geomspace(1e4, 1e7, 14)
    n = frames / laws.geometric_mean_of_budgets(frames)
    score = law.basis(n, *shapes) @ [50.0, 20.0]
    fitted = fit.fit_law(law, frames, score)
    assert fitted.shapes == pytest.approx(shapes, rel=1e-4)
    assert fitted.linear.coefficients == pytest.approx([50, 20], rel=1e-4)
    assert fitted.status == "converged"


def test_the_reference_is_the_geometric_mean_of_budgets_not_of_runs():
    uneven = np.array([1e4, 1e4, 1e4, 1e6])
    assert laws.geometric_mean_of_budgets(uneven) == pytest.approx(1e5)


def test_laws_with_shapes_need_two_budgets_more_than_parameters():
    assert laws.BOX_COX.budgets_to_fit == 5
    assert laws.SHIFTED_POWER.budgets_to_fit == 6
    assert laws.BROKEN.budgets_to_fit == 10
    assert laws.LOG_LINEAR.budgets_to_fit == 2
    assert laws.LOG_LINEAR.budgets_to_test == 4
