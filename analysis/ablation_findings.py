"""Everything that an ablation found."""

from typing import NamedTuple

from analysis import (
    ablation_across,
    ablation_cells,
    ablation_comparisons,
    ablation_differences,
    ablation_notes,
    ablation_runs,
)


class Findings(NamedTuple):
    """The table of every data set, what was compared in it, and over environments."""

    ablation: ablation_runs.Ablation
    grids: list[ablation_cells.Grid]
    found: list[list[ablation_comparisons.Found]]  # of each table
    over: dict[float, list[ablation_across.Over]]  # by fraction
    levels: dict[
        float, dict[ablation_comparisons.Side, ablation_differences.Difference]
    ]
    notes: list[str]
    seed: int


def findings(ablation: ablation_runs.Ablation, seed: int) -> Findings:
    """Returns all tables and differences.

    Args:
      ablation: the networks.
      seed: of every bootstrap.
    """
    grids = ablation_cells.grids(ablation)
    over = ablation_across.over(grids, seed)
    usable = ablation_across.largest(grids)
    levels = {
        fraction: ablation_across.levels(
            [grid for grid in usable if grid.task.fraction == fraction]
        )
        for fraction in over
    }
    notes = ablation_notes.left_out(ablation) + ablation_notes.doubts(ablation, grids)
    found = [ablation_comparisons.compared(grid) for grid in grids]
    return Findings(ablation, grids, found, over, levels, notes, seed)
