"""Figures over several environments: slopes side by side, IQM, profiles."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import across as together
from analysis import drawing, study

COLOURS = {
    "consistent": "#009E73",
    "saturating": "#D55E00",
    "accelerating": "#0072B2",
    "break": "#CC79A7",
    "underpowered": "#808080",
}


def slopes(found: list[study.Environment]) -> drawing.Drawing | None:
    """Draws every slope in seed standard deviations, coloured by its verdict."""
    rows = [row for here in found for row in _slope_rows(here)]
    if len(found) < 2 or not rows:
        return None
    data = pd.DataFrame(rows)
    with mpl.rc_context(drawing.STYLE):
        size = (4.8, 1.4 + 0.22 * len(rows))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        for y, row in enumerate(reversed(rows)):
            colour = COLOURS[str(row["verdict"])]
            axes.plot([row["low"], row["high"]], [y, y], color=colour, lw=1.5)
            axes.plot([row["slope"]], [y], "o", color=colour, ms=4)
        names = [f"{row['env']}  {row['curve']}" for row in reversed(rows)]
        axes.set_yticks(range(len(rows)), names, fontsize=8)
        axes.axvline(0, color=drawing.AXIS, lw=1)
        axes.grid(True, axis="x")
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.set_xlabel("slope per tenfold frames / seed sd")
        for word in dict.fromkeys(row["verdict"] for row in rows):
            axes.plot([], [], "o", color=COLOURS[str(word)], label=word)
        figure.legend(loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    return drawing.Drawing(
        *("slopes", "Slopes of all environments"),
        "Slope per tenfold frames with its 95 % interval, in standard deviations "
        "between seeds, so that games can stand side by side.",
        *(figure, data),
    )


def _slope_rows(here: study.Environment) -> list[dict[str, Any]]:
    rows = []
    for judged in here.fits:
        if judged.slope is None or judged.line is None or not judged.seed_deviation:
            continue
        unit = judged.seed_deviation
        rows.append(
            {
                "env": here.env,
                "curve": judged.curve.label,
                "slope": float(judged.line.linear.coefficients[1]) / unit,
                "low": judged.slope.low / unit,
                "high": judged.slope.high / unit,
                "verdict": judged.verdict.word,
            }
        )
    return rows


def interquartile_means(whole: together.Across) -> drawing.Drawing | None:
    """Draws the interquartile mean of normalised scores against frames."""
    if not whole.levels:
        return None
    data = pd.DataFrame(
        [
            {
                **{"fraction": level.fraction, "frames": level.frames},
                **{"iqm": level.iqm.value, "low": level.iqm.interval.low},
                **{"high": level.iqm.interval.high, "runs": level.runs},
                "optimality_gap": level.optimality_gap.value,
                "median": level.median.value,
            }
            for level in whole.levels
        ]
    )
    fractions = sorted({level.fraction for level in whole.levels})
    with mpl.rc_context(drawing.STYLE):
        figure, axes = drawing.frames_axes(np.array(whole.budgets), "frames")
        for fraction, colour in zip(
            fractions, drawing.palette(len(fractions)), strict=True
        ):
            mine = [level for level in whole.levels if level.fraction == fraction]
            x = np.array([level.frames for level in mine])
            y = np.array([level.iqm.value for level in mine])
            ends = np.array([level.iqm.interval for level in mine]).T
            axes.plot(x, y, "o-", color=colour, label=f"{fraction:g}")
            axes.fill_between(x, *ends, color=colour, alpha=0.15, lw=0)
        axes.set_ylabel("interquartile mean, normalised")
        drawing.legend_below(axes)
    return drawing.Drawing(
        *("iqm", "Interquartile mean over environments"),
        f"Normalised scores of {len(whole.environments)} environments, 0 random and 1 "
        "the reference; bands are stratified bootstraps over seeds.",
        *(figure, data),
    )


def performance_profiles(whole: together.Across) -> drawing.Drawing | None:
    """Draws the share of runs above each normalised score."""
    if not whole.profiles:
        return None
    data = pd.concat(
        [
            pd.DataFrame(
                {
                    **{"fraction": p.fraction, "threshold": p.thresholds},
                    **{"share": p.share, "low": p.low, "high": p.high},
                }
            )
            for p in whole.profiles
        ]
    )
    with mpl.rc_context(drawing.STYLE):
        figure = Figure(figsize=drawing.SMALL, layout="constrained")
        axes = figure.subplots()
        for p, colour in zip(
            whole.profiles, drawing.palette(len(whole.profiles)), strict=True
        ):
            axes.plot(p.thresholds, p.share, color=colour, label=f"{p.fraction:g}")
            axes.fill_between(
                p.thresholds, p.low, p.high, color=colour, alpha=0.15, lw=0
            )
        axes.set_xlabel("normalised score τ")
        axes.set_ylabel("share of runs above τ")
        axes.set_ylim(0, 1)
        axes.grid(True)
        drawing.legend_below(axes)
    return drawing.Drawing(
        *("performance_profiles", "Performance profiles"),
        "At the largest common budget: how large a share of runs scores above τ, every "
        "environment weighing alike; bands are stratified bootstraps over seeds.",
        *(figure, data),
    )
