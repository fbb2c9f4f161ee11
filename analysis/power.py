"""How many seeds a question needs, given the noise and the slope of a study."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from analysis import inference

POWER = 0.8  # probability of finding a difference that is there
MOST_SEEDS = 1000
DIFFERENCES = (0.5, 0.3, 0.2)  # of the slope


class Study(NamedTuple):
    """What decides the precision of a study of two fractions."""

    budgets: Float[np.ndarray, "B"]  # frames
    slope: float  # score per decade
    deviation: float  # between seeds, score


class Need(NamedTuple):
    """Seeds a cell that find a difference of slopes four times in five."""

    difference: float  # share of the slope
    seeds: int | None  # None beyond 1000


def spread(budgets: Float[np.ndarray, "B"]) -> float:
    """Returns Σ (x − x̄)² of x = log10 budgets, in square decades."""
    x = np.log10(budgets)
    return float(np.sum((x - x.mean()) ** 2))


def power_of_equal_slopes(study: Study, difference: float, seeds: int) -> float:
    """Returns the probability that the 5 % test of equal slopes finds a difference.

        δ = d |b| / (σ √(2 / (n Σ(x − x̄)²))),   2 (m n − 2) degrees of freedom

    for two fractions with m budgets and n seeds, by the noncentral t distribution.

    Args:
      study: budgets, slope b and deviation σ.
      difference: d, the difference of the slopes as a share of the slope.
      seeds: n, a cell.
    """
    degrees = 2 * (study.budgets.size * seeds - 2)
    effect = difference * abs(study.slope) * np.sqrt(seeds * spread(study.budgets) / 2)
    return _power(effect, study.deviation, degrees)


def power_of_slope(study: Study, seeds: int) -> float:
    """Returns the probability that the interval of one slope leaves out 0.

    δ = |b| √(n Σ(x − x̄)²) / σ,   m n − 2 degrees of freedom
    """
    degrees = study.budgets.size * seeds - 2
    return _power(
        abs(study.slope) * np.sqrt(seeds * spread(study.budgets)),
        study.deviation,
        degrees,
    )


def _power(effect: float, deviation: float, degrees: int) -> float:
    if degrees <= 0 or deviation <= 0:
        return float(degrees > 0)
    limit, shift = stats.t.ppf((1 + inference.LEVEL) / 2, degrees), effect / deviation
    beyond = stats.nct.sf(limit, degrees, shift) + stats.nct.cdf(-limit, degrees, shift)
    return float(beyond)


def seeds_needed(study: Study, difference: float) -> Need:
    """Returns the fewest seeds a cell with a power of .8 for that difference."""
    return Need(
        difference, _fewest(lambda n: power_of_equal_slopes(study, difference, n))
    )


def seeds_to_see_slope(study: Study) -> int | None:
    """Returns the fewest seeds a cell at which the slope is told from 0."""
    return _fewest(lambda n: power_of_slope(study, n))


def _fewest(power: Callable[[int], float]) -> int | None:
    low, high = 0, 1
    while power(high) < POWER:
        low, high = high, 2 * high
        if low >= MOST_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def multiplier_factor(study: Study, seeds: int) -> float:
    """Returns the factor that a data multiplier is known to, times or divided by.

        10^(t σ √(2 / (m n)) / |b|)

    The slope's own error is left out: it matters where the multiplier is far from 1.
    """
    runs = study.budgets.size * seeds
    quantile = stats.t.ppf((1 + inference.LEVEL) / 2, 2 * (runs - 2))
    decades = quantile * study.deviation * np.sqrt(2 / runs) / abs(study.slope)
    return float(10 ** min(decades, 300.0))


def seeds_for_exponent(half_width: float, seeds: float, widest: float) -> int:
    """Returns the seeds a cell at which λ is known to ± `widest`, about.

    An error goes with the root of the number of seeds: n (half-width / widest)².
    """
    return int(np.ceil(seeds * (half_width / widest) ** 2))
