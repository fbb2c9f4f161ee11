"""Figures that test a line: residuals, the λ profile, extrapolation, the heat map."""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from analysis import drawing, inference, laws, profile, search, study
from analysis import fit as fits
from analysis import verdict as verdicts

ON_DARK, ON_LIGHT = "#fefefe", "#202020"
EXPONENTS = np.linspace(-2.5, 2.5, 201)


def residuals(here: study.Environment) -> drawing.Drawing | None:
    """Draws each cell's mean residual from the line, in its own standard errors."""
    fitted = [(j, inference.residual_pattern(j.line)) for j in here.fits if j.line]
    known = [(judged, pattern) for judged, pattern in fitted if pattern is not None]
    if not known:
        return None
    rows = [
        {"curve": judged.curve.label, "frames": frames, "standard_errors": value}
        for judged, pattern in known
        for frames, value in zip(np.unique(judged.curve.frames), pattern, strict=True)
    ]
    data = pd.DataFrame(rows)
    with mpl.rc_context(drawing.STYLE):
        figure, axes = drawing.frames_axes(data["frames"].to_numpy(float), "frames")
        axes.axhspan(-2, 2, color=drawing.GRID, alpha=0.6, lw=0)
        axes.axhline(0, color=drawing.AXIS, lw=1)
        for (judged, pattern), colour in zip(known, _colours(known), strict=True):
            frames = np.unique(judged.curve.frames)
            axes.plot(
                *(frames, pattern, "o"),
                color=colour,
                linestyle=drawing.dash(judged.curve),
                markerfacecolor=drawing.face(judged.curve, colour),
                label=judged.curve.label,
            )
        axes.set_ylabel("residual / standard error")
        drawing.legend_below(axes)
    return drawing.Drawing(
        *("residuals", "Residuals of the line"),
        "Mean of each cell minus the line, in standard errors of the mean; the grey "
        "strip is ± 2. Neighbours of one sign are a bend.",
        *(figure, data),
    )


def _colours(known: Sequence[tuple[verdicts.Judgement, object]]) -> list[str]:
    return drawing.colours([judged.curve for judged, _ in known])


def exponent_profile(here: study.Environment) -> drawing.Drawing | None:
    """Draws how badly each exponent λ fits, the 95 % limit being 1."""
    known = [(j, _allowed(j.fitted.get("box-cox"))) for j in here.fits]
    curves = [(judged, allowed) for judged, allowed in known if allowed is not None]
    if not curves:
        return None
    rows = [
        {"curve": judged.curve.label, "lambda": shape, "excess": value}
        for judged, allowed in curves
        for shape, value in zip(
            EXPONENTS, _excess(judged.fitted["box-cox"], allowed), strict=True
        )
    ]
    data = pd.DataFrame(rows)
    with mpl.rc_context(drawing.STYLE):
        figure = Figure(figsize=drawing.SMALL, layout="constrained")
        axes = figure.subplots()
        axes.axhline(1, color=drawing.AXIS, lw=1, ls="--")
        axes.axvline(0, color=drawing.AXIS, lw=1)
        for (judged, _), colour in zip(curves, _colours(curves), strict=True):
            mine = data[data["curve"] == judged.curve.label]
            axes.plot(
                *(mine["lambda"], mine["excess"]),
                color=colour,
                linestyle=drawing.dash(judged.curve),
                label=judged.curve.label,
            )
        axes.set_ylim(0, 4)
        axes.set_xlim(-_span(curves), _span(curves))
        axes.set_xlabel("λ:  < 0 saturates,  0 is the line,  > 0 accelerates")
        axes.set_ylabel("misfit (95 % limit = 1)")
        axes.grid(True)
        drawing.legend_below(axes)
    return drawing.Drawing(
        *("lambda_profile", "Is it a line? The profile of λ"),
        "How much worse each bend fits than the best one; values of λ under the broken "
        "line agree with the data. The verdict asks whether 0 does.",
        *(figure, data),
    )


def _span(curves: Sequence[tuple[verdicts.Judgement, float]]) -> float:
    # As wide as the intervals ask for, so that narrow ones can be read too.
    ends = [abs(end) for judged, _ in curves for end in judged.exponent or ()]
    return float(np.clip(1.5 * max(ends, default=np.inf), 0.6, EXPONENTS[-1]))


def _allowed(bend: fits.LawFit | None) -> float | None:
    return None if bend is None else profile.allowed_rise(bend, bend.law.parameters - 1)


