"""Figures of what data and compute buy: compute, frames to a score, curves, surface."""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false, reportIndexIssue=false
# pyright: reportGeneralTypeIssues=false

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import ticker
from matplotlib.axes import Axes

from analysis import choice, drawing, reach, study, surfaces

MOST_CURVES = 400  # runs whose learning curves are drawn
UNITS = {"compute": "compute (FLOPs)", "searched_states": "searched states"}


def score_against_compute(
    here: study.Environment, runs: pd.DataFrame
) -> drawing.Drawing | None:
    """Draws cell means against compute, and the Pareto set."""
    if here.compute is None or here.design == "path":  # where searches are fixed
        return None
    data = _costs(runs, here.compute)
    best = data[data["pareto"]].sort_values("compute")
    with mpl.rc_context(drawing.STYLE):
        figure, axes = drawing.frames_axes(
            data["compute"].to_numpy(float), UNITS[here.compute]
        )
        axes.plot(
            best["compute"],
            best["mean"],
            color=drawing.AXIS,
            lw=5,
            alpha=0.35,
            zorder=1,
        )
        for colour, (fraction, mine) in zip(
            drawing.palette(data["fraction"].nunique()),
            data.groupby("fraction"),
            strict=True,
        ):
            axes.plot(
                mine["compute"], mine["mean"], "o-", color=colour, label=f"{fraction:g}"
            )
        axes.set_ylabel("mean score")
        drawing.legend_below(axes)
    return drawing.Drawing(
        *("score_vs_compute", "Score against compute"),
        "Mean score of each cell against what it cost; the grey line joins the Pareto "
        "set, the cells that none as cheap beats.",
        *(figure, data),
    )


def _costs(runs: pd.DataFrame, compute: str) -> pd.DataFrame:
    fine = runs[(runs["status"] == "ok") & runs["control"].isna()]
    data = (
        fine.groupby(["fraction", "data_frames"])
        .agg(compute=(compute, "mean"), mean=("score", "mean"))
        .reset_index()
        .rename(columns={"data_frames": "frames"})
    )
    data["pareto"] = choice.pareto(
        data["compute"].to_numpy(float), data["mean"].to_numpy(float)
    )
    return data


def frames_to_score(here: study.Environment) -> drawing.Drawing | None:
    """Draws the frames that each curve needs for each target, censored kept."""
    found = here.frames_to_score
    if not found:
        return None
    data = pd.DataFrame([_reach_row(each) for each in found])
    labels = list(dict.fromkeys(data["curve"]))
    scores = sorted(set(data["score"]))
    low, high = data["smallest"].min(), data["largest"].max()
    with mpl.rc_context(drawing.STYLE):
        size = (4.8, 1.5 + 0.32 * len(found))
        figure, axes = drawing.frames_axes(np.array([low, high]), "frames", size)
        budgets = np.unique(here.cells["frames"].to_numpy(float))
        drawing.number_axis(axes.xaxis, drawing.ticks(budgets))
        for label, colour in zip(labels, drawing.palette(len(labels)), strict=True):
            mine = data[data["curve"] == label].reset_index(drop=True)
            shift = 0.5 - (labels.index(label) + 1) / (len(labels) + 1)
            for row in mine.itertuples():
                _reach_mark(
                    axes, row, scores.index(row.score) - shift, colour, (low, high)
                )
            axes.plot([], [], "o", color=colour, label=label)
        axes.set_yticks(range(len(scores)), [drawing.score_label(s) for s in scores])
        axes.set_ylim(-0.6, len(scores) - 0.4)
        axes.set_ylabel("score")
        axes.set_xlim(low / 1.5, high * 1.5)
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(0, 1.16 + 0.1 / len(scores)),
            ncols=4,
            fontsize=9,
            frameon=False,
        )
    return drawing.Drawing(
        *("frames_to_score", "Frames to a score"),
        "Where each line reaches a score, with its 95 % set as far as the budgets go. "
        "Triangles at an end are censored: the line gets there beyond the budgets.",
        *(figure, data),
    )


