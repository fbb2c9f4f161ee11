"""Refuses networks in one table that differ in more than what the table is about.

A difference between two columns is worth something only if they had the same data and
were judged by the same protocol.
"""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false

import itertools
import math

import pandas as pd

TASK = ["env", "dataset", "budget", "fraction"]
COLUMN = ["target", "unroll_steps"]
PROTOCOL = {
    "eval_episodes": "evaluated over different numbers of episodes",
    "frames_per_step": "made with different numbers of frames a step",
}
ONE_AT_A_TIME = "or give the directories one at a time"


def check(runs: pd.DataFrame) -> None:
    """Refuses mixed data sets, protocols and settings.

    Args:
      runs: one row a network, with the columns of `ablation_runs` and `budget`.

    Raises:
      ValueError: naming the environment and what differs.
    """
    for _, part in runs.groupby(["env", "fraction"]):
        _refuse_mixed_data(part)
    for _, part in runs.groupby(TASK):
        for name, what in PROTOCOL.items():
            _refuse_mixed_protocol(part, name, what)
    for _, part in runs.groupby([*TASK, *COLUMN]):
        _refuse_mixed_studies(part)


def column_name(run) -> str:
    """Returns the column of a network, a row of `itertuples`, as supervised-5."""
    return f"{run.target}-{int(run.unroll_steps)}"


def _refuse_mixed_data(part: pd.DataFrame) -> None:
    """Refuses data sets that share no column and seed: they are not a crossing.

    Several data sets make several tables, each with its own columns. Where no network
    has a counterpart on the other data set, one table was meant, and torn.
    """
    of_data = {str(name): rows for name, rows in part.groupby("dataset")}
    for (one, first), (other, second) in itertools.combinations(of_data.items(), 2):
        key = [*COLUMN, "seed"]
        if first[key].merge(second[key]).empty:
            raise ValueError(
                f"{part['env'].iloc[0]} has networks on two data sets, and no column "
                f"and seed on both: {_example(first)} on {one or 'one without a name'},"
                f" {_example(second)} on {other}; a table compares networks that "
                f"learned from one: train all columns on it, {ONE_AT_A_TIME}."
            )


def _example(rows: pd.DataFrame) -> str:
    first = next(rows.itertuples())
    return f"{column_name(first)} seed {first.seed}"


def _refuse_mixed_protocol(part: pd.DataFrame, name: str, what: str) -> None:
    known = [run for run in part.itertuples() if not math.isnan(getattr(run, name))]
    values = {getattr(run, name): column_name(run) for run in reversed(known)}
    if len(values) <= 1:
        return
    got = ", ".join(f"{value:g} of {values[value]}" for value in sorted(values))
    raise ValueError(
        f"The networks of {part['env'].iloc[0]} were {what} ({name}: {got}); evaluate "
        f"all alike, {ONE_AT_A_TIME}."
    )


def _refuse_mixed_studies(part: pd.DataFrame) -> None:
    known = sorted(set(part["study"]) - {""})
    if len(known) > 1:
        first = next(part.itertuples())
        raise ValueError(
            f"Column {column_name(first)} of {first.env} has networks of {len(known)} "
            f"studies ({', '.join(known)}), whose settings differ; train all its seeds "
            f"alike, {ONE_AT_A_TIME}."
        )
