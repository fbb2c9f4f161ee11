"""Draws offline agents against the policies that made their data.

A bar is a method's mean over seeds; the vertical line at 1 is the policy that made the
data. Every interval is ours and is passed in.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from analysis import drawing, offline_bars, offline_scores, offline_sentences, sentences

NAME = "offline_improvement"
TITLE = "Offline agents against the policies that made their data"
LINEAR_UP_TO = 10.0  # largest score shown on a linear axis
BAR, GAP = 0.78, 0.9  # height of a bar and room between data sets, in rows
FEWEST_ROWS = 1.7  # of room for a data set: its name has two lines
ROW, WIDTH, REST = 0.27, 8.0, 1.9  # inches: a row, the figure, what is not rows
MOST_INCHES = 120.0
WHISKER_ROOM = 0.5  # of the span of all else, after which a whisker is cut off
FIRST_TICKS = (0.0, 0.5, 1.0, 2.0, 5.0)  # of a logarithmic axis
MANY_TENFOLDS = 200.0  # from which only whole tenfolds get ticks
INTERVALS_AT = 46  # points from the axis, right of the means


def improvement(
    found: Sequence[offline_scores.Improvement], compare: bool
) -> drawing.Drawing | None:
    """Returns the figure, or None where nothing can be normalised.

    Args:
      found: every method on every data set, in order.
      compare: whether to draw the published scores of Atari games too.
    """
    groups = offline_bars.groups(found, compare)
    if not groups:
        return None
    with mpl.rc_context(drawing.STYLE):
        figure = _drawn(groups)
    return drawing.Drawing(
        *(NAME, TITLE),
        "Mean over seeds of (agent − random) / (behaviour − random), with 95 % t "
        "intervals; dots are seeds.",
        *(figure, offline_bars.numbers(groups)),
    )


def _drawn(groups: Sequence[offline_bars.Group]) -> Figure:
    rooms = [max(len(group.bars), FEWEST_ROWS) for group in groups]
    rows = sum(rooms) + GAP * len(rooms)
    height = min(REST + ROW * rows, MOST_INCHES)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots()
    _scale(axes, groups)
    top = GAP / 2
    for group, room in zip(groups, rooms, strict=True):
        _draw_group(axes, group, top + room / 2)
        top += room + GAP
    axes.set_ylim(rows, 0)
    _label(axes)
    bars = offline_bars.legend(groups)
    handles = [Patch(**_look(bar), label=bar.label) for bar in bars]
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=3,
        frameon=False,
        fontsize=9,
        title=TITLE,
        title_fontproperties={"size": 12, "weight": "bold"},
    )
    figure.supxlabel(_reading(groups), fontsize=8, color=drawing.SOFT)
    return figure


def _scale(axes: Axes, groups: Sequence[offline_bars.Group]) -> None:
    """Chooses the axis: symmetric-logarithmic if a score is above ten."""
    points = _points(groups)
    if np.abs(points).max() > LINEAR_UP_TO:
        axes.set_xscale("symlog", linthresh=1.0, linscale=1.0)
    axes.set_xlim(*_limits(axes, points, _whiskers(groups)))
    if axes.get_xscale() == "symlog":
        drawing.number_axis(axes.xaxis, log_ticks(*axes.get_xlim()))


def _points(groups: Sequence[offline_bars.Group]) -> np.ndarray:
    """Returns all that must be seen whole: bars, dots, best tenths, 0 and 1."""
    bars = [bar for group in groups for bar in group.bars]
    shown = [value for bar in bars for value in (bar.value, *bar.dots)]
    shown += [group.best_tenth for group in groups]
    return np.array([0.0, 1.0, *(value for value in shown if not np.isnan(value))])


def _whiskers(groups: Sequence[offline_bars.Group]) -> np.ndarray:
    bars = [bar for group in groups for bar in group.bars]
    ends = np.array([(bar.low, bar.high) for bar in bars]).ravel()
    return ends[~np.isnan(ends)]


def _limits(
    axes: Axes, points: np.ndarray, whiskers: np.ndarray
) -> tuple[float, float]:
    """Returns the ends of the axis, so that one wide interval flattens nothing."""
    scale = axes.get_xaxis().get_transform()
    at = scale.transform(points)
    room = WHISKER_ROOM * (at.max() - at.min())
    ends = np.clip(scale.transform(whiskers), at.min() - room, at.max() + room)
    everything = np.concatenate([at, ends])
    low, high = everything.min(), everything.max()
    pad = 0.03 * (high - low)
    low -= pad if low < 0 else 0.0  # else bars stand on the edge
    low, high = scale.inverted().transform(np.array([low, high + pad]))
    return float(low), float(high)


def log_ticks(low: float, high: float) -> np.ndarray:
    """Returns the ticks of a symmetric-logarithmic axis from `low` to `high`."""
    many = max(-low, high) > MANY_TENFOLDS
    subs = (1.0,) if many else (1.0, 2.0, 5.0)
    tenfolds = [first * 10.0**power for power in range(1, 300) for first in subs]
    right = np.array([*((0.0, 1.0) if many else FIRST_TICKS), *tenfolds])
    both = np.concatenate([-right[:0:-1], right])
    return both[(both >= low) & (both <= high)]


def _draw_group(axes: Axes, group: offline_bars.Group, centre: float) -> None:
    first = centre - (len(group.bars) - 1) / 2
    for index, bar in enumerate(group.bars):
        _draw_bar(axes, bar, first + index)
    ours = sum(not bar.published for bar in group.bars)
    if not np.isnan(group.best_tenth):
        ends = (first - 0.5, first + ours - 0.5)
        dashes = {"colors": drawing.INK, "linestyles": [(0, (2, 1.5))]}
        axes.vlines(group.best_tenth, *ends, **dashes)
    words: dict[str, Any] = {
        "xycoords": axes.get_yaxis_transform(),
        "textcoords": "offset points",
        "ha": "right",
        "parse_math": False,  # names may have dollars
    }
    env, name = group.data.env, offline_sentences.size_of(group.data)
    if name:
        axes.annotate(
            *(name, (0, centre), (-8, -2)),
            **{"va": "top", "fontsize": 8, "color": drawing.SOFT, **words},
        )
    up = {"va": "bottom" if name else "center", "fontweight": "bold"}
    axes.annotate(env, (0, centre), (-8, 1 if name else 0), **up, **words)


def _draw_bar(axes: Axes, bar: offline_bars.Bar, y: float) -> None:
    axes.barh(y, bar.value, height=BAR, linewidth=1, zorder=2, **_look(bar))
    axes.plot(
        *(bar.dots, np.full(len(bar.dots), y), "o"),
        **{"color": drawing.PAPER, "ms": 4.6, "zorder": 4},
        **{"markeredgecolor": drawing.INK, "markeredgewidth": 0.8},
    )
    if not np.isnan(bar.low):
        _draw_whisker(axes, bar, y)
    words: dict[str, Any] = {
        "xycoords": axes.get_yaxis_transform(),
        "textcoords": "offset points",
        "va": "center",
        "fontsize": 8,
    }
    axes.annotate(_number(bar.value), (1, y), (10, 0), fontweight="bold", **words)
    soft = {"color": drawing.SOFT, **words}
    axes.annotate(_beside(bar), (1, y), (INTERVALS_AT, 0), **soft)


def _look(bar: offline_bars.Bar) -> dict[str, Any]:
    if bar.published:
        hatch = {"facecolor": drawing.PAPER, "hatch": "/////"}
        return {"edgecolor": bar.colour, **hatch}
    return {"color": bar.colour, "alpha": 0.85}


def _draw_whisker(axes: Axes, bar: offline_bars.Bar, y: float) -> None:
    left, right = axes.get_xlim()
    axes.hlines(y, max(bar.low, left), min(bar.high, right), drawing.INK, lw=1.2)
    for end, edge, cut, mark in (
        (bar.low, left, bar.low < left, "<"),
        (bar.high, right, bar.high > right, ">"),
    ):
        at, shape, size = (edge, mark, 5) if cut else (end, "|", 8)
        axes.plot([at], [y], shape, color=drawing.INK, ms=size, clip_on=False, zorder=3)


def _beside(bar: offline_bars.Bar) -> str:
    if bar.published:
        return "published"
    count = f"n = {len(bar.dots)}{f', {bar.lost} lost' * (bar.lost > 0)}"
    if np.isnan(bar.low):
        return count
    return f"{_number(bar.low)} to {_number(bar.high)},  {count}"


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 99.995 else sentences.number(value)


def _label(axes: Axes) -> None:
    axes.axvline(1, color=drawing.INK, lw=1.4, zorder=3)
    axes.axvline(0, color=drawing.AXIS, lw=0.8, zorder=2.5)
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)
    axes.set_xlabel("normalised score: 0 random play, 1 the policy that made the data")
    top = {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points"}
    words = {"ha": "center", "fontsize": 8, "fontweight": "bold"}
    axes.annotate("behaviour = 1", (1, 1), (0, 3), **words, **top)


def _reading(groups: Sequence[offline_bars.Group]) -> str:
    text = "bars: means over seeds;  dots: seeds;  whiskers: 95 % t intervals"
    if any(not np.isnan(group.best_tenth) for group in groups):
        text += ";\ndashes: best tenth of the data's episodes"
    if any(bar.published for group in groups for bar in group.bars):
        text += ";\nhatched: published, and there 1 is a DQN that learned online"
    return text