def _excess(bend: fits.LawFit, allowed: float) -> list[float]:
    rows = search.cell_means(bend.frames / bend.reference, bend.score)
    least = search.sum_of_squares(bend.law, rows, bend.shapes)
    return [
        (search.sum_of_squares(bend.law, rows, np.array([shape])) - least) / allowed
        for shape in EXPONENTS
    ]


def extrapolation(here: study.Environment) -> drawing.Drawing | None:
    """Draws lines fitted without the largest budget, and where it came out."""
    known = [(j, _smaller(j)) for j in here.fits]
    lines = [(judged, line) for judged, line in known if line is not None]
    if not lines:
        return None
    rows = [_held_out(judged, line) for judged, line in lines]
    data = pd.DataFrame(rows)
    frames = np.concatenate([judged.curve.frames for judged, _ in lines])
    with mpl.rc_context(drawing.STYLE):
        figure, axes = drawing.frames_axes(frames, "frames")
        for (judged, line), row, colour in zip(
            lines, rows, _colours(lines), strict=True
        ):
            inside = np.geomspace(line.frames.min(), line.frames.max(), 50)
            beyond = np.geomspace(line.frames.max(), row["frames"], 20)
            axes.plot(
                *(inside, fits.predict(line, inside)),
                color=colour,
                linestyle=drawing.dash(judged.curve),
                label=judged.curve.label,
            )
            y, band = fits.predict(line, beyond), fits.pointwise_band(line, beyond)
            axes.plot(beyond, y, color=colour, ls="--")
            if band is not None:
                axes.fill_between(
                    beyond, y - band, y + band, color=colour, alpha=0.2, lw=0
                )
            axes.errorbar(
                *([row["frames"]], [row["observed"]], [row["half_width"]]),
                **{"fmt": "o", "color": colour, "capsize": 3},
                markerfacecolor=drawing.face(judged.curve, colour),
            )
        axes.set_ylabel("score")
        drawing.legend_below(axes)
    return drawing.Drawing(
        *("extrapolation", "The largest budget, predicted from the others"),
        "Lines fitted without the largest budget, broken where they extrapolate, with "
        "95 % bands; dots are what came out, with t intervals.",
        *(figure, data),
    )


def _smaller(judged: verdicts.Judgement) -> fits.LawFit | None:
    frames, score = judged.curve.frames, judged.curve.score
    if np.unique(frames).size < laws.LOG_LINEAR.budgets_to_fit + 1:
        return None
    kept = frames < frames.max()
    return fits.fit_law(laws.LOG_LINEAR, frames[kept], score[kept])


def _held_out(judged: verdicts.Judgement, line: fits.LawFit) -> dict[str, Any]:
    frames, score = judged.curve.frames, judged.curve.score
    last = score[frames == frames.max()]
    return {
        "curve": judged.curve.label,
        "frames": float(frames.max()),
        "predicted": float(fits.predict(line, frames[frames == frames.max()][:1])[0]),
        "observed": float(last.mean()),
        "half_width": inference.mean_half_width(last),
    }


def heat_map(here: study.Environment) -> drawing.Drawing | None:
    """Draws the mean score of every cell, budget by fraction."""
    plain = here.cells[here.cells["control"].isna() & (here.cells["runs"] > 0)]
    if here.design == "path" or plain["fraction"].nunique() < 2:
        return None
    wide = plain.pivot(index="fraction", columns="frames", values="mean")
    with mpl.rc_context(drawing.STYLE):
        figure = Figure(figsize=(4.8, 1.6 + 0.5 * len(wide)), layout="constrained")
        axes = figure.subplots()
        sns.heatmap(
            wide.iloc[::-1],
            ax=axes,
            cmap="viridis",
            annot=wide.shape[1] <= 7,
            fmt=".3g",
            annot_kws={"fontsize": 9},
            cbar_kws={"label": "mean score"},
            linewidths=1,
        )
        axes.set_xticklabels(
            [drawing.count_label(float(n)) for n in wide.columns], rotation=0
        )
        axes.set_yticklabels([f"{f:g}" for f in wide.index[::-1]], rotation=0)
        axes.set_xlabel("frames")
        axes.set_ylabel("fraction")
        for label in axes.texts:  # on colours that stay: no colour of the page
            label.set_color(ON_DARK if label.get_color() == "w" else ON_LIGHT)
    return drawing.Drawing(
        *("heat_map", "Budget by fraction"),
        "Mean score of each cell. Brighter is higher; an empty cell has no run.",
        *(figure, plain[["fraction", "frames", "runs", "mean", "sd", "low", "high"]]),
    )
