"""Where the findings go: the terminal, fit.json, cells.csv and the figure."""

import math
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich import console, table

from analysis import plots, records, sentences
from analysis import verdict as verdicts

SLOPE_HEADS = ("fraction", "per decade", "95 % interval", "in seed sd", "λ interval")
SLOPE_HEADS += ("runs", "lost", "budgets", "seeds", "verdict")
CELL_HEADS = ("fraction", "frames", "runs", "lost", "mean", "median", "sd")
CELL_HEADS += ("mean / f=0", "median / f=0", "median / control")


def show(here: dict[str, Any], cells: pd.DataFrame) -> None:
    """Prints what was found in one environment."""
    width = None if sys.stdout.isatty() else 120  # a pipe has no width to keep to
    out = console.Console(width=width, markup=False, highlight=False)
    counts = ", ".join(f"{n} {status}" for status, n in here["statuses"].items())
    out.print(f"\n{here['env']}: {here['design']} design, runs: {counts}")
    slopes = [_slope_row(judged) for judged in here["fits"]]
    means = [_cell_row(row) for row in cells.to_dict("records")]
    out.print(_drawn("Slopes", SLOPE_HEADS, slopes), "")
    out.print(_drawn("Cells", CELL_HEADS, means), "")
    for text in sentences.conclusions(here):
        out.print(f"- {text}", soft_wrap=True)


def _drawn(title: str, heads: Sequence[str], rows: list[list[str]]) -> table.Table:
    drawn = table.Table(title=title, title_justify="left", box=None, pad_edge=False)
    for index, head in enumerate(heads):
        drawn.add_column(head, justify="right" if index else "left")
    for row in rows:
        drawn.add_row(*row)
    return drawn


def _slope_row(judged: verdicts.Judgement) -> list[str]:
    curve, line, effect = judged.curve, judged.line, sentences.effect_size(judged)
    counts = list(records.seeds_per_budget(curve.frames).values()) or [0]
    few, many = min(counts), max(counts)
    return [
        curve.label,
        sentences.number(line.linear.coefficients[1]) if line else "",
        sentences.interval(judged.slope),
        sentences.number(effect) if effect else "",
        sentences.interval(judged.exponent),
        str(curve.frames.size),
        str(curve.lost.size),
        str(len(records.seeds_per_budget(curve.frames))),
        str(few) if few == many else f"{few} to {many}",
        judged.verdict.word,
    ]


def _cell_row(cell: dict[str, Any]) -> list[str]:
    control = cell["control"]
    label = (
        f"{cell['fraction']:g}" if math.isnan(control) else f"control for {control:g}"
    )
    names = ("mean", "median", "sd", "mean_ratio_to_fraction_0")
    names += ("median_ratio_to_fraction_0", "median_ratio_to_control")
    values = [
        "" if math.isnan(cell[name]) else sentences.number(cell[name]) for name in names
    ]
    counts = (f"{cell['frames']:,.0f}", str(cell["runs"]), str(cell["not_ok"]))
    return [label, *counts, *values]


def panel(here: dict[str, Any], cells: pd.DataFrame) -> plots.Panel:
    """Returns what the figure shows of one environment."""
    drawn = [plots.DrawnCurve(j.curve, j.line, _legend(j)) for j in here["fits"]]
    caption = {
        "factorial": "at equal frames, with 1/(1−f) times the search",
        "path": "along a path: the fraction changes with the budget",
    }[here["design"]]
    return plots.Panel(
        here["env"], tuple(drawn), cells, here["frames_per_step"], here["axis"], caption
    )


def _legend(judged: verdicts.Judgement) -> str:
    if judged.line is None:
        return "not fitted"
    slope = f"{judged.line.linear.coefficients[1]:+.3g}"
    return f"{slope} ({sentences.interval(judged.slope)}), {judged.verdict.word}"


def contents(
    found: list[dict[str, Any]],
    cells: list[pd.DataFrame],
    sources: Sequence[pathlib.Path],
) -> dict[str, bytes]:
    """Returns what to write, by name below the output directory."""
    pairs = zip(found, cells, strict=True)
    figure = plots.score_against_frames([panel(here, part) for here, part in pairs])
    rows = pd.concat(cells).to_csv(index=False, float_format=f"%.{records.DIGITS}g")
    return {
        "fit.json": records.as_json(found, sources).encode(),
        "cells.csv": rows.encode(),
        "figures/score_vs_frames.png": plots.saved(figure, "png"),
        "figures/score_vs_frames.svg": plots.saved(figure, "svg"),
    }


def write(out: pathlib.Path, files: dict[str, bytes]) -> None:
    """Writes every file, each in one step.

    Raises:
      ValueError: if the directory cannot be written to.
    """
    for name, content in files.items():
        path = out / name
        part = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content)
            part.replace(path)
        except OSError as error:
            raise ValueError(
                f"{path} cannot be written ({error.strerror}); name another "
                "directory with --out."
            ) from error
