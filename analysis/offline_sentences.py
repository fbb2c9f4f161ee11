"""What was found of offline agents, in plain English."""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis import (
    drawing,
    lint,
    offline_atari46,
    offline_levels,
    offline_runs,
    offline_scores,
    sentences,
)

FEW_SEEDS = 10  # below it a bootstrap over seeds is too short, statistics.md
TARGETS = {"reanalyse": "Reanalyse", "crr": "CRR", "supervised": "supervised"}
ACTIONS = {"mcts": "MCTS", "value": "one-step value", "policy": "policy head"}
NAMES = {("supervised", "policy"): "behaviour cloning"}
OWN = "the policy that made the data"
CLAUSES = {
    "better": f"better than {OWN}",
    "worse": f"worse than {OWN}",
    "undecided": f"not to be told from {OWN}: add seeds",
    "one seed": "one seed, which leaves nothing to judge its error by: add seeds",
    "no spread": "all seeds score the same (a bound of the score, or copies of one "
    "run), which leaves no spread to make an interval of",
}


def method(which: offline_scores.Method) -> str:
    """Returns the name of a method: how it was trained, how it acts."""
    plain = f"{TARGETS[which.target]}, {ACTIONS[which.action]}"
    name = NAMES.get((which.target, which.action), plain)
    if which.searches is None:
        return name
    return f"{name}, {drawing.count_label(which.searches)} searches"


def data_set(data: offline_scores.DataSet) -> str:
    """Returns environment, name and size of a data set."""
    return ", ".join(part for part in (data.env, size_of(data)) if part)


def size_of(data: offline_scores.DataSet) -> str:
    """Returns name and size of a data set, as far as they are known."""
    parts = [data.name] if data.name != data.env else []
    if data.frames:
        parts.append(f"{drawing.count_label(data.frames)} frames")
    return ", ".join(parts)


def conclusions(
    found: Sequence[offline_scores.Improvement],
    levels: Sequence[offline_levels.Level],
) -> list[str]:
    """Returns one sentence a method, and what its numbers are over data sets."""
    methods = sorted({here.method for here in found}, key=offline_scores.order)
    said = []
    for which in methods:
        mine = [here for here in found if here.method == which]
        said.append(_one(mine[0]) if len(mine) == 1 else _many(which, mine))
        said += [_pooled(level) for level in levels if level.method == which]
    if all(here.scores is None for here in found):
        said.append("Nothing can be normalised, so there is no figure.")
    if len({tuple(level.data_sets) for level in levels}) > 1:
        said.append(
            "The methods were not run on the same data sets: their medians and means "
            "cannot be compared with each other."
        )
    return said


def _one(here: offline_scores.Improvement) -> str:
    who = f"{method(here.method)} on {data_set(here.data)}:"
    if here.mean is None:
        return f"{who} cannot be normalised, since {here.reason}."
    facts = [interval_clause(here), f"{above(here)} seeds above 1"]
    return (
        f"{who} normalised score {sentences.number(here.mean)} "
        f"({', '.join(facts)}), {CLAUSES[here.verdict]}{_tenth(here)}."
    )


def interval_clause(here: offline_scores.Improvement) -> str:
    """Returns the interval of a mean, or that there is none."""
    if here.interval is None:
        return "no interval"
    return f"95 % t interval {sentences.interval(here.interval)}"


def above(here: offline_scores.Improvement) -> str:
    """Returns how many seeds score above 1, of how many."""
    if here.scores is None:
        return ""
    return f"{int((here.scores > 1).sum())} of {here.scores.size}"


def above_best_tenth(here: offline_scores.Improvement) -> bool | None:
    """Says whether the mean lies above the best tenth of the data's episodes."""
    if here.mean is None or here.best_tenth_normalised is None:
        return None
    return here.mean > here.best_tenth_normalised


def _tenth(here: offline_scores.Improvement) -> str:
    better = above_best_tenth(here)
    if better is None or here.best_tenth_normalised is None:
        return ""
    where = "above" if better else "not above"
    at = sentences.number(here.best_tenth_normalised)
    return f"; {where} the best tenth of the data's episodes ({at})"


