"""Reads the offline runs of result tables: those of reanalyse fraction 1.

A run is offline if all it searched were stored states; its row says which data set
they were from (`dataset`, `dataset_frames`), how the policy was trained (`target`) and
how actions were chosen in evaluation (`action`).
"""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportOperatorIssue=false
# pyright: reportReturnType=false, reportCallIssue=false

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis import table

REQUIRED = ("env", "fraction", "seed", "score", "behaviour_score", "random_score")
NUMBERS = (
    *("score", "score_sd", "eval_episodes", "searched_states", "dataset_frames"),
    *("behaviour_score", "random_score", "dataset_episodes", "dataset_best_tenth"),
)
WORDS = ("env", "seed", "status", "score_kind", "curve_of", "study")
TARGETS = ("reanalyse", "crr", "supervised")
ACTIONS = ("mcts", "value", "policy")
CHOICES = {
    "target": (TARGETS, "reanalyse"),
    "action": (ACTIONS, "mcts"),
    "status": (table.STATUSES, "ok"),
}
DATA_SET = ["env", "dataset", "data_frames"]
METHOD = ["target", "action", "searches"]
NEAR = 1.1  # sizes whose ratio is below it may be of one budget
HOW_TO = (
    "make a data set with launch/collect.py, learn from it with launch/train.py "
    "--fraction 1 --dataset PATH --searches S, and run this again"
)


class Offline(NamedTuple):
    """The offline runs of some tables, one row a run."""

    runs: pd.DataFrame  # that have a score
    lost: pd.DataFrame  # that failed, diverged or were interrupted
    ignored: list[str]  # which rows were left out, in sentences


def read(paths: Sequence[pathlib.Path]) -> Offline:
    """Returns the offline runs of all `paths`, checked and in order.

    `data_frames` is the budget that a run's data set belongs to and `searches` that of
    its searched states, as `budgets` tells them apart.

    Raises:
      ValueError: naming file, row and fix, at the first thing that is wrong, or if
        there is no offline run.
    """
    rows = pd.concat([_read(path) for path in paths], ignore_index=True)
    blank = rows["fraction"].isna()
    table.refuse(rows, blank, "has no fraction; fill it in or remove the row")
    offline = rows[rows["fraction"] == 1]
    checkpoints = offline["curve_of"] != ""
    ignored = _ignored(len(rows) - len(offline), int(checkpoints.sum()))
    offline = offline[~checkpoints].reset_index(drop=True)
    _validate(offline)
    fine = offline["status"] == "ok"
    if offline.empty:
        names = ", ".join(str(path) for path in paths)
        because = "".join(f" {sentence}" for sentence in ignored)
        raise ValueError(f"{names} has no run of fraction 1: {HOW_TO}.{because}")
    runs = _with_budgets(offline[fine])
    order = [*DATA_SET, "target", "action", "searches", "seed", "score"]
    return Offline(
        runs.sort_values(order, kind="stable", ignore_index=True),
        offline[~fine].sort_values("where", kind="stable", ignore_index=True),
        ignored,
    )


def _ignored(others: int, checkpoints: int) -> list[str]:
    said = []
    if others:
        said.append(f"{_rows(others)} of a fraction other than 1: ignored.")
    if checkpoints:
        said.append(f"{_rows(checkpoints)} of learning curves (curve_of): ignored.")
    return said


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count:,} rows are"


def _read(path: pathlib.Path) -> pd.DataFrame:
    raw = table.read_cells(path, REQUIRED, HOW_TO)
    rows = pd.DataFrame({name: raw.get(name, "") for name in WORDS}, index=raw.index)
    rows["where"] = [f"{path}:{number}" for number in range(2, len(raw) + 2)]
    for name, (_, default) in CHOICES.items():
        rows[name] = raw[name].replace("", default) if name in raw else default
    named = raw["dataset"] if "dataset" in raw else pd.Series("", index=raw.index)
    rows["dataset"] = named.where(named != "", rows["env"])
    for name in ("fraction", *NUMBERS):
        text = raw[name] if name in raw else pd.Series("", index=raw.index, dtype=str)
        rows[name] = pd.to_numeric(text, errors="coerce").astype(float)
        wrong = (text != "") & ~np.isfinite(rows[name])
        if name != "fraction":  # of other runs, and of lost ones, nothing is used
            wrong &= (rows["fraction"] == 1) & (rows["status"] == "ok")
        what = f"has a value of {name} that is no finite number; correct it"
        table.refuse(rows, wrong, what, text)
    return rows


def _validate(offline: pd.DataFrame) -> None:
    """Refuses what is wrong in the rows that will be used."""
    for name in ("env", "seed"):
        table.refuse(offline, offline[name] == "", f"has no {name}; fill it in")
    for name, (known, _) in CHOICES.items():
        what = f"has an unknown {name}; use one of {', '.join(known)}"
        table.refuse(offline, ~offline[name].isin(known), what, offline[name])
    fine = offline["status"] == "ok"
    table.refuse(
        offline,
        fine & offline["score"].isna(),
        "is ok but has no score; fill it in or set its status to failed",
    )
    for name in ("dataset_frames", "dataset_episodes", "searched_states"):
        what = f"has a negative number of {name}; it is a count"
        table.refuse(offline, fine & (offline[name] < 0), what, offline[name])
    key = ["env", "dataset", "dataset_frames", "target", "action"]
    table.refuse(
        offline,
        fine & offline[fine].duplicated([*key, "searched_states", "seed"]),
        "is a second run of the same environment, data set, method, searches and "
        "seed; remove one, or give studies of other settings one at a time",
    )


def _with_budgets(runs: pd.DataFrame) -> pd.DataFrame:
    sizes = runs["dataset_frames"].fillna(0.0)
    searched = runs["searched_states"].fillna(0.0)
    keys = [runs[name] for name in ("env", "dataset")]
    runs = runs.assign(data_frames=_grouped(sizes, runs["seed"], keys))
    keys = [runs[name] for name in (*DATA_SET, "target", "action")]
    return runs.assign(searches=_grouped(searched, runs["seed"], keys))


def _grouped(sizes: pd.Series, seeds: pd.Series, keys: list[pd.Series]) -> pd.Series:
    parts = [
        pd.Series(budgets(part.to_numpy(), seeds[part.index]), index=part.index)
        for _, part in sizes.groupby(keys)
    ]
    return pd.concat(parts) if parts else sizes


def budgets(sizes: Sequence[float], seeds: Sequence[str]) -> list[float]:
    """Returns the budget of each size: the largest size that shares it.

    A data set of a budget is made of whole episodes drawn by seed, so every seed's is
    a little smaller in its own way. In ascending order, sizes share a budget while
    they are within a tenth of the smallest and no seed comes with a second size.

    Args:
      sizes: frames, or searched states, of each run.
      seeds: of each run.
    """
    of_size: dict[float, set[str]] = {}
    for size, seed in zip(sizes, seeds, strict=True):
        of_size.setdefault(size, set()).add(seed)
    shared: list[list[float]] = []
    taken: set[str] = set()
    for size in sorted(of_size):
        if shared and size <= NEAR * shared[-1][0] and not taken & of_size[size]:
            shared[-1].append(size)
            taken = taken | of_size[size]
        else:
            shared.append([size])
            taken = of_size[size]
    largest = {size: group[-1] for group in shared for size in group}
    return [largest[size] for size in sizes]
