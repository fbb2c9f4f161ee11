"""Draws an ablation as heat maps: ways of acting by columns, a panel a data set.

Every number is ours and is passed in. Each panel has its own colours, since scales of
environments differ.
"""

import itertools
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import FancyBboxPatch

from analysis import (
    ablation_cells,
    ablation_findings,
    ablation_panels,
    ablation_runs,
    ablation_sentences,
    drawing,
)

NAME = "ablation"
TITLE = "What carries the gain: acting by training"
MOST_PANELS = 60
COLUMN, ROW = 0.92, 0.62  # inches: a cell
FEWEST = 4  # columns that a panel has room for
LABELS, REST = 1.25, 1.45  # inches beside and above or below the cells of a panel
HEAD = 0.9  # inches: title and footer
LETTERS, BOLD = 14.5, 10  # an inch of small text, and of a title
GAP, ROUND = 0.035, 0.06  # of a cell
DARKEST, BRIGHTEST = 0.18, 0.97  # of viridis, so that no cell is nearly black
ON_DARK, ON_LIGHT = "#fefefe", "#040404"  # on colours that stay: none of the page
READING = (
    "Cells: mean over seeds ± half the 95 % t interval (n where there is none). "
    "Normalised: 0 random play, 1 the mean return of the data. "
    "Colour: from the lowest to the highest cell of each panel, or over the length of "
    "a typical interval if that is more."
)


def heat_maps(
    findings: ablation_findings.Findings, compare: bool
) -> drawing.Drawing | None:
    """Returns the figure, or None where there is no score.

    Args:
      findings: of the ablation.
      compare: whether the paper's table has a panel too.
    """
    if not findings.grids:
        return None
    panels = ablation_panels.panels(findings, compare)
    shown, reading = panels[:MOST_PANELS], READING
    if len(shown) < len(panels):
        reading += f" The first {len(shown)} of {len(panels)} panels."
    with mpl.rc_context(drawing.STYLE):
        figure = _drawn(shown, reading)
    return drawing.Drawing(
        *(NAME, TITLE, reading),
        *(figure, ablation_panels.numbers(shown)),
    )


