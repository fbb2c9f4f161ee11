"""Profile intervals of the parameters of laws with shapes.

A parameter is held at a value, all others are fitted again, and the interval is
where the sum of squares stays low enough. Near the estimate this is the usual t
interval; where a law bends, it is the one that keeps its coverage.
"""

import itertools
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import optimize, stats

from analysis import fit as fits
from analysis import inference, search

Vector = Float[np.ndarray, "N"]

MOST_PROFILED_SHAPES = 2  # beyond it every step is a search of its own
STEPS = (0.6, 1.0, 1.5, 2.5, 5.0, 10.0, 25.0, 100.0)  # of the tangent's half-width
_TOLERANCE = 1e-4  # of an end, in half-widths of the tangent's interval
_NO_NOISE = 1e-18  # residual / total sum of squares that is rounding alone

Method = Literal["HC3-t", "profile", "tangent HC3-t"]


class Parameter(NamedTuple):
    """A parameter, its 95 % interval and how that was made."""

    value: float
    interval: inference.Interval | None
    method: Method


def parameters(fit: fits.LawFit) -> dict[str, Parameter]:
    """Returns every parameter of a fitted law, coefficients first.

    Linear laws have HC3-t intervals, laws of one or two shapes profile intervals.
    A law of more shapes has the intervals of `tangent_parameters`.
    """
    if not fit.law.shapes or len(fit.law.shapes) > MOST_PROFILED_SHAPES:
        return tangent_parameters(fit)
    return {
        name: Parameter(value, profile_interval(fit, index), "profile")
        for index, (name, value) in enumerate(_named(fit))
    }


def tangent_parameters(fit: fits.LawFit) -> dict[str, Parameter]:
    """Returns every parameter with the HC3-t interval of the law's tangent.

    Exact for linear laws, quick for others, and too short where a law bends much;
    `method` says which.
    """
    method: Method = "tangent HC3-t" if fit.law.shapes else "HC3-t"
    return {
        name: Parameter(value, _tangent_interval(fit, index), method)
        for index, (name, value) in enumerate(_named(fit))
    }


def _named(fit: fits.LawFit) -> list[tuple[str, float]]:
    values = np.concatenate([fit.linear.coefficients, fit.shapes]).tolist()
    return list(zip(fit.law.coefficients + fit.law.shapes, values, strict=True))


def _tangent_interval(fit: fits.LawFit, index: int) -> inference.Interval | None:
    if fit.tangent is None or fit.tangent.covariance is None:
        return None
    half, value = _tangent_half_width(fit, index), _named(fit)[index][1]
    return inference.Interval(value - half, value + half)


def _tangent_half_width(fit: fits.LawFit, index: int) -> float:
    assert fit.tangent is not None
    assert fit.tangent.covariance is not None
    quantile = float(stats.t.ppf((1 + inference.LEVEL) / 2, fit.tangent.degrees))
    return quantile * float(np.sqrt(fit.tangent.covariance[index, index]))


def shape_interval(fit: fits.LawFit) -> inference.Interval | None:
    """Returns the profile interval of the one shape of a law, such as λ.

        {λ : RSS(λ) − RSS(λ̂) ≤ c · F_{1, N−k}(level) · RSS(λ̂) / (N − k)}

    The factor c = V_HC3(λ̂) / V_OLS(λ̂) corrects for noise that changes with the
    budget; with c = 1 the interval of a law whose noise grows 4× covers too rarely
    (docs/statistics.md). An end beyond the bounds of the search is infinite.

    Source: Bates & Watts 1988 for the profile; Chandler & Bate 2007, "Inference
    for clustered data using the independence loglikelihood", for the factor.

    Returns:
      None where there is no noise to judge by.
    """
    allowed = allowed_rise(fit, fit.law.parameters - 1)
    if allowed is None:
        return None
    rows = search.cell_means(fit.frames / fit.reference, fit.score)
    least = search.sum_of_squares(fit.law, rows, fit.shapes)

    def excess(shape: float) -> float:
        there = search.sum_of_squares(fit.law, rows, np.array([shape]))
        return (there - least - allowed) / fit.rss

    # Steps over the whole range: the first crossing on the way out, so that a
    # second valley is not let in.
    best, (low, high) = float(fit.shapes[0]), fit.law.bounds[0]
    return inference.Interval(
        _cross(excess, np.linspace(best, low, 81), -np.inf, 1e-9),
        _cross(excess, np.linspace(best, high, 81), np.inf, 1e-9),
    )


