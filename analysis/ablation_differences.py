"""Differences of means, with intervals and p values that few seeds allow.

Every difference here is a weighted sum of means of independent samples, so one formula
serves all of them: its variance is the sum of theirs, and its degrees of freedom are
those that match the spread of that sum (Welch, Satterthwaite):

    V = Σ V_i,   V_i = w_i² s_i² / n_i,      ν = V² / Σ (V_i² / (n_i − 1))

Source: Satterthwaite 1946, "An approximate distribution of estimates of variance
components"; Welch 1947; Holm 1979, "A simple sequentially rejective multiple test
procedure".
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from analysis import inference

Vector = Float[np.ndarray, "S"]

SAME = 1e-12  # spread of seeds, as a share of their size, that is rounding alone


class Part(NamedTuple):
    """What the mean of one sample adds to the variance of a difference."""

    variance: float  # of the mean
    degrees: int  # n − 1


class Difference(NamedTuple):
    """A difference of means; no interval where the seeds leave none."""

    value: float
    interval: inference.Interval | None
    p: float | None  # two-sided, of no difference
    degrees: float | None
    seeds: tuple[int, ...]  # of each sample
    reason: str  # why there is no interval: "one seed" or "no spread"; else empty


def welch(first: Vector, second: Vector) -> Difference:
    """Returns mean(first) − mean(second) of independent samples, by Welch's t.

    For columns, which are trainings of their own. Equal seeds are no pairs there: a
    seed draws other weights and other batches for another target or model, so what it
    shares (the episodes of a smaller data set, the starts of the evaluation) is little,
    and pairing would leave 2 degrees of freedom of 3 seeds a column where Welch has up
    to 4. The columns' spreads differ, so they are not pooled either.

    Args:
      first: scores, one a network.
      second: scores of other networks, as many or not.
    """
    value = float(first.mean() - second.mean())
    return estimate(value, independent_parts(first, second))


def paired(first: Vector, second: Vector) -> Difference:
    """Returns the mean of first − second, seed by seed, by the paired t.

    For ways of acting with the same networks on the same episodes: what a training was
    worth is in both, and leaves with the difference.

    Args:
      first: scores, one a network.
      second: scores of the same networks in the same order.
    """
    return estimate(float(np.mean(first - second)), paired_parts(first, second))


def independent_parts(first: Vector, second: Vector) -> list[Part]:
    """Returns s² / n and n − 1 of each sample."""
    return [*sample_parts(first), *sample_parts(second)]


def sample_parts(scores: Vector) -> list[Part]:
    """Returns s² / n and n − 1 of one sample, the only part of its mean."""
    return [_part(scores, float(np.abs(scores).max()))]


def paired_parts(first: Vector, second: Vector) -> list[Part]:
    """Returns s² / n and n − 1 of the differences of pairs."""
    return [_part(first - second, float(np.abs([first, second]).max()))]


def _part(values: Vector, size: float) -> Part:
    """Returns a sample's part: no variance if all agree but for rounding."""
    if values.size < 2 or np.ptp(values) <= SAME * size:
        return Part(0.0, values.size - 1)
    return Part(float(values.var(ddof=1)) / values.size, values.size - 1)


def mean_over(values: Sequence[float], strata: Sequence[Sequence[Part]]) -> Difference:
    """Returns the mean over environments of their differences.

        d̄ = Σ_e d_e / E,   V = Σ_e V_e / E²

    The environments are taken as they are: the interval is of these, over seeds drawn
    anew inside each (the strata), and says nothing about environments not run. With
    three seeds a side in three environments it covers the truth .96 of the time, and
    the stratified percentile bootstrap (`aggregate.bootstrapped`) .86, at a nominal
    .95 (tests, slow): so the bootstrap stands beside it and decides nothing.

    Args:
      values: the difference of each environment.
      strata: the parts of each.
    """
    scale = 1 / len(values) ** 2
    scaled = [Part(v * scale, n) for stratum in strata for v, n in stratum]
    return estimate(float(np.mean(values)), scaled)


def estimate(value: float, independent: Sequence[Part]) -> Difference:
    """Returns a difference with its t interval, from the parts of its variance.

    An interval of no length would claim more than seeds that all agree can tell, and
    a single seed tells nothing of its error: neither has an interval.
    """
    seeds = tuple(part.degrees + 1 for part in independent)
    if min(seeds) < 2:
        return Difference(value, None, None, None, seeds, "one seed")
    variance = sum(part.variance for part in independent)
    if variance <= 0:
        return Difference(value, None, None, None, seeds, "no spread")
    # Shares of V, whose squares do not underflow.
    shares = [(part.variance / variance, part.degrees) for part in independent]
    degrees = 1 / sum(share**2 / own for share, own in shares)
    error = float(np.sqrt(variance))
    half = float(stats.t.ppf((1 + inference.LEVEL) / 2, degrees)) * error
    p = float(2 * stats.t.sf(abs(value) / error, degrees))
    interval = inference.Interval(value - half, value + half)
    return Difference(value, interval, p, degrees, seeds, "")


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Returns Holm's adjusted p values.

    Of all tests whose adjusted p is below α, not one is a false alarm with a
    probability of at least 1 − α, whatever the tests share.

        p̃_(i) = max_{j ≤ i} min((m − j + 1) p_(j), 1)

    Args:
      p_values: of m tests; None where there was no test.
    """
    known = [(p, index) for index, p in enumerate(p_values) if p is not None]
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(sorted(known)):
        highest = max(highest, min((len(known) - rank) * p, 1.0))
        adjusted[index] = highest
    return adjusted
