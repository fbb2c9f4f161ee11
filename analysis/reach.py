"""Where a line gets to: frames to a score, and the crossover of two lines."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from analysis import fieller, table
from analysis import fit as fits

TARGETS = (0.25, 0.5, 0.75)  # of the way from the lowest to the highest cell mean


class FramesToScore(NamedTuple):
    """Frames at which the line of a curve has a score.

    `censored` is `>largest` or `<smallest` where the line gets there outside the
    budgets of the curve: then the frames are not known, only that bound is.
    """

    curve: str
    score: float
    frames: fieller.Ratio  # of the line; its Fieller set is in frames
    censored: str
    smallest: float  # budget of the curve, frames
    largest: float
    first_budget: float | None  # from which on every cell mean has the score


class Crossover(NamedTuple):
    """Frames at which two lines have one score."""

    first: str
    second: str
    frames: fieller.Ratio
    within: bool  # of the budgets that both curves have


def targets(curves: Sequence[table.Curve]) -> list[float]:
    """Returns the scores to ask for, to three digits: quarters of the range."""
    means = [mean for curve in curves for mean in _cell_means(curve)[1]]
    if not means or max(means) <= min(means):
        return []
    low, high = min(means), max(means)
    return [float(f"{low + share * (high - low):.3g}") for share in TARGETS]


def _cell_means(curve: table.Curve) -> tuple[np.ndarray, np.ndarray]:
    budgets, cell, count = np.unique(
        curve.frames, return_inverse=True, return_counts=True
    )
    return budgets, np.bincount(cell, curve.score, len(budgets)) / np.maximum(count, 1)


def frames_to_score(
    curve: table.Curve, line: fits.LawFit, score: float
) -> FramesToScore | None:
    """Returns 10^((score − a) / b) of a line, censored outside its budgets.

    None where the line has no covariance.
    """
    covariance = line.linear.covariance
    if covariance is None:
        return None
    level, slope = map(float, line.linear.coefficients)
    across = -covariance[0, 1]
    ratio = fieller.power_of_ten(
        (score - level, slope),
        np.array([[covariance[0, 0], across], [across, covariance[1, 1]]]),
        line.linear.degrees,
    )
    frames = _scaled(ratio, line.reference)
    budgets, means = _cell_means(curve)
    smallest, largest = float(budgets[0]), float(budgets[-1])
    return FramesToScore(
        *(curve.label, score, frames, _censored(frames.value, smallest, largest)),
        *(smallest, largest, _first_budget(budgets, means, score)),
    )


def _censored(frames: float, smallest: float, largest: float) -> str:
    if frames > largest:
        return ">largest"
    return "<smallest" if frames < smallest else ""


def _first_budget(budgets: np.ndarray, means: np.ndarray, score: float) -> float | None:
    below = np.flatnonzero(means < score)
    first = below[-1] + 1 if below.size else 0
    return float(budgets[first]) if first < budgets.size else None


def _scaled(ratio: fieller.Ratio, by: float) -> fieller.Ratio:
    kind, low, high = ratio.set
    return fieller.Ratio(
        ratio.value * by, fieller.FiellerSet(kind, low * by, high * by)
    )


def crossover(first: fits.LawFit, second: fits.LawFit) -> fieller.Ratio | None:
    """Returns the frames at which two lines meet.

        log10 frames = (a_1 − a_2) / (b_2 − b_1)

    With equal slopes the set is unbounded: the lines may never meet.

    Returns:
      None where a line has no covariance.
    """
    centre = float(np.sqrt(first.reference * second.reference))
    one_line, other_line = _level_at(first, centre), _level_at(second, centre)
    if one_line is None or other_line is None:
        return None
    (one, v), (two, w) = one_line, other_line
    across = -float(v[0, 1] + w[0, 1])
    covariance = np.array([[v[0, 0] + w[0, 0], across], [across, v[1, 1] + w[1, 1]]])
    pair = (float(one[0] - two[0]), float(two[1] - one[1]))
    degrees = first.linear.degrees + second.linear.degrees
    return _scaled(fieller.power_of_ten(pair, covariance, degrees), centre)


def _level_at(line: fits.LawFit, frames: float) -> tuple[np.ndarray, np.ndarray] | None:
    # The level and slope of a line, with the level at other frames than its own.
    if line.linear.covariance is None:
        return None
    move = np.array([[1.0, np.log10(frames / line.reference)], [0.0, 1.0]])
    return move @ line.linear.coefficients, move @ line.linear.covariance @ move.T


def crossovers(
    pairs: Sequence[tuple[table.Curve, fits.LawFit]],
) -> list[Crossover]:
    """Returns where each line crosses the line before it, in order of fraction."""
    found = []
    for (curve, line), (other, other_line) in itertools.pairwise(pairs):
        frames = crossover(line, other_line)
        if frames is None:
            continue
        low = max(curve.frames.min(), other.frames.min())
        high = min(curve.frames.max(), other.frames.max())
        within = bool(low <= frames.value <= high)
        found.append(Crossover(curve.label, other.label, frames, within))
    return found
