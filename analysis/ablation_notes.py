"""What a reader must know of an ablation beside its numbers."""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis import (
    ablation_cells,
    ablation_protocol,
    ablation_runs,
    ablation_sentences,
    sentences,
)

NEAR_UPDATES = 0.01  # updates that differ by less are rounding of whole calls


def facts(grid: ablation_cells.Grid) -> str:
    """Returns the ends of the scale of a table, or why it has none."""
    if not grid.normalised:
        return f"Raw scores only, since {grid.reason}."
    said = (
        f"Normalised: 0 is random play ({_number(grid.random)}), 1 the mean return of "
        f"the data ({_number(grid.behaviour)})"
    )
    if grid.best_tenth is not None:
        said += f"; the best tenth of its episodes are at {_number(grid.best_tenth)}"
    return f"{said}."


def _number(value: float | None) -> str:
    return "not known" if value is None else sentences.number(value)


def left_out(ablation: ablation_runs.Ablation) -> list[str]:
    """Returns every network that was lost, by name, and which rows were ignored."""
    said = [_lost(row) for row in ablation.lost.itertuples()]
    if said:
        said.append(
            "Note: lost networks are in no number above; if trainings end so because "
            "they are bad, what is left is too good."
        )
    return said + ablation.ignored


def _lost(row) -> str:
    reason = f": {row.note.rstrip('.')}" if row.note else ""
    return (
        f"Lost: {ablation_protocol.column_name(row)} on {row.env}, seed {row.seed}, "
        f"ended as {row.status} (row {row.where}){reason}."
    )


def doubts(
    ablation: ablation_runs.Ablation, grids: Sequence[ablation_cells.Grid]
) -> list[str]:
    """Returns what is doubtful about the networks that have scores."""
    said = [note for grid in grids for note in _uneven(grid) + _agreeing(grid)]
    for _, part in ablation.runs.groupby(ablation_runs.TASK):
        said += _updates(part) + _acting(part)
    kinds = ablation.runs[~ablation.runs["score_kind"].isin(["", "final"])]
    if len(kinds):
        said.append(
            f"{len(kinds)} scores are not of the final network (score_kind "
            f"{', '.join(sorted(set(kinds['score_kind'])))}): the best of several "
            "networks scores above what a training is worth."
        )
    return [f"Note: {text}" for text in said]


def _uneven(grid: ablation_cells.Grid) -> list[str]:
    counts = set(grid.seeds.values())
    if len(counts) == 1 and not any(grid.lost.values()):
        return []
    lost = {
        column: f" ({count} lost)" * (count > 0) for column, count in grid.lost.items()
    }
    listed = ", ".join(
        f"{column.name} {count}{lost[column]}" for column, count in grid.seeds.items()
    )
    where = ablation_sentences.task(grid.task)
    return [f"the columns of {where} have networks as follows: {listed}."]


def _agreeing(grid: ablation_cells.Grid) -> list[str]:
    """Returns the cells whose seeds all have one score."""
    alike = [
        f"{column.name} {action} ({sentences.number(float(cell.raw[0]))})"
        for (column, action), cell in grid.cells.items()
        if cell.raw.size > 1 and np.ptp(cell.raw) == 0
    ]
    if not alike:
        return []
    return [
        f"on {ablation_sentences.task(grid.task)} all seeds have one score in "
        f"{', '.join(alike)}: at a bound of the score, differences are hidden."
    ]


def _acting(part: pd.DataFrame) -> list[str]:
    """Returns that columns acted in different ways while they were trained."""
    columns: dict[str, list[str]] = {}
    for row in part[part["acting"] != ""].itertuples():
        names = columns.setdefault(str(row.acting), [])
        names += [ablation_protocol.column_name(row)]
    if len(columns) < 2:
        return []
    listed = "; ".join(
        f"{acting}: {', '.join(dict.fromkeys(columns[acting]))}"
        for acting in sorted(columns)
    )
    return [
        f"the columns of {part['env'].iloc[0]} acted in different ways in training "
        f"({listed}), so they saw different data."
    ]


def _updates(part: pd.DataFrame) -> list[str]:
    """Returns that columns took different numbers of gradient steps."""
    known = part[part["learner_updates"].notna()]
    updates = {
        ablation_protocol.column_name(next(rows.itertuples())): float(
            rows["learner_updates"].mean()
        )
        for _, rows in known.groupby(ablation_protocol.COLUMN)
    }
    if not updates:
        return []
    least, most = (end(updates, key=updates.__getitem__) for end in (min, max))
    if updates[most] - updates[least] <= NEAR_UPDATES * updates[most]:
        return []
    return [
        f"the columns of {part['env'].iloc[0]} took from {updates[least]:,.0f} (of "
        f"{least}) to {updates[most]:,.0f} learner updates (of {most}), which is in "
        "their differences too."
    ]
