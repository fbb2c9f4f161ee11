"""Sets of values for a ratio of two estimates, which may be unbounded."""

from typing import NamedTuple

import numpy as np
from scipy import stats

from analysis import inference


class FiellerSet(NamedTuple):
    """The values of a ratio that the data do not reject.

    `bounded`: between low and high. `two rays`: up to low and from high on, so not
    identified. `everything`: no value is rejected; low and high mean nothing.
    """

    kind: str
    low: float
    high: float


class Ratio(NamedTuple):
    """A ratio of two estimates: its value and its Fieller set."""

    value: float
    set: FiellerSet


def fieller_set(
    ratio: tuple[float, float], covariance: np.ndarray, degrees: int
) -> FiellerSet:
    """Returns the 95 % Fieller set of numerator / denominator.

        {θ : (ν − θ δ)² ≤ t² (V_νν − 2 θ V_νδ + θ² V_δδ)}

    Source: Fieller 1954, "Some problems in interval estimation".

    Args:
      ratio: the estimates (ν, δ).
      covariance: their 2 × 2 covariance.
      degrees: degrees of freedom of the t quantile.
    """
    numerator, denominator = ratio
    t2 = float(stats.t.ppf((1 + inference.LEVEL) / 2, degrees)) ** 2
    square = denominator**2 - t2 * covariance[1, 1]
    middle = numerator * denominator - t2 * covariance[0, 1]
    constant = numerator**2 - t2 * covariance[0, 0]
    discriminant = middle**2 - square * constant
    if square == 0 or (square < 0 and discriminant <= 0):
        return FiellerSet("everything", -np.inf, np.inf)
    root = float(np.sqrt(max(discriminant, 0.0)))
    low, high = sorted([(middle - root) / square, (middle + root) / square])
    return FiellerSet("bounded" if square > 0 else "two rays", low, high)


def power_of_ten(
    pair: tuple[float, float], covariance: np.ndarray, degrees: int
) -> Ratio:
    """Returns 10^(ν / δ) with its set: a factor, where ν / δ is in decades."""
    # Beyond what a float holds it becomes 0 or infinite, which is what it means.
    limits = fieller_set(pair, covariance, degrees)
    value = pair[0] / pair[1] if pair[1] else np.copysign(np.inf, pair[0])
    with np.errstate(over="ignore", under="ignore"):
        factor, low, high = np.power(10.0, [value, limits.low, limits.high])
    return Ratio(float(factor), FiellerSet(limits.kind, float(low), float(high)))
