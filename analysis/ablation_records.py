"""ablation.json and the CSV files: everything that was found, in numbers."""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportCallIssue=false

import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from analysis import (
    ablation_across,
    ablation_cells,
    ablation_comparisons,
    ablation_findings,
    ablation_orderings,
    ablation_paper,
    ablation_runs,
    ablation_sentences,
    inference,
    records,
)

SCHEMA = "scaling-unplugged/ablation"
SCHEMA_VERSION = 1
COLUMNS = (
    *("env", "dataset", "frames", "fraction", "target", "unroll_steps", "action"),
    *("mark", "seed", "networks", "lost", "score", "low", "high"),
    *("normalised", "normalised_low", "normalised_high"),
)
LOST = ("env", "dataset", "fraction", "target", "unroll_steps", "seed", "status")


def cell_record(
    grid: ablation_cells.Grid, column: ablation_cells.Column, action: str
) -> dict[str, Any]:
    """Returns one cell: means, intervals and every seed."""
    cell = grid.cells[column, action]
    raw = ablation_cells.mean_interval(cell.raw)
    scores = cell.normalised
    scaled = None if scores is None else ablation_cells.mean_interval(scores)
    return {
        "target": column.target,
        "unroll_steps": column.unroll,
        "action": action,
        "networks": len(cell.seeds),
        "lost": grid.lost[column],
        "score": cell.raw.mean(),
        "low": raw and raw.low,
        "high": raw and raw.high,
        "normalised": None if scores is None else scores.mean(),
        "normalised_low": scaled and scaled.low,
        "normalised_high": scaled and scaled.high,
        "seeds": cell.seeds,
        "scores": cell.raw,
        "normalised_scores": scores,
    }


def difference_record(found: ablation_comparisons.Found) -> dict[str, Any]:
    """Returns one difference, what it decides and what the paper has."""
    kind, first, second = found.comparison
    difference = found.difference
    medians = found.published or (None, None)
    return {
        "kind": kind,
        "first": f"{first.column.name} {first.action}",
        "second": f"{second.column.name} {second.action}",
        "test": ablation_comparisons.TESTS[kind],
        "difference": difference.value,
        "low": difference.interval and difference.interval.low,
        "high": difference.interval and difference.interval.high,
        "excludes_0": ablation_comparisons.excludes_0(difference),
        "p": difference.p,
        "holm_p": found.holm,
        "degrees": difference.degrees,
        "seeds": "+".join(map(str, difference.seeds)),
        "no_interval": difference.reason,
        "raw_difference": found.raw,
        "paper_first": medians[0],
        "paper_second": medians[1],
        "paper_order": found.agreement,
    }


def _task_record(
    grid: ablation_cells.Grid, found: Sequence[ablation_comparisons.Found]
) -> dict[str, Any]:
    said = [ablation_sentences.sentence(each, grid.normalised) for each in found]
    return {
        **grid.task._asdict(),
        "compared": _compared(grid),
        "not_normalised": grid.reason,
        "random_score": grid.random,
        "behaviour_score": grid.behaviour,
        "best_tenth_normalised": grid.best_tenth,
        "columns": [
            {
                "column": column.name,
                "networks": grid.seeds[column],
                "lost": grid.lost[column],
            }
            for column in grid.columns
        ],
        "cells": [cell_record(grid, *key) for key in _in_order(grid)],
        "differences": [
            {**difference_record(each), "sentence": text}
            for each, text in zip(found, said, strict=True)
        ],
        "multiplicity": ablation_sentences.multiplicity(found),
        "paper_orderings": ablation_orderings.sorted_out(found),
    }


def _compared(grid: ablation_cells.Grid) -> str:
    return "normalised scores" if grid.normalised else "mean returns"


def _in_order(
    grid: ablation_cells.Grid,
) -> Iterator[tuple[ablation_cells.Column, str]]:
    for column in grid.columns:
        for action in ablation_runs.ACTIONS:
            if (column, action) in grid.cells:
                yield column, action


