"""The differences of an ablation over several environments, on normalised scores."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from analysis import (
    ablation_cells,
    ablation_comparisons,
    ablation_differences,
    aggregate,
    inference,
)


class Stratum(NamedTuple):
    """What one data set adds to a comparison over several."""

    task: ablation_cells.Task
    first: ablation_cells.Vector
    second: ablation_cells.Vector


class Over(NamedTuple):
    """A comparison over the data sets of several environments."""

    found: ablation_comparisons.Found  # of the mean over data sets
    tasks: tuple[ablation_cells.Task, ...]
    values: tuple[float, ...]  # the difference on each
    bootstrap: inference.Interval | None  # stratified percentile interval, beside


def over(grids: Sequence[ablation_cells.Grid], seed: int) -> dict[float, list[Over]]:
    """Returns every comparison that two environments or more have, by fraction.

    Each data set is taken at its largest size, and all of them weigh alike. Raw scores
    of different environments are never pooled.

    Args:
      grids: the table of every data set.
      seed: of the bootstrap.
    """
    usable = largest(grids)
    made = {}
    for fraction in sorted({grid.task.fraction for grid in usable}):
        mine = [grid for grid in usable if grid.task.fraction == fraction]
        if found := _over(mine, seed):
            made[fraction] = found
    return made


def largest(grids: Sequence[ablation_cells.Grid]) -> list[ablation_cells.Grid]:
    """Returns the tables with normalised scores, of each data set its largest size."""
    sizes: dict[tuple[str, str, float], float] = {}
    usable = [grid for grid in grids if grid.normalised]
    for grid in usable:
        key = _data_set(grid.task)
        sizes[key] = max(sizes.get(key, 0.0), grid.task.frames)
    return [grid for grid in usable if grid.task.frames == sizes[_data_set(grid.task)]]


def levels(
    grids: Sequence[ablation_cells.Grid],
) -> dict[ablation_comparisons.Side, ablation_differences.Difference]:
    """Returns the mean over data sets of every cell that all of them have.

    Args:
      grids: with normalised scores, of one fraction.
    """
    shared = [key for key in grids[0].cells if all(key in g.cells for g in grids)]
    made = {}
    for key in shared:
        scores = [ablation_cells.shown(grid.cells[key]) for grid in grids]
        made[ablation_comparisons.Side(*key)] = ablation_differences.mean_over(
            [float(each.mean()) for each in scores],
            [ablation_differences.sample_parts(each) for each in scores],
        )
    return made


def _data_set(task: ablation_cells.Task) -> tuple[str, str, float]:
    return task.env, task.dataset, task.fraction


def _over(grids: Sequence[ablation_cells.Grid], seed: int) -> list[Over]:
    strata: dict[ablation_comparisons.Comparison, list[Stratum]] = {}
    for grid in grids:
        for comparison in ablation_comparisons.planned(grid):
            pair = ablation_comparisons.samples(grid, comparison, ablation_cells.shown)
            strata.setdefault(comparison, []).append(Stratum(grid.task, *pair))
    several = {
        comparison: mine
        for comparison, mine in strata.items()
        if len({stratum.task.env for stratum in mine}) >= 2
    }
    # A comparison that the first table lacks stands where its kind does.
    order = ablation_comparisons.place
    means = {each: _mean(each, several[each]) for each in sorted(several, key=order)}
    adjusted = ablation_differences.holm([mean.p for mean in means.values()])
    return [
        _one(comparison, mean, several[comparison], holm, seed)
        for (comparison, mean), holm in zip(means.items(), adjusted, strict=True)
    ]


def _mean(
    comparison: ablation_comparisons.Comparison, strata: Sequence[Stratum]
) -> ablation_differences.Difference:
    parts = ablation_comparisons.parts(comparison.kind)
    return ablation_differences.mean_over(
        _values(strata), [parts(stratum.first, stratum.second) for stratum in strata]
    )


def _values(strata: Sequence[Stratum]) -> list[float]:
    return [float(each.first.mean() - each.second.mean()) for each in strata]


def _one(
    comparison: ablation_comparisons.Comparison,
    mean: ablation_differences.Difference,
    strata: Sequence[Stratum],
    holm: float | None,
    seed: int,
) -> Over:
    found = ablation_comparisons.judged(comparison, mean, None, holm)
    tasks = tuple(stratum.task for stratum in strata)
    bootstrap = None
    if mean.interval is not None:
        bootstrap = bootstrapped(comparison.kind, strata, seed)
    return Over(found, tasks, tuple(_values(strata)), bootstrap)


def bootstrapped(kind: str, strata: Sequence[Stratum], seed: int) -> inference.Interval:
    """Returns the percentile interval of the mean, seeds drawn inside each data set.

    Pairs are drawn as pairs, independent columns each for itself.
    """
    if kind == "action":
        scores = [stratum.first - stratum.second for stratum in strata]
        signs = [1.0] * len(scores)
    else:
        scores = [side for stratum in strata for side in stratum[1:]]
        signs = [1.0, -1.0] * len(strata)

    def statistic(drawn: aggregate.Samples) -> np.ndarray:
        means = [
            sign * each.mean(axis=-1) for sign, each in zip(signs, drawn, strict=True)
        ]
        return np.sum(means, axis=0) / len(strata)

    # Keys that sort as the samples stand.
    named = {f"{index:06d}": each for index, each in enumerate(scores)}
    return aggregate.bootstrapped(named, statistic, seed).interval
