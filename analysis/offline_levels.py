"""Normalised scores of offline agents over several data sets, taken together."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from analysis import aggregate, inference, offline_scores


class Pooled(NamedTuple):
    """A statistic over data sets; no interval where a data set has one seed."""

    value: float
    interval: inference.Interval | None


class Level(NamedTuple):
    """A method over all data sets, each at the largest budget that it has."""

    method: offline_scores.Method
    data_sets: list[offline_scores.DataSet]
    runs: int
    fewest_seeds: int
    median: Pooled  # over data sets, of means over seeds
    mean: Pooled
    iqm: Pooled  # over all runs


def mean_of_means(scores: aggregate.Samples) -> np.ndarray:
    """Returns the mean over data sets of the mean over seeds."""
    return np.mean([score.mean(axis=-1) for score in scores], axis=0)


def levels(found: Sequence[offline_scores.Improvement], seed: int) -> list[Level]:
    """Returns each method over the data sets of at least two environments."""
    usable = largest_budgets(found)
    methods = sorted({here.method for here in usable}, key=offline_scores.order)
    made = []
    for method in methods:
        mine = [here for here in usable if here.method == method]
        if len({here.data.env for here in mine}) >= 2:
            made.append(_level(method, mine, seed))
    return made


def largest_budgets(
    found: Sequence[offline_scores.Improvement],
) -> list[offline_scores.Improvement]:
    """Returns what has a normalised score, of each data set at its largest budget."""
    usable = [here for here in found if here.scores is not None]
    largest: dict[tuple[str, str], float] = {}
    for here in usable:
        key = here.data[:2]
        largest[key] = max(largest.get(key, 0.0), here.data.frames)
    return [here for here in usable if here.data.frames == largest[here.data[:2]]]


def _level(
    method: offline_scores.Method, mine: list[offline_scores.Improvement], seed: int
) -> Level:
    scores = {
        f"{here.data.env}\n{here.data.name}": here.scores
        for here in mine
        if here.scores is not None
    }
    fewest = min(score.size for score in scores.values())

    def pooled(statistic: aggregate.Statistic) -> Pooled:
        found = aggregate.bootstrapped(scores, statistic, seed)
        return Pooled(found.value, found.interval if fewest > 1 else None)

    return Level(
        method,
        [here.data for here in mine],
        sum(score.size for score in scores.values()),
        fewest,
        pooled(aggregate.median_of_means),
        pooled(mean_of_means),
        pooled(aggregate.interquartile_mean),
    )
