"""Reads the networks of an ablation: a row each, with a score for each way of acting.

`launch/ablation.py --out DIR` makes one study a column, DIR/<target>-<K>/, each with
an ordinary results.csv. Its rows have the columns `target` (what the policy learned),
`unroll_steps` (K) and `score_mcts`, `score_value`, `score_policy`: the mean return of
the same final network over the same episodes with that action selection, empty where
it was not evaluated so or cannot be.
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

from analysis import ablation_protocol, offline_runs, table

# In the order of the paper's columns and rows.
TARGETS = offline_runs.TARGETS[::-1]  # supervised, crr, reanalyse
ACTIONS = offline_runs.ACTIONS[::-1]  # policy, value, mcts
SCORES = {action: f"score_{action}" for action in ACTIONS}
REQUIRED = (
    *("env", "fraction", "seed", "target", "unroll_steps"),
    *SCORES.values(),
)
NUMBERS = (
    *("fraction", "unroll_steps", *SCORES.values(), "frames", "dataset_frames"),
    *("behaviour_score", "random_score", "dataset_best_tenth", "eval_episodes"),
    *("frames_per_step", "learner_updates"),
)
WORDS = (
    *("env", "seed", "target", "status", "dataset", "study", "curve_of", "control"),
    *("acting", "score_kind", "note"),
)
TASK = ablation_protocol.TASK
HOW_TO = "train the columns with launch/ablation.py --out DIR"


class Ablation(NamedTuple):
    """The networks of some tables, one row a network."""

    runs: pd.DataFrame  # that have scores
    lost: pd.DataFrame  # that failed, diverged or were interrupted
    ignored: list[str]  # which rows and folders were left out, in sentences


def tables(directory: pathlib.Path) -> list[pathlib.Path]:
    """Returns the tables of an ablation's directory, or that of a plain study.

    Raises:
      ValueError: if there is none.
    """
    found = sorted(directory.glob("*/results.csv"))
    plain = directory / "results.csv"
    found = found or [plain] * plain.is_file()
    if not found:
        missing = "has no results.csv, nor has any folder in it"
        if not directory.is_dir():
            missing = "is no directory"
        raise ValueError(f"{directory} {missing}; {HOW_TO}, or name one that has runs.")
    return found


def unmade(directories: Sequence[pathlib.Path]) -> list[str]:
    """Returns which columns of ablations have no table yet, in sentences."""
    folders = [path for each in directories for path in sorted(each.glob("*-*"))]
    return [
        f"{folder} has no results.csv yet: its column is not here."
        for folder in folders
        if _is_column(folder) and not (folder / "results.csv").is_file()
    ]


def _is_column(folder: pathlib.Path) -> bool:
    target, _, unroll = folder.name.rpartition("-")
    return folder.is_dir() and target in TARGETS and unroll.isdecimal()


def read(paths: Sequence[pathlib.Path], unmade: Sequence[str] = ()) -> Ablation:
    """Returns the networks of all `paths`, checked and in order.

    `budget` is what a network learned from: at fraction 1 the frames of its data set
    (sizes that differ by seed alone are one budget, `offline_runs.budgets`), else those
    of its own interaction.

    Args:
      paths: of the tables; one that is named twice is read once.
      unmade: what else is not here, in sentences.

    Raises:
      ValueError: naming file, row and fix, at the first thing that is wrong, or if
        there is no network, or networks that cannot stand in one table.
    """
    rows = pd.concat([_read(path) for path in dict.fromkeys(paths)], ignore_index=True)
    curves, controls = rows["curve_of"] != "", rows["control"] != ""
    ignored = _ignored(int(curves.sum()), int((controls & ~curves).sum()))
    rows = rows[~curves & ~controls].reset_index(drop=True)
    if rows.empty:
        names = ", ".join(str(path) for path in paths)
        raise ValueError(f"{names} has no network: {HOW_TO}. {' '.join(ignored)}")
    _validate(rows)
    fine = rows["status"] == "ok"
    runs = _with_budgets(rows[fine]).astype({"unroll_steps": int})
    _refuse_duplicates(runs)
    ablation_protocol.check(runs)
    order = [*TASK, "target", "unroll_steps", "seed_order", "seed"]
    return Ablation(
        runs.sort_values(order, kind="stable", ignore_index=True),
        rows[~fine].sort_values("where", kind="stable", ignore_index=True),
        [*ignored, *unmade],
    )


def _ignored(curves: int, controls: int) -> list[str]:
    counts = {"learning curves (curve_of)": curves, "controls (control)": controls}
    return [
        f"{'1 row is' if count == 1 else f'{count:,} rows are'} of {what}: ignored."
        for what, count in counts.items()
        if count
    ]


def _read(path: pathlib.Path) -> pd.DataFrame:
    raw = table.read_cells(path, REQUIRED, HOW_TO)
    blank = pd.Series("", index=raw.index, dtype=str)
    rows = pd.DataFrame({name: raw.get(name, blank) for name in WORDS})
    rows["where"] = [f"{path}:{number}" for number in range(2, len(raw) + 2)]
    rows["status"] = rows["status"].replace("", "ok")
    for name in NUMBERS:
        text = raw.get(name, blank)
        rows[name] = pd.to_numeric(text, errors="coerce").astype(float)
        # Of a lost run nothing is used but what it was.
        used = (rows["status"] == "ok") | (name in ("fraction", "unroll_steps"))
        wrong = (text != "") & ~np.isfinite(rows[name]) & used
        what = f"has a value of {name} that is no finite number; correct it"
        table.refuse(rows, wrong, what, text)
    # 2 before 10, and names that are no numbers after both.
    rows["seed_order"] = pd.to_numeric(rows["seed"], errors="coerce").fillna(np.inf)
    return rows


def _validate(rows: pd.DataFrame) -> None:
    """Refuses what is wrong in a row."""
    for name in ("env", "seed", "target"):
        table.refuse(rows, rows[name] == "", f"has no {name}; fill it in")
    for name in ("fraction", "unroll_steps"):
        table.refuse(rows, rows[name].isna(), f"has no {name}; fill it in")
    for name, known in {"target": TARGETS, "status": table.STATUSES}.items():
        what = f"has an unknown {name}; use one of {', '.join(known)}"
        table.refuse(rows, ~rows[name].isin(known), what, rows[name])
    outside = (rows["fraction"] < 0) | (rows["fraction"] > 1)
    what = "has a fraction outside [0, 1]; give a share"
    table.refuse(rows, outside, what, rows["fraction"])
    steps = rows["unroll_steps"]
    what = "has unroll_steps that are no count; give 0, 1, 2, …"
    table.refuse(rows, (steps < 0) | (steps % 1 != 0), what, steps)
    _validate_scores(rows[rows["status"] == "ok"])


def _validate_scores(fine: pd.DataFrame) -> None:
    names = list(SCORES.values())
    table.refuse(
        fine,
        fine[names].isna().all(axis=1),
        f"is ok but has none of {', '.join(names)}; evaluate its network, or set its "
        "status to failed",
    )
    table.refuse(
        fine,
        (fine["unroll_steps"] == 0) & fine["score_mcts"].notna(),
        "has a score_mcts at unroll_steps 0, where there is no model to search in; "
        "empty one of the two",
        fine["score_mcts"],
    )
    for name in ("frames", "dataset_frames"):
        what = f"has negative {name}; frames are counts"
        table.refuse(fine, fine[name] < 0, what, fine[name])


def _with_budgets(runs: pd.DataFrame) -> pd.DataFrame:
    sizes = runs["frames"].where(runs["fraction"] < 1, runs["dataset_frames"])
    runs = runs.assign(budget=sizes.fillna(0.0))
    offline = runs[runs["fraction"] == 1]
    for _, part in offline.groupby(["env", "dataset"]):
        found = offline_runs.budgets(part["budget"].tolist(), part["seed"].tolist())
        runs.loc[part.index, "budget"] = found
    return runs


def _refuse_duplicates(runs: pd.DataFrame) -> None:
    table.refuse(
        runs,
        runs.duplicated([*TASK, "target", "unroll_steps", "seed"]),
        "is a second network of the same environment, data, column and seed; remove "
        "one, or give studies of other settings one at a time",
    )
