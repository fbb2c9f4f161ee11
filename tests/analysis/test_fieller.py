"""Fieller sets hold what a t test does not reject."""

import numpy as np
import pytest

from analysis import fieller


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
    found = fieller.fieller_set(ratio, covariance, 100)
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
