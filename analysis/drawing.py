"""What all figures share: style, colours, ticks, and how they are saved.

Figures are made without pyplot's global state and saved the same, byte for byte, from
the same runs. Their neutral colours are few and fixed, so that the report can replace
them by variables of its style sheet and have dark figures on a dark page.
"""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from analysis import table

INK, SOFT, AXIS, GRID, PAPER = "#303030", "#606060", "#808080", "#e8e8e8", "#ffffff"
# Okabe & Ito 2008, "Color universal design", without black and yellow.
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
CONTROL_DASH = (0, (1, 1.2))
MOST_TICKS, LEAST_TICKS = 6, 3

STYLE: dict[Any, Any] = {
    "axes.edgecolor": AXIS,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "text.color": INK,
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so equal everywhere
    "font.size": 10,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "svg.fonttype": "none",
    "svg.hashsalt": "scaling-unplugged",
    "xtick.color": INK,
    "ytick.color": INK,
}

SMALL = (4.8, 3.4)  # inches: readable at the width of a phone


class Drawing(NamedTuple):
    """A figure, its words and its numbers."""

    name: str  # of its files
    title: str
    caption: str  # what to read in it
    figure: Figure
    data: pd.DataFrame


def count_label(count: float) -> str:
    """Returns a count as 500, 10k, 2M, 1.5B, 3T or 2e+16."""
    if abs(count) >= 0.9995e15:
        return f"{count:.2g}"
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= 0.9995 * size:
            return f"{count / size:.3g}{unit}"
    return f"{count:.3g}"


def colours(curves: Sequence[table.Curve]) -> list[str]:
    """Returns a colour for each curve, by its fraction."""
    # A control has the colour of the fraction it is a control for.
    keys = [c.fraction if c.control is None else c.control for c in curves]
    distinct = sorted(set(keys), key=lambda key: -1.0 if key is None else key)
    chosen = palette(len(distinct))
    return [chosen[distinct.index(key)] for key in keys]


def dash(curve: table.Curve) -> Any:
    """Returns the style of a curve's line: dots for a control, else whole."""
    return "-" if curve.control is None else CONTROL_DASH


def face(curve: table.Curve, colour: str) -> str:
    """Returns the inside of a curve's dots: empty for a control."""
    return colour if curve.control is None else PAPER


def palette(count: int) -> list[str]:
    """Returns distinct colours: Okabe and Ito's, or viridis where they are too few."""
    if count <= len(OKABE_ITO):
        return [str(colour) for colour in OKABE_ITO[:count]]
    return [str(colour) for colour in sns.color_palette("viridis", count).as_hex()]


def number_axis(axis: Axis, ticks: np.ndarray) -> None:
    """Puts these ticks on an axis, as 200k, 2M, 20M, and no others."""
    axis.set_major_locator(ticker.FixedLocator(ticks.tolist()))
    axis.set_major_formatter(lambda value, _: count_label(value))
    axis.set_minor_locator(ticker.NullLocator())


def score_label(value: float) -> str:
    """Returns a score as 1,234.5, or short from 100,000 on."""
    return count_label(value) if abs(value) >= 1e5 else f"{value:,.6g}"


def ticks(frames: np.ndarray) -> np.ndarray:
    """Returns the budgets, if few and apart, or round numbers among them."""
    budgets = np.unique(frames)
    gaps = np.diff(np.log10(budgets))
    width = max(np.log10(budgets[-1] / budgets[0]), 1e-9)
    if budgets.size <= MOST_TICKS and (gaps.size == 0 or gaps.min() > 0.08 * width):
        return budgets
    low, high = budgets[[0, -1]]
    for subs in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0)):
        values = np.array(ticker.LogLocator(subs=subs).tick_values(low, high))
        inside = values[(values >= low / 1.2) & (values <= high * 1.2)]
        if inside.size >= LEAST_TICKS:
            break
    return inside


def frames_axes(
    frames: np.ndarray, label: str, size: tuple[float, float] = SMALL
) -> tuple[Figure, Axes]:
    """Returns a figure of one panel with frames along a logarithmic axis."""
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_xlim(frames.min() / 1.25, frames.max() * 1.25)
    number_axis(axes.xaxis, ticks(frames))
    axes.set_xlabel(label)
    axes.grid(True)
    axes.set_axisbelow(True)
    return figure, axes


def legend_below(axes: Axes, title: str = "fraction") -> None:
    """Puts the legend under the axis label, where it hides nothing."""
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.2),
        ncols=3,
        fontsize=9,
        frameon=False,
        title=title,
        title_fontsize=9,
    )


def saved(figure: Figure, form: str) -> bytes:
    """Returns the figure as the bytes of a `png` or `svg` file, without a date."""
    metadata = {"Date": None} if form == "svg" else {}
    stream = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(stream, format=form, dpi=160, metadata=metadata)
    return stream.getvalue()