def _drawn(shown: Sequence[ablation_panels.Panel], reading: str) -> Figure:
    across = min(2, len(shown))
    down = -(-len(shown) // across)
    most = max(len(panel.columns) for panel in shown)
    width = across * (LABELS + COLUMN * max(FEWEST, most))
    height = HEAD + down * (REST + ROW * len(ablation_runs.ACTIONS))
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
    figure = Figure(figsize=(width, height), layout=layout)
    all_axes = figure.subplots(down, across, squeeze=False).ravel()
    for axes, panel in zip(all_axes, shown, strict=False):
        _draw(axes, panel, most)
    for axes in all_axes[len(shown) :]:
        axes.set_axis_off()
    figure.suptitle(TITLE, fontsize=13, fontweight="bold")
    wrapped = "\n".join(textwrap.wrap(reading, int(LETTERS * width)))
    figure.supxlabel(wrapped, fontsize=8, color=drawing.SOFT)
    return figure


def _draw(axes: Axes, panel: ablation_panels.Panel, most: int) -> None:
    _set_up(axes, panel, most)
    low, high = colour_ends(list(panel.tiles.values()))
    for (column, action), tile in panel.tiles.items():
        x = panel.columns.index(column)
        y = ablation_runs.ACTIONS.index(action)
        share = None if tile.value is None else (tile.value - low) / (high - low)
        _draw_tile(axes, (x, y), tile, share)
    _draw_heads(axes, panel.columns)
    _draw_title(axes, panel, COLUMN * max(FEWEST, most))


def colour_ends(tiles: Sequence[ablation_panels.Tile]) -> tuple[float, float]:
    """Returns what the colours of a panel run between.

    From the lowest to the highest cell, and at least over the median length of the
    intervals, so that noise does not look like a pattern.
    """
    values = [tile.value for tile in tiles if tile.value is not None]
    halves = [tile.interval.half_width for tile in tiles if tile.interval is not None]
    half = (max(values) - min(values)) / 2
    half = max(half, float(np.median(halves)) if halves else 0.0) or 0.5
    middle = (max(values) + min(values)) / 2
    return middle - half, middle + half


def _set_up(axes: Axes, panel: ablation_panels.Panel, most: int) -> None:
    """Makes room for as many columns as the widest panel has: tiles are alike."""
    rows = len(ablation_runs.ACTIONS)
    axes.set_xlim(0, most)
    axes.set_ylim(rows, 0)
    names = [ablation_sentences.action(name) for name in ablation_runs.ACTIONS]
    axes.set_yticks(np.arange(rows) + 0.5, names)
    steps = [f"unroll {column.unroll}" for column in panel.columns]
    axes.set_xticks(np.arange(len(steps)) + 0.5, steps, fontsize=9)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_tile(
    axes: Axes, corner: tuple[int, int], tile: ablation_panels.Tile, share: float | None
) -> None:
    x, y = corner
    face, ink = drawing.PAPER, drawing.SOFT
    if share is not None:
        face = colour(share)
        ink = text_colour(face)
    size = 1 - 2 * GAP - 2 * ROUND
    box = FancyBboxPatch(
        (x + GAP + ROUND, y + GAP + ROUND),
        *(size, size),
        boxstyle=f"round,pad={ROUND},rounding_size={ROUND}",
        facecolor=face,
        edgecolor=drawing.GRID if share is None else face,
        linestyle="--" if share is None else "-",
        mutation_aspect=1,
    )
    axes.add_patch(box)
    up = 0.06 * bool(tile.below)
    words: dict[str, Any] = {
        "ha": "center",
        "va": "center",
        "color": ink,
        "parse_math": False,
    }
    weight: dict[str, Any] = {"fontsize": 9} if share is None else {"fontsize": 11.5}
    axes.text(x + 0.5, y + 0.5 - up * 2, tile.text, **words, **weight)
    axes.text(x + 0.5, y + 0.5 + 0.22, tile.below, fontsize=7.5, **words)


def colour(share: float) -> str:
    """Returns the colour of a cell, from the lowest (0) to the highest (1)."""
    place = DARKEST + (BRIGHTEST - DARKEST) * share
    return colors.to_hex(mpl.colormaps["viridis"](place))


def text_colour(face: str) -> str:
    """Returns the one of two inks that is read more easily on a colour.

    By the luminance of WCAG 2: L = 0.2126 R + 0.7152 G + 0.0722 B of linear light.
    """
    rgb = np.array(colors.to_rgb(face))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    # Contrast (L1 + .05) / (L2 + .05) with white against that with black.
    return ON_DARK if (luminance + 0.05) ** 2 < 1.05 * 0.05 else ON_LIGHT


def _draw_heads(axes: Axes, columns: Sequence[ablation_cells.Column]) -> None:
    """Names the targets below the unrolls, each over its columns."""
    numbered = itertools.groupby(enumerate(columns), key=lambda pair: pair[1].target)
    for target, part in numbered:
        places = [index for index, _ in part]
        left, right = places[0] + 0.08, places[-1] + 0.92
        place = axes.get_xaxis_transform()
        axes.plot(
            [left, right],
            [-0.13] * 2,
            color=drawing.AXIS,
            lw=1,
            transform=place,
            clip_on=False,
        )
        axes.annotate(
            ablation_sentences.target(target),
            ((left + right) / 2, -0.13),
            (0, -4),
            xycoords=place,
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=9.5,
            fontweight="bold",
        )


def _draw_title(axes: Axes, panel: ablation_panels.Panel, width: float) -> None:
    # The layout knows the height of a title; names may have dollars.
    title = _cut(panel.title, int(BOLD * width))
    axes.set_title(
        title, loc="left", pad=18, fontsize=10, fontweight="bold", parse_math=False
    )
    below = axes.annotate(
        _cut(panel.below, int(LETTERS * width)),
        (0, 1),
        (0, 5),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=8,
        color=drawing.SOFT,
        parse_math=False,
    )
    below.set_in_layout(False)


def _cut(text: str, letters: int) -> str:
    """Returns a text that is short enough: its end, a hash, tells most."""
    return text if len(text) <= letters else f"{text[: letters - 10]}…{text[-9:]}"