def _many(
    which: offline_scores.Method, mine: Sequence[offline_scores.Improvement]
) -> str:
    counts = Counter(here.verdict for here in mine)
    told = {
        "better": f"better than {OWN} on",
        "worse": "worse on",
        "undecided": "not to be told from it on",
        "one seed": "with one seed, so without an interval, on",
        "no spread": "with seeds that all score the same on",
        "not normalised": "not normalised on",
    }
    parts = [
        f"{text} {counts[word]}{f' of {len(mine)} data sets' * (not index)}"
        for index, (word, text) in enumerate(told.items())
        if counts[word] or not index
    ]
    beaten = [above_best_tenth(here) for here in mine]
    known = len(beaten) - beaten.count(None)
    tenth = f"; above the best tenth of its episodes on {beaten.count(True)} of {known}"
    return f"{method(which)}: {', '.join(parts)}{tenth if known else ''}."


def _pooled(level: offline_levels.Level) -> str:
    count, envs = len(level.data_sets), len({data.env for data in level.data_sets})
    few = ""
    if level.fewest_seeds == 1:
        few = ", no intervals, since a data set has one seed"
    elif level.fewest_seeds < FEW_SEEDS:
        few = (
            f"; bootstrap intervals of as few as {level.fewest_seeds} seeds are too "
            "short"
        )
    return (
        f"{method(level.method)} over {count} data sets of {envs} environments: median "
        f"{pooled(level.median)}, mean {pooled(level.mean)}, interquartile mean "
        f"{pooled(level.iqm)}{few}."
    )


def pooled(found: offline_levels.Pooled) -> str:
    """Returns a statistic with its interval, if it has one."""
    value = sentences.number(found.value)
    if found.interval is None:
        return value
    return f"{value} ({sentences.interval(found.interval)})"


def left_out(
    offline: offline_runs.Offline, found: Sequence[offline_scores.Improvement]
) -> list[str]:
    """Returns what is in the tables but in no normalised score, and why."""
    said = [
        f"Cannot be normalised: {method(here.method)} on {data_set(here.data)}; "
        f"{here.reason}."
        for here in found
        if here.reason
    ]
    said += [
        f"Lost: {_which(row)} ended as {row.status} (row {row.where})."
        for row in offline.lost.itertuples()
    ]
    if len(offline.lost):
        said.append(
            "Note: lost runs are in no number above; if runs end so because they are "
            "bad, what is left is too good."
        )
    return said + offline.ignored


def _which(row) -> str:
    size = 0.0 if np.isnan(row.dataset_frames) else float(row.dataset_frames)
    data = offline_scores.DataSet(row.env, row.dataset, size)
    how = offline_scores.Method(row.target, row.action, None)
    return f"{method(how)} on {data_set(data)}, seed {row.seed},"


def doubts(runs: pd.DataFrame) -> list[str]:
    """Returns what is doubtful about the runs that have a score, as `lint` sees it."""
    # Frames of interaction are none of these runs' business.
    nothing = dict.fromkeys(("frames", "agent_steps", "frames_per_step", "control"))
    whole = runs.assign(**nothing).astype(dict.fromkeys(nothing, float))
    said = []
    for _, part in whole.groupby(["env", "dataset", "target", "action"]):
        said += [f"Note: {flag.message}" for flag in lint.lint(part)]
    return said


def published(envs: Sequence[str]) -> list[str]:
    """Returns the paper's aggregates, and what they can be compared with."""
    points = "; ".join(
        f"{each.method} {100 * each.median:.1f} / {100 * each.mean:.1f}"
        for each in offline_atari46.aggregates()
    )
    said = [
        "Published (MuZero Unplugged, table 13), median / mean over "
        f"{len(offline_atari46.GAMES)} Atari games in per cent: {points}. There 100 is "
        "a DQN that learned online, not the mean return of the data's episodes."
    ]
    if not any(offline_atari46.game(env) for env in envs):
        said.append(
            "No environment of the table is one of these games: no published bars."
        )
    return said
