"""Intervals and tests of fitted laws, of one curve or of several."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special, stats

from analysis import fit as fits
from analysis import laws

Vector = Float[np.ndarray, "N"]

LEVEL = 0.95
_ROUNDING = 1e-18  # share of the total sum of squares that is rounding alone


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


def pure_error(frames: Vector, score: Vector) -> tuple[float, int]:
    """Returns the sum of squares within cells and its degrees of freedom."""
    budgets, cell = np.unique(frames, return_inverse=True)
    means = np.bincount(cell, score) / np.bincount(cell)
    within = score - means[cell]
    return float(within @ within), score.size - budgets.size


def replicates(frames: Vector, score: Vector) -> int:
    """Returns the degrees of freedom of the noise between seeds.

    0 where seeds agree exactly: they are copies, and say nothing about noise.
    """
    squares, degrees = pure_error(frames, score)
    total = float(np.sum((score - score.mean()) ** 2)) if score.size else 0.0
    return degrees if squares > _ROUNDING * total else 0


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
    if free <= 0 or replicates(fit.frames, fit.score) == 0:
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
    errors, unsure = None, fits.prediction_variance(smaller, at)
    if last.sum() > 1 and unsure is not None:
        own = float(score[last].var(ddof=1)) / int(last.sum())
        variance = own + float(unsure[0])
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


def mean_half_width(score: Vector) -> float:
    """Returns the half-width of the t interval of a mean, nan for one run."""
    if score.size < 2:
        return float("nan")
    quantile = float(stats.t.ppf((1 + LEVEL) / 2, score.size - 1))
    return quantile * float(score.std(ddof=1)) / float(np.sqrt(score.size))


def noise_deviation(frames: Vector, score: Vector, at: Vector) -> Vector | None:
    """Returns the standard deviation of one seed's score at the budgets `at`.

        log σ²(n) = c₀ + c₁ log n,   from log s²_c − E[log χ²_ν / ν] of each cell

    weighted by 1 / Var = 1 / ψ′(ν/2), since noise tends to grow with the score. One
    level for all budgets where fewer than three have replicates that differ.

    Source: Harvey 1976, "Estimating regression models with multiplicative
    heteroscedasticity", Econometrica 44; Bartlett & Kendall 1946.
    """
    budgets, cell, count = np.unique(frames, return_inverse=True, return_counts=True)
    means = np.bincount(cell, score) / count
    squares = np.bincount(cell, (score - means[cell]) ** 2)
    known = (count > 1) & (squares > 0)
    pooled = seed_deviation(frames, score)
    if pooled is None or known.sum() < 3:
        return None if pooled is None else np.full(at.size, pooled)
    degrees = (count - 1)[known]
    bias = special.digamma(degrees / 2) - np.log(degrees / 2)
    logs = np.log(squares[known] / degrees) - bias
    x = np.log(budgets[known])
    weight = 1 / np.sqrt(special.polygamma(1, degrees / 2))
    slope, level = np.polyfit(x, logs, 1, w=weight)
    return np.exp((level + slope * np.log(at)) / 2)


def new_seed_interval(fit: fits.LawFit, frames: float) -> Interval | None:
    """Returns where the score of one more seed at `frames` will lie.

        prediction ± t_{N−m} √(xᵀ V x + σ²(frames)),   m budgets

    Returns:
      None without replicates or where the law has no covariance.
    """
    at = np.array([frames])
    unsure = fits.prediction_variance(fit, at)
    noise = noise_deviation(fit.frames, fit.score, at)
    degrees = pure_error(fit.frames, fit.score)[1]
    if unsure is None or noise is None or degrees < 1:
        return None
    centre = float(fits.predict(fit, at)[0])
    quantile = float(stats.t.ppf((1 + LEVEL) / 2, degrees))
    half = quantile * float(np.sqrt(unsure[0] + noise[0] ** 2))
    return Interval(centre - half, centre + half)
