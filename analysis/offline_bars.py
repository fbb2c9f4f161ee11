"""Which bars the figure of offline agents has, with what colours and numbers."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import colors

from analysis import drawing, offline_atari46, offline_scores, offline_sentences

HUES = {"reanalyse": "#0072B2", "crr": "#009E73", "supervised": "#E69F00"}
# The hue of a published method is that of ours it is to be compared with.
PUBLISHED_HUES = {
    "unplugged": HUES["reanalyse"],
    "crr": HUES["crr"],
    "dqn": drawing.AXIS,
    "cloned": HUES["supervised"],
}
PALEST = 0.62  # share of white in the last method of a hue
UNKNOWN = float("nan")


class Bar(NamedTuple):
    """A bar of the figure: a method on a data set, or what was published."""

    label: str  # in the legend
    order: tuple[float, ...]  # of the legend
    colour: str
    published: bool
    value: float
    low: float  # nan where there is no interval
    high: float
    lost: int = 0
    seeds: tuple[str, ...] = ()
    dots: tuple[float, ...] = ()  # one a seed


class Group(NamedTuple):
    """The bars of a data set."""

    data: offline_scores.DataSet
    bars: list[Bar]
    best_tenth: float  # nan if not known


def groups(found: Sequence[offline_scores.Improvement], compare: bool) -> list[Group]:
    """Returns the bars of every data set on which scores can be normalised.

    Args:
      found: every method on every data set, in order.
      compare: whether Atari games get their published scores, each game once.
    """
    shown = [here for here in found if here.mean is not None]
    colours = _colours(shown)
    made: list[Group] = []
    for data, part in itertools.groupby(shown, key=lambda here: here.data):
        rows = list(part)
        bars = [_bar(here, colours[here.method]) for here in rows]
        if compare and data.env not in (group.data.env for group in made):
            bars += _published(data.env)
        tenths = [here.best_tenth_normalised for here in rows]
        known = [tenth for tenth in tenths if tenth is not None]
        made.append(Group(data, bars, known[0] if known else UNKNOWN))
    return made


def _colours(
    shown: Sequence[offline_scores.Improvement],
) -> dict[offline_scores.Method, str]:
    """Returns a hue for each way of training, paler for further ways of acting."""
    methods = sorted({here.method for here in shown}, key=offline_scores.order)
    chosen = {}
    for target, part in itertools.groupby(methods, key=lambda method: method.target):
        same = list(part)
        for method, share in zip(same, np.linspace(0, PALEST, len(same)), strict=True):
            chosen[method] = _paler(HUES[target], float(share))
    return chosen


def _paler(colour: str, white: float) -> str:
    mixed = np.array(colors.to_rgb(colour)) * (1 - white) + white
    return colors.to_hex(mixed.tolist())


def _bar(here: offline_scores.Improvement, colour: str) -> Bar:
    assert here.mean is not None
    assert here.scores is not None
    low, high = here.interval or (UNKNOWN, UNKNOWN)
    return Bar(
        offline_sentences.method(here.method),
        (0, *offline_scores.order(here.method)),
        *(colour, False, here.mean, low, high, here.lost, here.seeds),
        tuple(here.scores.tolist()),
    )


def _published(env: str) -> list[Bar]:
    game = offline_atari46.game(env)
    if game is None:
        return []
    return [
        Bar(
            f"{offline_atari46.METHODS[field]}, published",
            (1, place),
            *(PUBLISHED_HUES[field], True, value, UNKNOWN, UNKNOWN),
        )
        for place, (field, value) in enumerate(offline_atari46.normalised(game).items())
    ]


def legend(groups: Sequence[Group]) -> list[Bar]:
    """Returns a bar of each method, ours in order and then the published ones."""
    seen: dict[str, Bar] = {}
    for bar in (bar for group in groups for bar in group.bars):
        seen.setdefault(bar.label, bar)
    return sorted(seen.values(), key=lambda bar: bar.order)


def numbers(groups: Sequence[Group]) -> pd.DataFrame:
    """Returns what is drawn: a row a dot, a bar, and a best tenth."""
    rows: list[dict[str, Any]] = []
    for group in groups:
        here = {
            **{"env": group.data.env, "dataset": group.data.name},
            "dataset_frames": group.data.frames,
        }
        if not np.isnan(group.best_tenth):
            rows.append({**here, "mark": "best tenth", "value": group.best_tenth})
        for bar in group.bars:
            rows += _bar_numbers(bar, here)
    order = ["env", "dataset", "dataset_frames", "method", "mark", "seed", "value"]
    return pd.DataFrame(rows, columns=pd.Index([*order, "low", "high"]))


def _bar_numbers(bar: Bar, here: dict[str, Any]) -> list[dict[str, Any]]:
    mine = {**here, "method": bar.label}
    mark = "published" if bar.published else "mean"
    bounds = {"value": bar.value, "low": bar.low, "high": bar.high}
    return [
        {**mine, "mark": mark, **bounds},
        *(
            {**mine, "mark": "seed", "seed": seed, "value": score}
            for seed, score in zip(bar.seeds, bar.dots, strict=True)
        ),
    ]
