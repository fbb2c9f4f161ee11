"""Intervals and tests of fitted laws, of one curve or of several."""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import optimize, stats

from analysis import fit as fits
from analysis import laws

Vector = Float[np.ndarray, "N"]

LEVEL = 0.95
_NO_NOISE = 1e-18  # residual / total sum of squares that is rounding alone


class Interval(NamedTuple):
    """An interval; an infinite end means that the data set no limit there."""

    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the length, in the unit of the ends."""
        return (self.high - self.low) / 2

    def contains(self, value: float) -> bool:
        """Says whether `value` lies inside, ends included."""
        return self.low <= value <= self.high


class FTest(NamedTuple):
    """An F statistic, its degrees of freedom and its p value."""

    statistic: float
    degrees: tuple[int, int]
    p: float


class HeldOut(NamedTuple):
    """The largest budget, predicted from all smaller ones."""

    frames: float
    predicted: float
    observed: float  # mean over seeds
    standard_errors: float | None  # (observed − predicted) / its own error


def coefficient_interval(
    linear: fits.LinearFit, index: int, level: float = LEVEL
) -> Interval | None:
    """Returns coefficient ± t_{N−k} · √V_HC3, or None where V is undefined."""
    if linear.covariance is None:
        return None
    quantile = float(stats.t.ppf((1 + level) / 2, linear.degrees))
    half = quantile * float(np.sqrt(linear.covariance[index, index]))
    centre = float(linear.coefficients[index])
    return Interval(centre - half, centre + half)


def coefficient_p(linear: fits.LinearFit, index: int) -> float | None:
    """Returns the two-sided p value of a coefficient being 0, HC3 and t."""
    if linear.covariance is None or linear.covariance[index, index] <= 0:
        return None
    error = float(np.sqrt(linear.covariance[index, index]))
    return float(
        2 * stats.t.sf(abs(linear.coefficients[index]) / error, linear.degrees)
    )


def shape_interval(fit: fits.LawFit, level: float = LEVEL) -> Interval | None:
    """Returns the profile interval of the one shape of a law.

        {λ : RSS(λ) − RSS(λ̂) ≤ c · F_{1, N−k}(level) · RSS(λ̂) / (N − k)}

    The factor c = V_HC3(λ̂) / V_OLS(λ̂) corrects for noise that changes with the
    budget; with c = 1 the interval of a law whose noise grows 4× covers too rarely
    (docs/statistics.md). An end beyond the bounds of the search is infinite.

    Source: Bates & Watts 1988 for the profile; Chandler & Bate 2007, "Inference
    for clustered data using the independence loglikelihood", for the factor.

    Returns:
      None where there is no noise to judge by.
    """
    degrees = fit.score.size - fit.law.parameters
    total = float(np.sum((fit.score - fit.score.mean()) ** 2))
    factor = _robustness(fit) if degrees > 0 and fit.rss > _NO_NOISE * total else None
    if factor is None:
        return None
    allowed = factor * float(stats.f.ppf(level, 1, degrees)) * fit.rss / degrees
    n = fit.frames / fit.reference

    def excess(shape: float) -> float:
        rss = fits.projected_rss(fit.law, n, fit.score, np.array([shape]))
        return (rss - fit.rss - allowed) / fit.rss

    best, (low, high) = float(fit.shapes[0]), fit.law.bounds[0]
    return Interval(
        _cross(excess, best, low, -np.inf), _cross(excess, best, high, np.inf)
    )


def _cross(
    excess: Callable[[float], float], best: float, bound: float, beyond: float
) -> float:
    # First crossing on the way out, so that a second valley is not let in.
    steps = np.linspace(best, bound, 81)
    for inner, outer in itertools.pairwise(steps):
        if excess(outer) > 0:
            return optimize.root_scalar(excess, bracket=(inner, outer)).root
    return beyond


def _robustness(fit: fits.LawFit) -> float | None:
    # Gauss–Newton columns: those of the law and the derivative by its shape.
    n, shape, step = fit.frames / fit.reference, float(fit.shapes[0]), 1e-5
    ahead, behind = fit.law.basis(n, shape + step), fit.law.basis(n, shape - step)
    derivative = (ahead - behind) / (2 * step) @ fit.linear.coefficients
    columns = np.column_stack([fit.law.basis(n, shape), derivative])
    if np.linalg.matrix_rank(columns) < columns.shape[1]:
        return None
    linear = fits.ordinary_least_squares(columns, fit.linear.residuals)
    if linear.covariance is None:
        return None
    plain = float(linear.inverse[-1] @ linear.inverse[-1]) * fit.rss / linear.degrees
    return float(linear.covariance[-1, -1]) / plain


def pure_error(frames: Vector, score: Vector) -> tuple[float, int]:
    """Returns the sum of squares within cells and its degrees of freedom."""
    budgets, cell = np.unique(frames, return_inverse=True)
    means = np.bincount(cell, score) / np.bincount(cell)
    within = score - means[cell]
    return float(within @ within), score.size - budgets.size


def seed_deviation(frames: Vector, score: Vector) -> float | None:
    """Returns the standard deviation between seeds, pooled over the budgets."""
    squares, degrees = pure_error(frames, score)
    return float(np.sqrt(squares / degrees)) if degrees > 0 else None


def lack_of_fit(fit: fits.LawFit) -> FTest | None:
    """Returns the pure-error test that the cell means lie on the law.

        F = [(RSS − SS_within) / (m − k)] / [SS_within / (N − m)],   m budgets

    Source: Draper & Smith 1998, "Applied regression analysis", section 2.1.

    Returns:
      None without replicates, or with no more budgets than parameters.
    """
    within, noise = pure_error(fit.frames, fit.score)
    free = np.unique(fit.frames).size - fit.law.parameters
    if free <= 0 or noise <= 0 or within <= 0:
        return None
    statistic = max(fit.rss - within, 0.0) / free / (within / noise)
    return FTest(statistic, (free, noise), float(stats.f.sf(statistic, free, noise)))


def equal_slopes(lines: Sequence[fits.LawFit]) -> FTest | None:
    """Returns the HC3 Wald test that all lines have one slope.

        F = (Rβ)ᵀ (R V Rᵀ)⁻¹ (Rβ) / q,   R the q = G − 1 differences to the first

    The curves share no run, so V is diagonal in the slopes.

    Returns:
      None for one line, or where a slope has no error of its own.
    """
    covariances = [line.linear.covariance for line in lines]
    known = [float(v[1, 1]) for v in covariances if v is not None]
    if len(lines) < 2 or len(known) < len(lines) or min(known) <= 0:
        return None
    slopes = np.array([line.linear.coefficients[1] for line in lines])
    contrast = slopes[1:] - slopes[0]
    variance = np.diag(known[1:]) + known[0]
    count, degrees = contrast.size, sum(line.linear.degrees for line in lines)
    statistic = float(contrast @ np.linalg.solve(variance, contrast)) / count
    return FTest(
        statistic, (count, degrees), float(stats.f.sf(statistic, count, degrees))
    )


def held_out_largest(law: laws.Law, frames: Vector, score: Vector) -> HeldOut | None:
    """Returns how a law fitted without the largest budget predicts it.

        z = (mean − prediction) / √(s² / n + V_prediction)

    s² is of that budget's own runs, since noise tends to grow with the score.
    None where the other budgets are too few for the law.
    """
    last = frames == frames.max()
    try:
        smaller = fits.fit_law(law, frames[~last], score[~last])
    except ValueError:
        return None
    at = frames[last][:1]
    predicted, observed = float(fits.predict(smaller, at)[0]), float(score[last].mean())
    errors, covariance = None, smaller.linear.covariance
    if last.sum() > 1 and covariance is not None:
        column = law.basis(at / smaller.reference, *smaller.shapes)[0]
        own = float(score[last].var(ddof=1)) / int(last.sum())
        variance = own + float(column @ covariance @ column)
        errors = (observed - predicted) / np.sqrt(variance) if variance > 0 else None
    return HeldOut(float(at[0]), predicted, observed, errors)


def residual_pattern(line: fits.LawFit) -> list[float] | None:
    """Returns each cell's mean residual in its own standard errors, by budget.

    Runs of one sign mean a bend; the pooled deviation between seeds is the error.
    """
    deviation = seed_deviation(line.frames, line.score)
    if not deviation:
        return None
    _, cell, count = np.unique(line.frames, return_inverse=True, return_counts=True)
    means = np.bincount(cell, line.linear.residuals) / count
    return (means * np.sqrt(count) / deviation).tolist()
