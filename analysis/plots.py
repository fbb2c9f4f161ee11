"""Draws score against frames, one panel an environment.

seaborn draws the runs; every interval is ours and is passed in. The figure is made
without pyplot's global state and saved the same, byte for byte, from the same runs.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import transforms
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from analysis import drawing, table
from analysis import fit as fits

MOST_DOTS = 2000  # of the figure; more are rasterised inside the SVG
MOST_COLUMNS = 3
BEYOND_DECADES = 0.3  # of line drawn past the data
SIDE = 1.25  # factor of empty frames at either side
DODGE = 0.018  # of the width, between the curves of one budget
WIDE, NARROW = (7.2, 5.6), (4.8, 4.9)  # inches: on its own, and in the report


class DrawnCurve(NamedTuple):
    """A curve, its line and what the legend says of it."""

    curve: table.Curve
    line: fits.LawFit | None
    note: str


class Panel(NamedTuple):
    """One environment: its curves and the cells that carry means and intervals."""

    title: str
    curves: tuple[DrawnCurve, ...]
    cells: pd.DataFrame  # fraction, control, frames, mean, low, high
    frames_per_step: float  # above 1, agent steps are shown on top
    axis: str  # what is below: frames, or also those of a data set
    caption: str
    published: tuple[tuple[float, float], ...] = ()  # frames, score


def score_against_frames(
    panels: Sequence[Panel], single: tuple[float, float] = WIDE
) -> Figure:
    """Returns the figure: dots, cell means with intervals, lines with bands.

    Every seed is a dot; a dash is the mean of a cell, its bar the 95 % t
    interval; the band is simultaneous; the line is dashed beyond the data;
    a cross at the foot is a run that failed or diverged; a star is published.

    Args:
      panels: one an environment.
      single: size in inches of the figure of one environment.
    """
    columns = min(len(panels), MOST_COLUMNS)
    rows = math.ceil(len(panels) / columns)
    size = single if columns == 1 else (5.4 * columns, 5.0 * rows)
    with mpl.rc_context(drawing.STYLE):
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, panel in zip(grid, panels, strict=False):
            _draw_panel(axes, panel)
        if _dots(panels) > MOST_DOTS:
            rasterise_dots(grid)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        figure.supxlabel(_reading(panels), fontsize=8, color=drawing.SOFT)
    return figure


def _dots(panels: Sequence[Panel]) -> int:
    return sum(drawn.curve.score.size for panel in panels for drawn in panel.curves)


def rasterise_dots(grid: Iterable[Axes]) -> None:
    """Makes the dots of scatter plots an image inside the SVG."""
    for axes in grid:
        for collection in axes.collections:
            if isinstance(collection, PathCollection):  # what a scatter plot makes
                collection.set_rasterized(True)


def _reading(panels: Sequence[Panel]) -> str:
    lost = any(drawn.curve.lost.size for panel in panels for drawn in panel.curves)
    parts = ["dots: seeds;  dashes: cell means with 95 % t intervals"]
    parts += [";\nbands: simultaneous 95 %;  broken lines: beyond the data"]
    parts += [";  ×: failed or diverged"] * lost
    published = any(panel.published for panel in panels)
    return "".join(parts + [";\n★: published, MuZero Unplugged, f = 0.95"] * published)


def _draw_panel(axes: Axes, panel: Panel) -> None:
    shown = [c.curve.frames for c in panel.curves] + [
        c.curve.lost for c in panel.curves
    ]
    shown.append(np.array([frames for frames, _ in panel.published]))
    frames = np.concatenate(shown)
    axes.set_xscale("log")
    colours = drawing.colours([drawn.curve for drawn in panel.curves])
    middle = (len(panel.curves) - 1) / 2
    span = max(np.log10(frames.max() / frames.min()), 0.5)
    left = frames.min() / 10 ** (middle * DODGE * span)
    axes.set_xlim(left / SIDE, frames.max() * SIDE * 10**BEYOND_DECADES)
    for index, (drawn, colour) in enumerate(zip(panel.curves, colours, strict=True)):
        shift = 10 ** ((index - middle) * DODGE * span)
        _draw_line(axes, drawn, colour)
        _draw_runs(axes, drawn.curve, colour, shift)
        _draw_means(axes, drawn.curve, panel.cells, colour, shift)
    for at, score in panel.published:
        axes.plot([at], [score], "*", color=drawing.INK, markersize=13, zorder=4)
    _label(axes, panel, frames)


def _draw_line(axes: Axes, drawn: DrawnCurve, colour: str) -> None:
    label = f"{drawn.curve.label}:  {drawn.note}"
    style = drawing.dash(drawn.curve)
    axes.plot([], [], color=colour, linestyle=style, linewidth=2, label=label)
    if drawn.line is None:
        return
    first, last = drawn.curve.frames.min(), drawn.curve.frames.max()
    inside = np.geomspace(first, last, 100)
    beyond = np.geomspace(last, last * 10**BEYOND_DECADES, 20)
    for at, dash, width in ((inside, style, 2.0), (beyond, (0, (5, 3)), 1.2)):
        y = fits.predict(drawn.line, at)
        axes.plot(at, y, color=colour, linewidth=width, linestyle=dash)
    band = fits.simultaneous_band(drawn.line, inside)
    if band is not None:
        y = fits.predict(drawn.line, inside)
        axes.fill_between(inside, y - band, y + band, color=colour, alpha=0.13, lw=0)


def _draw_runs(axes: Axes, curve: table.Curve, colour: str, shift: float) -> None:
    edge = "white" if curve.control is None else colour
    sns.scatterplot(
        x=curve.frames * shift,
        y=curve.score,
        ax=axes,
        facecolor=drawing.face(curve, colour),
        edgecolor=edge,
        linewidth=0.9,
        s=30,
        zorder=3,
    )
    if curve.lost.size:
        foot = axes.get_xaxis_transform()
        y = np.full(curve.lost.size, 0.02)
        axes.plot(curve.lost * shift, y, "x", color=colour, transform=foot, ms=7)


def _draw_means(
    axes: Axes, curve: table.Curve, cells: pd.DataFrame, colour: str, shift: float
) -> None:
    own = cells["control"].isna()
    if curve.control is not None or curve.label == "control path":
        own = cells["control"] == curve.control if curve.control is not None else ~own
    if curve.fraction is not None:
        own &= cells["fraction"] == curve.fraction
    mine = cells[own & (cells["runs"] > 0)]
    axes.errorbar(
        mine["frames"] * shift,
        mine["mean"],
        yerr=np.nan_to_num(np.asarray(mine["high"] - mine["mean"], float)),
        fmt="_",  # a dash hides no seed
        color=colour,
        markersize=12,
        markeredgewidth=2.2,
        elinewidth=1.0,
        zorder=2.5,
    )


def _label(axes: Axes, panel: Panel, frames: np.ndarray) -> None:
    ticks = drawing.ticks(frames)
    drawing.number_axis(axes.xaxis, ticks)
    axes.yaxis.set_major_formatter(lambda value, _: drawing.score_label(value))
    axes.grid(True)
    axes.set_axisbelow(True)
    axes.set_xlabel(panel.axis)
    axes.set_ylabel("score (mean return)")
    above = 8
    if panel.frames_per_step > 1:
        _agent_steps(axes, panel.frames_per_step, ticks)
        above = 44
    head: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(
        panel.caption, (0, 1), (0, above), fontsize=9, color=drawing.SOFT, **head
    )
    axes.annotate(
        panel.title, (0, 1), (0, above + 16), fontsize=12, fontweight="bold", **head
    )
    below = axes.transAxes + transforms.ScaledTranslation(
        0, -36 / 72, axes.figure.dpi_scale_trans
    )
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(-0.02, 0),
        bbox_transform=below,
        fontsize=9,
        frameon=False,
        title="fraction:  slope per tenfold frames (95 % interval), verdict",
        title_fontsize=9,
        alignment="left",
    )


def _agent_steps(axes: Axes, frames_per_step: float, ticks: np.ndarray) -> None:
    top = axes.secondary_xaxis(
        "top",
        functions=(
            lambda frames: np.asarray(frames) / frames_per_step,
            lambda steps: np.asarray(steps) * frames_per_step,
        ),
    )
    drawing.number_axis(top.xaxis, ticks / frames_per_step)
    top.set_xlabel("agent steps")
