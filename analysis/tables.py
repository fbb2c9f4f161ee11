"""What was found as tables of text, for the terminal and for the report."""

import math
from collections.abc import Sequence
from typing import Any

from analysis import across as together
from analysis import (
    aggregate,
    choice,
    efficiency,
    fieller,
    law_tables,
    records,
    sentences,
    sheets,
    study,
)
from analysis import verdict as verdicts


def slopes(here: study.Environment) -> sheets.Sheet:
    """Returns one row a curve: slope, interval, effect, λ, verdict."""
    heads = ("fraction", "per decade", "95 % interval", "in seed sd", "λ interval")
    heads += ("runs", "lost", "budgets", "seeds", "verdict")
    return sheets.Sheet(
        "Slopes", heads, [_slope_row(finding) for finding in here.findings]
    )


def _slope_row(finding: study.Finding) -> list[str]:
    judged = finding.judged
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


def verdict_cell(judged: verdicts.Judgement) -> str:
    """Returns verdict and slope of one curve among many."""
    line = judged.line
    slope = f", {sentences.number(line.linear.coefficients[1])}" if line else ""
    return judged.verdict.word + slope


def cells(here: study.Environment) -> sheets.Sheet:
    """Returns one row a cell: means and ratios."""
    heads = ("fraction", "frames", "runs", "lost", "mean", "median", "sd")
    heads += ("mean / f=0", "median / f=0", "median / control")
    return sheets.Sheet(
        "Cells", heads, [_cell_row(c) for c in here.cells.to_dict("records")]
    )


def _cell_row(cell: dict[Any, Any]) -> list[str]:
    control = cell["control"]
    label = (
        f"{cell['fraction']:g}" if math.isnan(control) else f"control for {control:g}"
    )
    names = ("mean", "median", "sd", "mean_ratio_to_fraction_0")
    names += ("median_ratio_to_fraction_0", "median_ratio_to_control")
    counts = (f"{cell['frames']:,.0f}", str(cell["runs"]), str(cell["not_ok"]))
    return [label, *counts, *(sheets.number(cell[name]) for name in names)]


def seeds(here: study.Environment) -> sheets.Sheet:
    """Returns how many seeds a budget each question needs."""
    shares = [need.difference for need in next(iter(_needs(here)), [])]
    heads = ("fraction", "slope from 0", *(f"{share:.0%} of slope" for share in shares))
    heads += ("line from bend",)
    rows = [
        [
            finding.judged.curve.label,
            _seeds(finding.seeds_to_see_slope),
            *(_seeds(need.seeds) for need in finding.needs),
            _seeds(finding.seeds_for_exponent),
        ]
        for finding in here.findings
        if finding.needs
    ]
    return sheets.Sheet("Seeds a budget that would be needed", heads, rows)


def _needs(here: study.Environment) -> list[list]:
    return [finding.needs for finding in here.findings if finding.needs]


def _seeds(count: int | None) -> str:
    return "out of reach" if count is None else str(count)


def frames_to_score(here: study.Environment) -> sheets.Sheet:
    """Returns one row a score and curve: frames, set, first budget."""
    heads = ("score", "fraction", "frames by the line", "95 % set", "first budget")
    rows = [
        [
            sentences.number(found.score),
            found.curve,
            _censored(
                found.censored, found.frames.value, found.smallest, found.largest
            ),
            _set(found.frames.set, found.largest),
            "none" if found.first_budget is None else f"{found.first_budget:,.0f}",
        ]
        for found in here.frames_to_score
    ]
    return sheets.Sheet("Frames to a score", heads, rows)


def _censored(how: str, frames: float, smallest: float, largest: float) -> str:
    bounds = {">largest": f"> {largest:,.0f}", "<smallest": f"< {smallest:,.0f}"}
    return bounds.get(how) or sentences.number(frames)


def _set(found: fieller.FiellerSet, largest: float) -> str:
    if found.kind != "bounded":
        return "not identified"
    if found.low > 10**efficiency.DECADES_BEYOND * largest:
        return "beyond a decade from the data"
    return f"{sentences.number(found.low)} to {sentences.number(found.high)}"


def best_fraction(here: study.Environment) -> list[sheets.Sheet]:
    """Returns the best fraction per budget, and per unit of compute."""
    return [
        _best_sheet("Best fraction per budget", "frames", here.best_per_budget),
        _best_sheet(
            "Best fraction at equal compute",
            (here.compute or "").replace("_", " "),
            here.best_per_compute,
        ),
    ]


def _best_sheet(title: str, unit: str, found: Sequence[choice.Best]) -> sheets.Sheet:
    heads = (unit, "best fraction", "its score", "share of bootstrap draws it wins")
    rows = [
        [
            sentences.number(best.at) if best.at < 1e9 else f"{best.at:.2e}",
            f"{best.fraction:g}",
            sentences.number(best.score),
            ", ".join(f"{f}: {share:.0%}" for f, share in best.shares.items()),
        ]
        for best in found
    ]
    return sheets.Sheet(title, heads, rows)


def across(whole: together.Across) -> sheets.Sheet:
    """Returns one row a fraction and budget of the aggregates."""
    heads = ("fraction", "frames", "runs", "IQM", "optimality gap", "median")
    heads += ("P(better than f=0)",)
    rows = [
        [
            f"{level.fraction:g}",
            f"{level.frames:,.0f}",
            str(level.runs),
            *map(_estimate, (level.iqm, level.optimality_gap, level.median)),
            "" if level.improvement is None else _estimate(level.improvement),
        ]
        for level in whole.levels
    ]
    return sheets.Sheet("Normalised scores over environments", heads, rows)


def pooled(whole: together.Across) -> sheets.Sheet:
    """Returns the mean slope over environments of each fraction."""
    heads = (
        "fraction",
        "mean slope per decade",
        "95 % interval",
        "sd between",
        "games",
    )
    rows = [
        [
            label,
            sentences.number(found.slope),
            sentences.interval(found.interval),
            sentences.number(found.between),
            str(found.environments),
        ]
        for label, found in whole.slopes.items()
    ]
    return sheets.Sheet(
        "Slopes of normalised scores, random-effects model", heads, rows
    )


def _estimate(found: aggregate.Estimate) -> str:
    low, high = (sentences.number(end) for end in found.interval)
    return f"{sentences.number(found.value)} ({low} to {high})"


def environment(here: study.Environment) -> list[sheets.Sheet]:
    """Returns the tables of one environment that have rows, laws left out."""
    sheets = [slopes(here), cells(here), seeds(here), frames_to_score(here)]
    sheets += [*best_fraction(here), law_tables.surface_laws(here)]
    return [sheet for sheet in sheets if sheet.rows]
