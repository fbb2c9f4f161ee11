"""Which figures an environment gets, and their files."""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportArgumentType=false

import re
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib as mpl
import pandas as pd

from analysis import across as together
from analysis import (
    across_plots,
    atari57,
    diagnostic_plots,
    drawing,
    efficiency_plots,
    learning,
    plots,
    sentences,
    study,
)
from analysis import verdict as verdicts

DIGITS = 10  # of numbers in the CSV of a figure
DOTS = ["fraction", "control", "seed", "data_frames", "score", "status"]
CAPTIONS = {
    "factorial": "at equal frames, with 1/(1−f) times the search",
    "path": "along a path: the fraction changes with the budget",
}


class Rendered(NamedTuple):
    """A figure as the bytes of its files."""

    name: str
    title: str
    caption: str
    svg: bytes
    png: bytes
    csv: bytes


def rendered(made: drawing.Drawing) -> Rendered:
    """Returns the files of a figure."""
    with mpl.rc_context(drawing.STYLE):
        made.figure.draw_without_rendering()
        made.figure.set_layout_engine("none")  # laid out once, for both files
    text = made.data.to_csv(
        index=False, float_format=f"%.{DIGITS}g", lineterminator="\n"
    )
    return Rendered(
        *(made.name, made.title, made.caption),
        drawing.saved(made.figure, "svg"),
        drawing.saved(made.figure, "png"),
        text.encode(),
    )


def panel(here: study.Environment, compare: bool) -> plots.Panel:
    """Returns what Figure 1 shows of one environment."""
    drawn = [plots.DrawnCurve(j.curve, j.line, _legend(j)) for j in here.fits]
    game = here.published if compare else None
    published = (
        ((atari57.PUBLISHED_FRAMES, game.published),) if game is not None else ()
    )
    return plots.Panel(
        *(here.env, tuple(drawn), here.cells, here.frames_per_step, here.axis),
        *(CAPTIONS[here.design], published),
    )


def _legend(judged: verdicts.Judgement) -> str:
    if judged.line is None:
        return "not fitted"
    slope = f"{judged.line.linear.coefficients[1]:+.3g}"
    return f"{slope} ({sentences.interval(judged.slope)}), {judged.verdict.word}"


def score_against_frames(
    found: Sequence[study.Environment],
    runs: pd.DataFrame,
    size: tuple[float, float],
    compare: bool,
) -> drawing.Drawing:
    """Returns Figure 1 of one environment or of several."""
    figure = plots.score_against_frames([panel(here, compare) for here in found], size)
    return drawing.Drawing(
        *("score_vs_frames", "Score against frames"),
        "Every seed is a dot, every dash the mean of a cell with its 95 % t interval; "
        "lines have simultaneous 95 % bands and are broken beyond the data.",
        *(figure, runs[["env", *DOTS]]),
    )


def of_environment(
    here: study.Environment, runs: pd.DataFrame, compare: bool
) -> list[Rendered]:
    """Returns all figures of one environment that its table allows."""
    made = [
        score_against_frames([here], runs, plots.NARROW, compare),
        diagnostic_plots.residuals(here),
        diagnostic_plots.exponent_profile(here),
        diagnostic_plots.extrapolation(here),
        diagnostic_plots.heat_map(here),
        efficiency_plots.learning_curves(learning.curves(runs)),
        efficiency_plots.score_against_compute(here, runs),
        efficiency_plots.frames_to_score(here),
        efficiency_plots.surface(here),
    ]
    return [rendered(each) for each in made if each is not None]


def brief(here: study.Environment, runs: pd.DataFrame, compare: bool) -> list[Rendered]:
    """Returns Figure 1 alone, for one environment among many.

    Its dots are an image whatever their number: one page holds them all.
    """
    made = score_against_frames([here], runs, plots.NARROW, compare)
    plots.rasterise_dots(made.figure.axes)
    return [rendered(made)]


def of_all(
    found: list[study.Environment], whole: together.Across | None
) -> list[Rendered]:
    """Returns the figures over environments."""
    made = [across_plots.slopes(found)]
    if whole is not None:
        made += [
            across_plots.interquartile_means(whole),
            across_plots.performance_profiles(whole),
        ]
    return [rendered(each) for each in made if each is not None]


def folders(envs: Sequence[str]) -> list[str]:
    """Returns a folder below figures/ for each environment, '' for a single one."""
    if len(envs) == 1:
        return [""]
    names: list[str] = []
    for env in envs:
        plain = re.sub(r"[^A-Za-z0-9.-]+", "_", env).strip("._") or "env"
        name, number = plain, 2
        while name.lower() in [other.lower() for other in names]:
            name, number = f"{plain}-{number}", number + 1
        names.append(name)
    return names
