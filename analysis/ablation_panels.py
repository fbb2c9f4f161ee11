"""Which panels the figure of an ablation has, with what cells and numbers."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from analysis import (
    ablation_cells,
    ablation_comparisons,
    ablation_differences,
    ablation_findings,
    ablation_paper,
    ablation_runs,
    ablation_sentences,
    ablation_tables,
    inference,
    sentences,
)


class Tile(NamedTuple):
    """A cell of the figure."""

    value: float | None  # None where there is no score
    text: str
    below: str  # its error, or how many networks
    interval: inference.Interval | None = None
    networks: int | None = None


class Panel(NamedTuple):
    """A heat map: a data set, the mean over all, or what was published."""

    title: str
    below: str  # the unit, and what it was made from
    columns: tuple[ablation_cells.Column, ...]
    tiles: dict[tuple[ablation_cells.Column, str], Tile]  # of every column and action
    published: bool = False


def panels(findings: ablation_findings.Findings, compare: bool) -> list[Panel]:
    """Returns a panel for every data set, then their means, then the paper's.

    Args:
      findings: of the ablation.
      compare: whether to show the paper's table too.
    """
    made = [_of_task(grid) for grid in findings.grids]
    for fraction, means in findings.levels.items():
        if means:
            made.append(
                _of_means(fraction, means, len(findings.over[fraction][0].tasks))
            )
    return [*made, _published()] if compare else made


def _of_task(grid: ablation_cells.Grid) -> Panel:
    tiles = {}
    for column in grid.columns:
        for action in ablation_runs.ACTIONS:
            cell = grid.cells.get((column, action))
            tiles[column, action] = _missing(column, action, grid.lost[column])
            if cell is not None:
                scores = ablation_cells.shown(cell)
                interval = ablation_cells.mean_interval(scores)
                tiles[column, action] = _tile(
                    float(scores.mean()), interval, len(cell.seeds)
                )
    unit = "normalised score" if grid.normalised else "mean return"
    size = ablation_sentences.size(grid.task)
    below = " · ".join(part for part in (unit, *size, grid.task.dataset) if part)
    return Panel(grid.task.env, below, grid.columns, tiles)


def _of_means(
    fraction: float,
    means: Mapping[ablation_comparisons.Side, ablation_differences.Difference],
    count: int,
) -> Panel:
    columns = sorted({side.column for side in means}, key=ablation_cells.column_order)
    tiles = {}
    for column in columns:
        for action in ablation_runs.ACTIONS:
            mean = means.get(ablation_comparisons.Side(column, action))
            tiles[column, action] = _missing(column, action, 0)
            if mean is not None:
                tiles[column, action] = _tile(mean.value, mean.interval, None)
    apart = f", fraction {fraction:g}" if fraction < 1 else ""
    title = f"Mean over {count} data sets{apart}"
    return Panel(title, "normalised score", tuple(columns), tiles)


def _published() -> Panel:
    columns = tuple(
        ablation_cells.Column(*network) for network in ablation_paper.MEDIANS
    )
    tiles = {}
    for column in columns:
        for action in ablation_runs.ACTIONS:
            median = ablation_paper.median(*column, action)
            tiles[column, action] = _missing(column, action, 0)
            if median is not None:
                tiles[column, action] = Tile(median, f"{median:.1f}", "")
    title = "Published: Schrittwieser et al. 2021"
    return Panel(title, ablation_paper.UNIT, columns, tiles, published=True)


def _tile(
    value: float, interval: inference.Interval | None, networks: int | None
) -> Tile:
    below = f"n = {networks}" if networks is not None else ""
    if interval is not None:
        below = f"±{_number(interval.half_width)}"
    return Tile(value, _number(value), below, interval, networks)


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 9.995 else sentences.number(value)


def _missing(column: ablation_cells.Column, action: str, lost: int) -> Tile:
    text = ablation_tables.missing(column, action)
    return Tile(None, text, f"{lost} lost" if lost else "")


def numbers(shown: Sequence[Panel]) -> pd.DataFrame:
    """Returns what is drawn: a row a tile."""
    rows: list[dict[str, Any]] = []
    for panel in shown:
        for (column, action), tile in panel.tiles.items():
            low, high = tile.interval or (None, None)
            rows.append(
                {
                    **{"panel": panel.title, "of": panel.below},
                    **{"target": column.target, "unroll_steps": column.unroll},
                    **{"action": action, "value": tile.value},
                    **{"low": low, "high": high, "networks": tile.networks},
                }
            )
    return pd.DataFrame(rows)
