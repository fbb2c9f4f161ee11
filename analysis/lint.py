"""Flags what is doubtful about the runs of a study, by row.

Nothing here is refused: a reader must know it before believing the numbers.
"""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false

from typing import NamedTuple

import pandas as pd

NEAR_DETERMINISTIC = 0.02  # episode sd / |mean|, statistics.md
BOUND_SHARE = 0.1  # of the runs at one extreme score, statistics.md
MANY_SEEDS = 20  # a cell; more of one episode each look like episodes

DOUBTS = {
    "not_ok": "failed, diverged or interrupted, left out of every fit: if runs end so "
    "because they are bad, what is left is too good",
    "checkpoints": "checkpoint of a longer run, not a run of that budget: its noise is "
    "shared, and its schedule was another",
    "best_checkpoint": "score_kind other than final: the best of several networks "
    "scores above what the budget buys",
    "near_deterministic": "episode sd under 2 % of the mean: one path repeated, not "
    "many episodes",
    "frames_or_steps": "frames are not agent_steps × frames_per_step",
    "atari_frame_skip": "Atari run with as many agent steps as frames: a frame is an "
    "emulator frame, four a step in the usual protocol",
    "score_bound": "highest or lowest score, shared by over 10 % of the runs: a score "
    "at a bound hides the slope",
    "mixed_studies": "of another study: settings differ from those of most runs",
    "episodes_as_seeds": f"cell with more than {MANY_SEEDS} seeds of one episode each: "
    "if they are episodes of one run, give their mean as one row",
    "equal_seeds": "all seeds of the cell have one score: are they different runs?",
    "uneven_cells": "cell with fewer runs than the largest one: were runs that crashed "
    "dropped? Give them rows with status failed",
}


class Flag(NamedTuple):
    """Something a reader must know before believing the numbers."""

    code: str
    message: str
    rows: tuple[str, ...]  # as file:row, the header being row 1


def lint(runs: pd.DataFrame) -> list[Flag]:
    """Returns what is doubtful about the runs of one environment."""
    fine = runs[runs["status"] == "ok"]
    found = [_flag("not_ok", runs, runs["status"] != "ok")]
    doubtful = {**_doubtful_runs(fine), **_doubtful_cells(fine)}
    found += [_flag(code, fine, rows) for code, rows in doubtful.items()]
    return [flag for flag in found if flag.rows]


def _doubtful_runs(fine: pd.DataFrame) -> dict[str, pd.Series]:
    steps = fine["agent_steps"] * fine["frames_per_step"].fillna(1)
    steps = steps.fillna(fine["frames"])
    atari = fine["env"].str.lower().str.startswith(("atari:", "ale/"))
    return {
        "checkpoints": fine["curve_of"] != "",
        "best_checkpoint": ~fine["score_kind"].isin(["", "final"]),
        "near_deterministic": _near_deterministic(fine),
        "frames_or_steps": (steps - fine["frames"]).abs() > 0.01 * fine["frames"],
        "atari_frame_skip": atari & (fine["agent_steps"] == fine["frames"]),
        "score_bound": _at_bound(fine["score"]),
        "mixed_studies": fine["study"] != fine["study"].mode().max(),
    }


def _doubtful_cells(fine: pd.DataFrame) -> dict[str, pd.Series]:
    cell = fine.groupby(["data_frames", "fraction", fine["control"].fillna(-1)])
    size, distinct = cell["score"].transform("size"), cell["score"].transform("nunique")
    return {
        "episodes_as_seeds": (fine["eval_episodes"] == 1) & (size > MANY_SEEDS),
        "equal_seeds": (size > 1) & (distinct == 1),
        "uneven_cells": size < size.max(),
    }


def _near_deterministic(fine: pd.DataFrame) -> pd.Series:
    several = fine["eval_episodes"].fillna(2) > 1
    return several & (fine["score_sd"] < NEAR_DETERMINISTIC * fine["score"].abs())


def _at_bound(score: pd.Series) -> pd.Series:
    worst = pd.Series(False, index=score.index)
    for bound in (score.min(), score.max()):
        here = score == bound
        if here.sum() > max(2, BOUND_SHARE * len(score)):  # two may meet by chance
            worst |= here
    return worst


def _flag(code: str, runs: pd.DataFrame, doubtful: pd.Series) -> Flag:
    rows = tuple(runs.loc[doubtful.astype(bool), "where"])
    first = f"{rows[0]} and {len(rows) - 1} more" if len(rows) > 1 else "".join(rows)
    return Flag(code, f"{DOUBTS[code]} (row {first}).", rows)
