"""The three contributions as differences, and whether the paper's orders hold.

(a) `unroll`: the same target and action selection, more model steps against fewer.
(b) `action`: the same networks, MCTS against the one-step value against the policy.
(c) `target`: the same unroll and action selection, Reanalyse against CRR against the
logged action.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from analysis import (
    ablation_cells,
    ablation_differences,
    ablation_paper,
    ablation_runs,
)

KINDS = ("unroll", "action", "target")
TESTS = {"unroll": "Welch", "action": "paired", "target": "Welch"}
HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"
NOT_PUBLISHED = "not in the paper"
Scores = Callable[[ablation_cells.Cell], ablation_cells.Vector]


class Side(NamedTuple):
    """A cell: a column, evaluated in one way."""

    column: ablation_cells.Column
    action: str


class Comparison(NamedTuple):
    """Two cells that differ in one thing: `first` has more of it."""

    kind: str  # unroll, action or target
    first: Side
    second: Side


class Found(NamedTuple):
    """A comparison and what came out."""

    comparison: Comparison
    difference: ablation_differences.Difference  # first − second
    raw: float | None  # difference of mean returns; None over environments
    holm: float | None  # adjusted p value, of all comparisons of the data set
    published: tuple[float, float] | None  # the paper's medians of both
    agreement: str  # holds, does not hold, undecided or not in the paper


def planned(grid: ablation_cells.Grid) -> list[Comparison]:
    """Returns every comparison of cells that a table has, kind by kind."""
    sides = sorted((Side(*key) for key in grid.cells), key=_order)
    pairs = itertools.combinations(sides, 2)
    made = [Comparison(_kind(low, high), high, low) for low, high in pairs]
    return sorted((each for each in made if _can_be_made(grid, each)), key=place)


def _can_be_made(grid: ablation_cells.Grid, comparison: Comparison) -> bool:
    if comparison.kind != "action":
        return bool(comparison.kind)
    first, second = (grid.cells[side] for side in comparison[1:])
    return bool(_common(first, second))


def place(comparison: Comparison) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Returns the place of a comparison in tables: kind by kind."""
    first, second = (_order(side) for side in comparison[1:])
    return KINDS.index(comparison.kind), second, first


def _order(side: Side) -> tuple[int, ...]:
    action = ablation_runs.ACTIONS.index(side.action)
    return *ablation_cells.column_order(side.column), action


def _kind(one: Side, other: Side) -> str:
    """Returns in what alone two cells differ, or nothing if in more than that."""
    differs = {
        "unroll": one.column.unroll != other.column.unroll,
        "action": one.action != other.action,
        "target": one.column.target != other.column.target,
    }
    names = [name for name, differ in differs.items() if differ]
    return names[0] if len(names) == 1 else ""


def compared(grid: ablation_cells.Grid) -> list[Found]:
    """Returns every comparison of a table: normalised scores if it has them."""
    made = planned(grid)
    found = [_difference(grid, each) for each in made]
    adjusted = ablation_differences.holm([each.p for each in found])
    return [
        judged(comparison, difference, _raw(grid, comparison), holm)
        for comparison, difference, holm in zip(made, found, adjusted, strict=True)
    ]


def judged(
    comparison: Comparison,
    difference: ablation_differences.Difference,
    raw: float | None,
    holm: float | None,
) -> Found:
    """Returns a comparison with its difference, held against the paper's order."""
    medians = published(comparison)
    agrees = agreement(difference, medians)
    return Found(comparison, difference, raw, holm, medians, agrees)


def samples(
    grid: ablation_cells.Grid, comparison: Comparison, scores: Scores
) -> tuple[ablation_cells.Vector, ablation_cells.Vector]:
    """Returns the scores of both sides; of an `action`, those of the same networks."""
    first, second = (grid.cells[side] for side in comparison[1:])
    if comparison.kind != "action":
        return scores(first), scores(second)
    common = _common(first, second)
    return _of_seeds(first, common, scores), _of_seeds(second, common, scores)


def _common(first: ablation_cells.Cell, second: ablation_cells.Cell) -> list[str]:
    return [seed for seed in first.seeds if seed in second.seeds]


def _of_seeds(
    cell: ablation_cells.Cell, seeds: Sequence[str], scores: Scores
) -> np.ndarray:
    return scores(cell)[[cell.seeds.index(seed) for seed in seeds]]


def test(kind: str) -> Callable[..., ablation_differences.Difference]:
    """Returns how a kind is tested: pairs for the same networks, else Welch."""
    paired = TESTS[kind] == "paired"
    return ablation_differences.paired if paired else ablation_differences.welch


def parts(kind: str) -> Callable[..., list[ablation_differences.Part]]:
    """Returns what a kind's test adds to a sum over environments."""
    if TESTS[kind] == "paired":
        return ablation_differences.paired_parts
    return ablation_differences.independent_parts


def _difference(
    grid: ablation_cells.Grid, comparison: Comparison
) -> ablation_differences.Difference:
    pair = samples(grid, comparison, ablation_cells.shown)
    return test(comparison.kind)(*pair)


def _raw(grid: ablation_cells.Grid, comparison: Comparison) -> float:
    first, second = samples(grid, comparison, ablation_cells.raw)
    return float(first.mean() - second.mean())


def published(comparison: Comparison) -> tuple[float, float] | None:
    """Returns the paper's medians of both sides, in per cent."""
    pair = [ablation_paper.median(*side.column, side.action) for side in comparison[1:]]
    first, second = pair
    return None if first is None or second is None else (first, second)


def agreement(
    difference: ablation_differences.Difference, medians: tuple[float, float] | None
) -> str:
    """Returns whether the paper's order holds: decided if the interval leaves out 0."""
    if medians is None:
        return NOT_PUBLISHED
    interval = difference.interval
    if interval is None or interval.contains(0.0):
        return UNDECIDED
    alike = (difference.value > 0) == (medians[0] > medians[1])
    return HOLDS if alike else FAILS


def excludes_0(difference: ablation_differences.Difference) -> bool | None:
    """Says whether the interval leaves out 0; None where there is no interval."""
    interval = difference.interval
    return None if interval is None else not interval.contains(0.0)
