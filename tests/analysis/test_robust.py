"""Huber's loss and its gradient equal their definitions."""

from typing import Any

import numpy as np
import pytest
from scipy import optimize

from analysis import laws, robust

N = np.geomspace(0.1, 10, 12)
SCORE = 5 - 2 * (N + 0.3) ** -0.5


def test_huber_equals_its_definition():
    values = np.array([-3.0, -0.5, 0.0, 0.2, 1.0, 4.0])
    expected = sum(
        0.5 * r * r if abs(r) <= 1 else 1 * (abs(r) - 0.5) for r in values.tolist()
    )
    assert robust.huber(values, 1.0) == pytest.approx(expected)


def test_the_gradient_is_that_of_the_objective():
    problem = robust.Problem(laws.SHIFTED_POWER, N, SCORE, 0.01)
    at = np.array([5.0, 2.1, -0.4, 0.45])
    numeric: Any = optimize.approx_fprime(
        at, lambda p: robust.objective(problem, p), 1e-7
    )
    assert robust.gradient(problem, at) == pytest.approx(numeric, rel=1e-4)


def test_one_wild_run_does_not_move_the_fit():
    wild = SCORE * np.where(np.arange(12) == 5, 3.0, 1.0)
    found = robust.fit_robust(robust.Problem(laws.BOX_COX, N, wild))
    clean = robust.fit_robust(robust.Problem(laws.BOX_COX, N, SCORE))
    assert found.shapes == pytest.approx(clean.shapes, abs=0.05)
    assert found.status == "converged"


def test_scores_that_are_not_positive_are_refused():
    with pytest.raises(ValueError, match="needs positive scores"):
        robust.fit_robust(robust.Problem(laws.BOX_COX, N, SCORE - 5))
