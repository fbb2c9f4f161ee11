"""What a fraction buys: the data multiplier, frames to a score, the crossover.

All are ratios of estimates, so all have Fieller sets, which may be unbounded.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from analysis import fieller, inference, laws, table
from analysis import fit as fits

DECADES_BEYOND = 1.0  # of extrapolation, statistics.md, "Lint the study"


class Multiplier(NamedTuple):
    """How many times the frames one curve is worth in another.

    Values are factors on frames. `everywhere` holds at all budgets, and only if
    the slopes are equal; `at_largest` asks how many frames the base's own line
    needs for the score that the other curve's line has at the largest budget.
    """

    of: str
    base: str
    everywhere: fieller.Ratio
    at_largest: fieller.Ratio
    largest: float  # frames at which `at_largest` is meant
    equal_slopes: inference.FTest | None
    supported: float  # largest factor read within a decade of the base's data


def data_multiplier(of: table.Curve, base: table.Curve) -> Multiplier | None:
    """Returns how many times the frames `of` is worth, read on `base`.

        everywhere: 10^((a_f − a_0) / b)         with one slope b for both
        at_largest: 10^((a_f + b_f x − a_0 − b_0 x) / b_0)   at x = log10(largest)

    Returns:
      None where a curve has too few budgets or runs for a line with an error.
    """
    try:
        lines = [
            fits.fit_law(laws.LOG_LINEAR, curve.frames, curve.score)
            for curve in (of, base)
        ]
    except ValueError:
        return None
    everywhere = _common_slope(of, base)
    largest = float(min(of.frames.max(), base.frames.max()))
    at_largest = _horizontal(lines[0], lines[1], largest)
    if everywhere is None or at_largest is None:
        return None
    return Multiplier(
        of.label,
        base.label,
        everywhere,
        at_largest,
        largest,
        inference.equal_slopes(lines),
        10**DECADES_BEYOND * float(base.frames.max()) / largest,
    )


def _common_slope(of: table.Curve, base: table.Curve) -> fieller.Ratio | None:
    frames = np.concatenate([of.frames, base.frames])
    score = np.concatenate([of.score, base.score])
    member = np.repeat([1.0, 0.0], [of.frames.size, base.frames.size])
    log_n = np.log10(frames / laws.geometric_mean_of_budgets(frames))
    linear = fits.ordinary_least_squares(
        np.column_stack([member, log_n, np.ones(frames.size)]), score
    )
    if linear.covariance is None:
        return None
    pair = (float(linear.coefficients[0]), float(linear.coefficients[1]))
    return fieller.power_of_ten(pair, linear.covariance[:2, :2], linear.degrees)


def _horizontal(
    of: fits.LawFit, base: fits.LawFit, frames: float
) -> fieller.Ratio | None:
    first, second = of.linear.covariance, base.linear.covariance
    if first is None or second is None:
        return None
    at = np.array([1.0, np.log10(frames / of.reference)])
    there = np.array([1.0, np.log10(frames / base.reference)])
    gap = float(at @ of.linear.coefficients - there @ base.linear.coefficients)
    across = -float(there @ second[:, 1])
    covariance = np.array(
        [[at @ first @ at + there @ second @ there, across], [across, second[1, 1]]]
    )
    pair = (gap, float(base.linear.coefficients[1]))
    return fieller.power_of_ten(
        pair, covariance, of.linear.degrees + base.linear.degrees
    )


def multipliers(curves: Sequence[table.Curve]) -> list[Multiplier]:
    """Returns the multiplier of each fraction on fraction 0 and on its control."""
    plain = [c for c in curves if c.fraction == 0 and c.control is None]
    found = []
    for curve in curves:
        if not curve.fraction:  # a path, or fraction 0 itself
            continue
        controls = [c for c in curves if c.control == curve.fraction]
        found += [data_multiplier(curve, base) for base in plain + controls]
    return [multiplier for multiplier in found if multiplier is not None]