def _cross(
    excess: Callable[[float], float], steps: Vector, beyond: float, tolerance: float
) -> float:
    for inner, outer in itertools.pairwise(steps):
        if excess(outer) > 0:
            if excess(inner) > 0:  # an optimum that was missed by rounding
                return float(inner)
            return optimize.root_scalar(
                excess, bracket=(inner, outer), xtol=tolerance, rtol=1e-9
            ).root
    return beyond


def profile_interval(fit: fits.LawFit, index: int) -> inference.Interval | None:
    """Returns the profile interval of the parameter at `index`.

    As `shape_interval`, with all other parameters fitted again at every value.

    Returns:
      None where there is no noise to judge by, or the parameter is not identified.
    """
    if len(fit.law.shapes) == 1 and index == len(fit.law.coefficients):
        return shape_interval(fit)
    allowed = allowed_rise(fit, index)
    if allowed is None or fit.tangent is None or fit.tangent.covariance is None:
        return None
    profile = _Profile(fit, index)
    centre = float(np.concatenate([fit.linear.coefficients, fit.shapes])[index])
    width = max(_tangent_half_width(fit, index), 1e-9 * abs(centre), 1e-300)
    ends = []
    for side, beyond in ((-1, -np.inf), (1, np.inf)):
        steps = centre + side * width * np.array([0.0, *STEPS])
        limit = profile.limit(side)
        inside = steps[steps * side < limit * side]
        walk = np.append(inside, limit) if np.isfinite(limit) else inside
        profile.restart()
        ends.append(
            _cross(
                lambda v: (profile(v) - allowed) / allowed,
                *(walk, beyond, _TOLERANCE * width),
            )
        )
    return inference.Interval(*ends)


class _Profile:
    """Sum of squares above its least, with one parameter held at a value."""

    def __init__(self, fit: fits.LawFit, index: int):
        self.fit, self.index = fit, index
        self.rows = search.cell_means(fit.frames / fit.reference, fit.score)
        self.least = search.sum_of_squares(fit.law, self.rows, fit.shapes)
        self.coefficients = len(fit.law.coefficients)
        held = index - self.coefficients
        self.free = [k for k in range(len(fit.law.shapes)) if k != held]
        self.scale = float(np.sqrt(fit.rss))
        self.restart()

    def restart(self) -> None:
        """Starts the other shapes at the estimate again."""
        self.shapes = np.array(self.fit.shapes)

    def limit(self, side: int) -> float:
        """Returns the bound of the search on one side, infinite where none is."""
        held = self.index - self.coefficients
        return side * np.inf if held < 0 else self.fit.law.bounds[held][side > 0]

    def __call__(self, value: float) -> float:
        """Returns RSS(value) − RSS(estimate)."""
        if self.index >= self.coefficients:
            self.shapes[self.index - self.coefficients] = value
        if not self.free:
            return float(np.sum(self._residuals(value) ** 2)) - self.least
        low, high = np.array([self.fit.law.bounds[k] for k in self.free]).T

        def left(free: Vector) -> Vector:
            self.shapes[self.free] = free
            return self._residuals(value) / self.scale

        found = optimize.least_squares(
            left,
            np.clip(self.shapes[self.free], low, high),
            bounds=(low, high),
            xtol=1e-6,
            ftol=1e-7,
            gtol=1e-7,
        )
        self.shapes[self.free] = found.x
        return 2 * float(found.cost) * self.scale**2 - self.least

    def _residuals(self, value: float) -> Vector:
        columns = self.fit.law.basis(self.rows.x, *self.shapes)
        score = self.rows.score
        if self.index < self.coefficients:
            score = score - value * columns[:, self.index]
            columns = np.delete(columns, self.index, axis=1)
        columns, score = columns * self.rows.root[:, None], score * self.rows.root
        return score - columns @ np.linalg.lstsq(columns, score, rcond=1e-10)[0]


def allowed_rise(fit: fits.LawFit, index: int) -> float | None:
    """Returns how far the sum of squares may rise inside a parameter's interval.

    None where there is no noise to judge by, or the law is not identified.
    """
    degrees = fit.score.size - fit.law.parameters
    total = float(np.sum((fit.score - fit.score.mean()) ** 2))
    if degrees <= 0 or fit.rss <= _NO_NOISE * total:
        return None
    factor = _robustness(fit, index)
    if factor is None:
        return None
    quantile = float(stats.f.ppf(inference.LEVEL, 1, degrees))
    return factor * quantile * fit.rss / degrees


def _robustness(fit: fits.LawFit, index: int) -> float | None:
    linear = fit.tangent
    if linear is None or linear.covariance is None:
        return None
    row = linear.inverse[index]
    plain = float(row @ row) * fit.rss / linear.degrees
    return float(linear.covariance[index, index]) / plain