def _reach_row(found: reach.FramesToScore) -> dict[str, object]:
    return {
        **{"curve": found.curve, "score": found.score, "frames": found.frames.value},
        **{"set": found.frames.set.kind, "low": found.frames.set.low},
        **{"high": found.frames.set.high, "censored": found.censored},
        **{"smallest": found.smallest, "largest": found.largest},
        "first_budget": found.first_budget,
    }


def _reach_mark(
    axes: Axes, row: Any, y: float, colour: str, ends: tuple[float, float]
) -> None:
    low, high = ends
    if row.set == "bounded":
        inside = np.clip([row.low, row.high], low / 1.3, high * 1.3)
        axes.plot(inside, [y, y], color=colour, lw=1.5)
    if row.censored == ">largest":
        axes.plot([row.largest * 1.15], [y], ">", color=colour, mfc=drawing.PAPER)
    elif row.censored == "<smallest":
        axes.plot([row.smallest / 1.15], [y], "<", color=colour, mfc=drawing.PAPER)
    else:
        axes.plot([row.frames], [y], "o", color=colour)


def learning_curves(curves: pd.DataFrame) -> drawing.Drawing | None:
    """Draws the score during each run against its frames.

    Args:
      curves: one row a point: run, fraction, frames, score.
    """
    if curves.empty or curves["run"].nunique() > MOST_CURVES:
        return None
    shown = curves[curves["frames"] > 0]
    with mpl.rc_context(drawing.STYLE):
        figure, axes = drawing.frames_axes(shown["frames"].to_numpy(float), "frames")
        groups = shown.groupby("fraction")
        for colour, (fraction, mine) in zip(
            drawing.palette(len(groups)), groups, strict=True
        ):
            for _, one in mine.groupby("run"):
                axes.plot(one["frames"], one["score"], color=colour, lw=0.8, alpha=0.6)
            axes.plot([], [], color=colour, label=f"{fraction:g}")
        axes.set_ylabel("score in training")
        drawing.legend_below(axes)
    return drawing.Drawing(
        *("learning_curves", "Learning curves"),
        "Mean return of the episodes played in training, a line a run. They explore, "
        "so they lie below the evaluated score; no fit uses them.",
        *(figure, curves),
    )


def surface(here: study.Environment) -> drawing.Drawing | None:
    """Draws iso-score contours over frames and searched states."""
    fitted = [fit for fit in here.surfaces if fit.law is surfaces.SEMI_LOG]
    if not fitted:
        return None
    fit = fitted[0]
    frames, states = np.unique(fit.x, axis=0).T
    x = np.geomspace(frames.min(), frames.max(), 60)
    y = np.geomspace(states.min(), states.max(), 60)
    mesh_x, mesh_y = np.meshgrid(x, y)
    pairs = np.column_stack([mesh_x.ravel(), mesh_y.ravel()])
    score = surfaces.predict(fit, pairs).reshape(mesh_x.shape)
    ratio = mesh_y / mesh_x
    seen = (states / frames).min() / 1.01, (states / frames).max() * 1.01
    score = np.where((ratio >= seen[0]) & (ratio <= seen[1]), score, np.nan)
    with mpl.rc_context(drawing.STYLE):
        figure, axes = drawing.frames_axes(frames, "frames", (4.8, 3.8))
        axes.set_yscale("log")
        drawing.number_axis(axes.yaxis, drawing.ticks(states))
        levels = ticker.MaxNLocator(7).tick_values(np.nanmin(score), np.nanmax(score))
        middle = sns.color_palette("viridis", len(levels) + 4)[2:-2]
        drawn = axes.contour(x, y, score, levels=levels, colors=middle)
        axes.clabel(drawn, fontsize=8, fmt=drawing.score_label, colors=drawing.INK)
        axes.set_ylim(states.min() / 1.5, states.max() * 1.5)
        axes.plot(frames, states, "o", color=drawing.INK, ms=4)
        axes.set_ylabel("searched states")
    data = pd.DataFrame(
        {"frames": pairs[:, 0], "searched_states": pairs[:, 1], "score": score.ravel()}
    ).dropna()
    return drawing.Drawing(
        *("iso_score", "Equal scores over data and compute"),
        "Contours of the two-variable semi-log law between the fractions of the study; "
        "dots are cells. Along a contour, searched states replace frames.",
        *(figure, data),
    )
