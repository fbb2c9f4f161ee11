"""The table of an ablation: ways of acting by columns, for each data set.

A column is one training (target and unroll), its rows are evaluations of the same
networks. Scores are raw and, where all runs of a data set have both ends of the scale,
normalised: 0 is random play, 1 the mean return of the data's episodes.
"""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false

from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from analysis import ablation_runs, inference, offline_runs, offline_scores

Vector = Float[np.ndarray, "S"]


class Task(NamedTuple):
    """What the networks of a table learned from."""

    env: str
    dataset: str  # name@hash; empty if none or not recorded
    frames: float  # of the data set at fraction 1, else of interaction; 0: not known
    fraction: float


class Column(NamedTuple):
    """How the networks of a column were trained."""

    target: str
    unroll: int  # K, model steps of the unrolled loss

    @property
    def name(self) -> str:
        """The name of the column's folder: supervised-5."""
        return f"{self.target}-{self.unroll}"


class Cell(NamedTuple):
    """The networks of a column, evaluated in one way."""

    seeds: tuple[str, ...]
    raw: Vector  # mean return, one a seed
    normalised: Vector | None


class Grid(NamedTuple):
    """The table of one data set."""

    task: Task
    columns: tuple[Column, ...]
    cells: dict[tuple[Column, str], Cell]  # by column and action
    seeds: dict[Column, int]  # networks that have scores
    lost: dict[Column, int]  # networks that failed, diverged or were interrupted
    behaviour: float | None  # mean over the networks, as are the next two
    random: float | None
    best_tenth: float | None  # normalised
    reason: str  # why nothing is normalised; else empty

    @property
    def normalised(self) -> bool:
        """Whether the cells have normalised scores."""
        return not self.reason


def raw(cell: Cell) -> Vector:
    """Returns the mean returns of a cell."""
    return cell.raw


def shown(cell: Cell) -> Vector:
    """Returns the scores that are compared: normalised ones where there are any."""
    return cell.raw if cell.normalised is None else cell.normalised


def grids(ablation: ablation_runs.Ablation) -> list[Grid]:
    """Returns the table of every data set, in order."""
    parts = {}
    for key, part in ablation.runs.groupby(ablation_runs.TASK):
        env, dataset, budget, fraction = key
        parts[Task(str(env), str(dataset), float(budget), float(fraction))] = part
    lost = _lost_by_task(ablation.lost, list(parts))
    return [_grid(task, parts[task], lost[task]) for task in sorted(parts)]


def column_order(column: Column) -> tuple[int, int]:
    """Returns the place of a column: targets as in the paper, then unroll."""
    return ablation_runs.TARGETS.index(column.target), column.unroll


def _grid(task: Task, part: pd.DataFrame, lost: dict[Column, int]) -> Grid:
    behaviour = part["behaviour_score"].to_numpy(float)
    random = part["random_score"].to_numpy(float)
    reason = _no_scale(behaviour, random)
    by_column = {
        Column(str(target), int(unroll)): rows
        for (target, unroll), rows in part.groupby(["target", "unroll_steps"])
    }
    columns = tuple(sorted({*by_column, *lost}, key=column_order))
    cells = {}
    for column, rows in by_column.items():
        for action in ablation_runs.ACTIONS:
            cell = _cell(rows[rows[f"score_{action}"].notna()], action, not reason)
            if cell.seeds:
                cells[column, action] = cell
    tenth = part["dataset_best_tenth"].to_numpy(float)
    return Grid(
        *(task, columns, cells),
        {column: len(by_column.get(column, ())) for column in columns},
        {column: lost.get(column, 0) for column in columns},
        *(_known(behaviour), _known(random)),
        None if reason else _known(offline_scores.normalised(tenth, behaviour, random)),
        reason,
    )


def _cell(rows: pd.DataFrame, action: str, scaled: bool) -> Cell:
    raw = rows[f"score_{action}"].to_numpy(float)
    ends = [rows[f"{end}_score"].to_numpy(float) for end in ("behaviour", "random")]
    scores = offline_scores.normalised(raw, *ends) if scaled else None
    return Cell(tuple(rows["seed"]), raw, scores)


def _known(values: Vector) -> float | None:
    """Returns the mean over networks, or None unless all have the value."""
    return None if np.isnan(values).any() else float(values.mean())


def _no_scale(behaviour: Vector, random: Vector) -> str:
    """Returns why scores cannot be normalised, or nothing.

    All networks of a table or none: its cells are compared with each other.
    """
    ends = {"behaviour_score": behaviour, "random_score": random}
    for name, values in ends.items():
        if np.isnan(values).any():
            count = int(np.isnan(values).sum())
            return f"{count} of {values.size} networks have no {name}"
    bad = np.flatnonzero(~offline_scores.normalisable(behaviour, random))
    if bad.size:
        worst = int(bad[0])
        return (
            f"the mean return of the data ({behaviour[worst]:.6g}) is not above that "
            f"of random play ({random[worst]:.6g})"
        )
    return ""


def mean_interval(scores: Vector) -> inference.Interval | None:
    """Returns the t interval of a cell's mean; None for one seed or no spread."""
    return offline_scores.mean_interval(scores)


def _lost_by_task(
    lost: pd.DataFrame, tasks: list[Task]
) -> dict[Task, dict[Column, int]]:
    """Returns how many networks of each column were lost on each data set."""
    counts: dict[Task, dict[Column, int]] = {task: {} for task in tasks}
    for row in lost.itertuples():
        column = Column(str(row.target), int(row.unroll_steps))
        for task in _where_it_may_belong(row, tasks):
            counts[task][column] = counts[task].get(column, 0) + 1
    return counts


def _where_it_may_belong(row, tasks: list[Task]) -> list[Task]:
    """Returns the tables that a lost network may have been for.

    A network that ended early has recorded its budget but maybe not its data set, or
    neither: it counts wherever it may belong.
    """
    here = [t for t in tasks if t.env == row.env and t.fraction == row.fraction]
    named = [t for t in here if row.dataset and t.dataset == row.dataset]
    here = named or here
    size = row.dataset_frames if row.fraction == 1 else row.frames
    near = [t for t in here if _near(size, t.frames)]
    return near or here


def _near(size: float, frames: float) -> bool:
    low, high = min(size, frames), max(size, frames)  # of a size not known, nan
    return bool(high <= offline_runs.NEAR * low)
