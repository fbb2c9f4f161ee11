"""Normalised scores of many environments taken together.

Sources: Agarwal et al. 2021, "Deep reinforcement learning at the edge of the
statistical precipice", for the measures and the stratified bootstrap; DerSimonian &
Laird 1986 and Hartung & Knapp 2001 for the slopes of many environments.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import optimize, stats

from analysis import inference

Scores = Mapping[str, Float[np.ndarray, "S"]]  # of each environment, one a seed
# Of each environment, one a seed in the last axis; before it, one a draw if any.
Samples = Sequence[Float[np.ndarray, "*D S"]]
Statistic = Callable[[Samples], np.ndarray]

DRAWS, FEWEST_DRAWS = 2000, 400
MOST_NUMBERS = 1_000_000  # drawn for one interval
ENVIRONMENTS_TO_POOL_SLOPES = 8  # statistics.md, "What users ask the table"


class Estimate(NamedTuple):
    """A statistic over environments and its bootstrap interval."""

    value: float
    interval: inference.Interval


def interquartile_mean(scores: Samples) -> np.ndarray:
    """Returns the mean of the middle half of all runs of all environments."""
    return stats.trim_mean(np.concatenate(scores, axis=-1), 0.25, axis=-1)


def optimality_gap(scores: Samples) -> np.ndarray:
    """Returns the mean of max(1 − score, 0): how far from the reference runs stay."""
    return np.mean(np.maximum(1 - np.concatenate(scores, axis=-1), 0), axis=-1)


def median_of_means(scores: Samples) -> np.ndarray:
    """Returns the median over environments of the mean over seeds, as papers do."""
    return np.median([score.mean(axis=-1) for score in scores], axis=0)


def performance_profile(
    scores: Samples, thresholds: Float[np.ndarray, "T"]
) -> Float[np.ndarray, "*D T"]:
    """Returns the share of runs above each threshold, environments weighing alike."""
    shares = [(score[..., None] > thresholds).mean(axis=-2) for score in scores]
    return np.mean(shares, axis=0)


def probability_of_improvement(scores: Samples, others: Samples) -> np.ndarray:
    """Returns the mean over environments of P(X > Y) + ½ P(X = Y).

    Source: Mann & Whitney 1947.
    """
    pairs = zip(scores, others, strict=True)
    chances = [_chance(x[..., :, None], y[..., None, :]) for x, y in pairs]
    return np.mean(chances, axis=0)


def _chance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.mean(x > y, axis=(-2, -1)) + 0.5 * np.mean(x == y, axis=(-2, -1))


def resampled(
    scores: Sequence[np.ndarray], draws: int, generator: np.random.Generator
) -> list[Float[np.ndarray, "D S"]]:
    """Returns seeds drawn with replacement inside each environment (the strata)."""
    return [generator.choice(score, (draws, score.size)) for score in scores]


def draws_for(scores: Scores) -> int:
    """Returns 2000 draws, fewer for many runs, whose interval is steadier."""
    runs = sum(score.size for score in scores.values())
    return int(np.clip(MOST_NUMBERS // runs, FEWEST_DRAWS, DRAWS))


def bootstrapped(scores: Scores, statistic: Statistic, seed: int) -> Estimate:
    """Returns a statistic with its stratified percentile bootstrap interval.

    With few seeds the interval is too short (3 seeds show a third less spread than
    there is); many environments make up for it only in part.
    """
    strata = [scores[env] for env in sorted(scores)]
    generator = np.random.default_rng(seed)
    draws = statistic(resampled(strata, draws_for(scores), generator))
    return Estimate(float(statistic(strata)), _percentiles(draws))


def improvement(scores: Scores, others: Scores, seed: int) -> Estimate:
    """Returns the probability of improvement over `others` with its interval."""
    envs = sorted(set(scores) & set(others))
    ours, theirs = [scores[e] for e in envs], [others[e] for e in envs]
    generator, count = np.random.default_rng(seed), draws_for(scores)
    draws = probability_of_improvement(
        resampled(ours, count, generator), resampled(theirs, count, generator)
    )
    value = float(probability_of_improvement(ours, theirs))
    return Estimate(value, _percentiles(draws))


def profile_band(
    scores: Scores, thresholds: Float[np.ndarray, "T"], seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the performance profile and its pointwise bootstrap band."""
    strata = [scores[env] for env in sorted(scores)]
    generator = np.random.default_rng(seed)
    drawn = resampled(strata, FEWEST_DRAWS, generator)
    low, high = np.quantile(performance_profile(drawn, thresholds), _tails(), axis=0)
    return performance_profile(strata, thresholds), low, high


def _percentiles(draws: np.ndarray) -> inference.Interval:
    low, high = np.quantile(draws, _tails())
    return inference.Interval(float(low), float(high))


def _tails() -> tuple[float, float]:
    return (1 - inference.LEVEL) / 2, (1 + inference.LEVEL) / 2


class PooledSlope(NamedTuple):
    """The mean slope over environments and how much they differ."""

    slope: float  # normalised score per decade of frames
    interval: inference.Interval  # of the mean
    between: float  # standard deviation between environments
    environments: int


def pooled_slope(
    slopes: Float[np.ndarray, "E"], variances: Float[np.ndarray, "E"]
) -> PooledSlope | None:
    """Returns the mean of a random-effects model of the environments' slopes.

        b_e ~ Normal(β, τ² + V_e),   τ² by Paule & Mandel, interval by Hartung & Knapp

    The mixed model of a study in two stages: fits per environment first. None with
    fewer than 8 environments or where an environment's variance is not known.

    Source: Paule & Mandel 1982; Hartung & Knapp 2001.
    """
    count = slopes.size
    if count < ENVIRONMENTS_TO_POOL_SLOPES or not np.all(variances > 0):
        return None

    def excess(between: float) -> float:
        weight = 1 / (variances + between)
        mean = np.average(slopes, weights=weight)
        return float(weight @ (slopes - mean) ** 2) - (count - 1)

    top = float(np.var(slopes, ddof=1)) + float(variances.max())
    between = 0.0
    if excess(0.0) > 0:
        while excess(top) > 0:
            top *= 2
        between = float(optimize.root_scalar(excess, bracket=(0.0, top)).root)
    weight = 1 / (variances + between)
    mean = float(np.average(slopes, weights=weight))
    spread = float(weight @ (slopes - mean) ** 2) / ((count - 1) * weight.sum())
    half = float(stats.t.ppf(_tails()[1], count - 1)) * np.sqrt(spread)
    interval = inference.Interval(mean - half, mean + half)
    return PooledSlope(mean, interval, float(np.sqrt(between)), count)