def _over_record(over: ablation_across.Over) -> dict[str, Any]:
    return {
        **difference_record(over.found),
        "bootstrap": over.bootstrap,
        "data_sets": over.tasks,
        "difference_on_each": over.values,
        "sentence": ablation_sentences.over_sentence(over),
    }


def as_json(
    findings: ablation_findings.Findings, sources: Sequence[pathlib.Path]
) -> str:
    """Returns ablation.json: null for what is not known."""
    pairs = zip(findings.grids, findings.found, strict=True)
    lost = findings.ablation.lost
    record = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "normalised": "(score - random_score) / (behaviour_score - random_score)",
        "level": inference.LEVEL,
        "bootstrap_seed": findings.seed,
        "holm_family": "all differences of one data set, or all over environments",
        "tables": [str(path) for path in sources],
        "tasks": [_task_record(grid, found) for grid, found in pairs],
        "over_environments": [
            {
                "fraction": fraction,
                "differences": [_over_record(over) for over in overs],
                "paper_orderings": ablation_orderings.sorted_out(
                    [over.found for over in overs]
                ),
            }
            for fraction, overs in findings.over.items()
        ],
        "lost": lost[[*LOST, "note", "where"]].to_dict("records"),
        "notes": findings.notes,
        "published": {
            "source": ablation_paper.SOURCE,
            "unit": ablation_paper.UNIT,
            "medians": [
                {**network._asdict(), **medians}
                for network, medians in ablation_paper.MEDIANS.items()
            ],
        },
    }
    return json.dumps(records.plain(record), indent=1, allow_nan=False) + "\n"


def as_csv(findings: ablation_findings.Findings) -> str:
    """Returns ablation.csv: a row a cell, one a seed in it, one a lost network."""
    rows: list[dict[str, Any]] = []
    for grid in findings.grids:
        for key in _in_order(grid):
            rows += _cell_rows(grid.task, cell_record(grid, *key))
    lost = findings.ablation.lost
    for row in lost[list(LOST)].to_dict("records"):
        rows.append({**row, "mark": row["status"]})
    return _table(rows, COLUMNS)


def _cell_rows(
    task: ablation_cells.Task, record: dict[str, Any]
) -> list[dict[str, Any]]:
    here = {**task._asdict(), **record}
    scaled = record["normalised_scores"]
    names = ("target", "unroll_steps", "action")
    same = {**task._asdict(), **{name: record[name] for name in names}}
    return [
        {**here, "mark": "mean"},
        *(
            {
                **same,
                "mark": "seed",
                "seed": seed,
                "score": record["scores"][index],
                "normalised": None if scaled is None else scaled[index],
            }
            for index, seed in enumerate(record["seeds"])
        ),
    ]


def differences_csv(findings: ablation_findings.Findings) -> str:
    """Returns ablation_differences.csv: a row a difference, those over all last."""
    rows: list[dict[str, Any]] = []
    for grid, found in zip(findings.grids, findings.found, strict=True):
        same = {**grid.task._asdict(), "compared": _compared(grid)}
        rows += [{**same, **difference_record(each)} for each in found]
    for fraction, overs in findings.over.items():
        for over in overs:
            same = {
                "env": f"mean over {len(over.tasks)} data sets",
                "fraction": fraction,
                "compared": "normalised scores",
            }
            rows.append({**same, **difference_record(over.found)})
    names = [*ablation_cells.Task._fields, "compared"]
    columns = dict.fromkeys(name for row in rows for name in row)
    return _table(rows, [*names, *(name for name in columns if name not in names)])


def _table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> str:
    made = pd.DataFrame(list(rows), columns=pd.Index(list(columns)))
    number = f"%.{records.DIGITS}g"
    return made.to_csv(index=False, float_format=number, lineterminator="\n")
