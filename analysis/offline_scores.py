"""How much better offline agents are than the policies that made their data.

A score of 1 is the mean return of the data's episodes, 0 that of the uniformly random
policy. Both ends are taken as known: the intervals are those of the agent alone.
"""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportReturnType=false, reportGeneralTypeIssues=false
# pyright: reportIndexIssue=false

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from analysis import inference, offline_runs

Vector = Float[np.ndarray, "S"]


class Method(NamedTuple):
    """How the policy was trained, and how it chose its actions in evaluation."""

    target: str
    action: str
    searches: float | None  # where runs of one method differ in nothing else


class DataSet(NamedTuple):
    """The data that runs learned from."""

    env: str
    name: str
    frames: float  # 0 if not recorded


class Improvement(NamedTuple):
    """One method on one data set; `None` where the runs do not tell."""

    data: DataSet
    method: Method
    seeds: tuple[str, ...]
    lost: int  # runs that failed, diverged or were interrupted
    episodes: float | None  # of the data set, mean over the runs
    score: float  # mean over the runs, as are the next three
    behaviour: float | None
    random: float | None
    best_tenth: float | None  # mean return of the best tenth of the data's episodes
    scores: Vector | None  # normalised, one a seed
    mean: float | None
    interval: inference.Interval | None
    best_tenth_normalised: float | None
    verdict: str
    reason: str  # why there are no normalised scores; else empty


def normalised(score: Vector, behaviour: Vector, random: Vector) -> Vector:
    """Returns (score − random) / (behaviour − random), run by run.

    A run is measured against the very episodes that it learned from, which are others
    for another seed where a budget is less than the whole data set.
    """
    return (score - random) / (behaviour - random)


def normalisable(behaviour: Vector, random: Vector) -> Bool[np.ndarray, "S"]:
    """Returns where the data's episodes are better than random play."""
    return (behaviour > random) & ~np.isclose(behaviour, random, rtol=1e-9, atol=0)


def improvements(offline: offline_runs.Offline) -> list[Improvement]:
    """Returns every method on every data set: data sets in order, Reanalyse first."""
    runs = offline.runs
    if runs.empty:
        return []
    keys = [*offline_runs.DATA_SET, *offline_runs.METHOD]
    several = _several_searches(runs)
    found = []
    for key, part in runs.groupby(keys):
        env, name, frames, target, action, searches = key
        told = float(searches) if (target, action) in several else None
        data = DataSet(str(env), str(name), float(frames))
        method = Method(str(target), str(action), told)
        found.append(_improvement(data, method, part, offline.lost))
    return sorted(found, key=lambda here: (here.data, order(here.method)))


def _several_searches(runs: pd.DataFrame) -> set[tuple[str, str]]:
    """Returns the methods that some data set has with several numbers of searches."""
    counts = runs.groupby([*offline_runs.DATA_SET, "target", "action"])["searches"]
    many = counts.nunique()
    return {(key[-2], key[-1]) for key in many[many > 1].index}


def order(method: Method) -> tuple[int, int, float]:
    """Returns the place of a method in tables and figures."""
    target = offline_runs.TARGETS.index(method.target)
    return target, offline_runs.ACTIONS.index(method.action), method.searches or 0


def _improvement(
    data: DataSet, method: Method, part: pd.DataFrame, lost: pd.DataFrame
) -> Improvement:
    scores, reason = _normalised(part)
    tenth = part["dataset_best_tenth"].to_numpy(float)
    mean = interval = at_tenth = None
    if scores is not None:
        behaviour, random = _ends(part)
        mean = float(scores.mean())
        interval = mean_interval(scores)
        at_tenth = _known(normalised(tenth, behaviour, random))
    return Improvement(
        data=data,
        method=method,
        seeds=tuple(part["seed"]),
        lost=_lost(lost, data, method),
        episodes=_known(part["dataset_episodes"].to_numpy(float)),
        score=float(part["score"].mean()),
        behaviour=_known(part["behaviour_score"].to_numpy(float)),
        random=_known(part["random_score"].to_numpy(float)),
        best_tenth=_known(tenth),
        scores=scores,
        mean=mean,
        interval=interval,
        best_tenth_normalised=at_tenth,
        verdict=verdict(scores, interval),
        reason=reason,
    )


def _ends(part: pd.DataFrame) -> tuple[Vector, Vector]:
    behaviour = part["behaviour_score"].to_numpy(float)
    return behaviour, part["random_score"].to_numpy(float)


def _normalised(part: pd.DataFrame) -> tuple[Vector | None, str]:
    """Returns the normalised scores of all runs, or of none and why."""
    for name in ("behaviour_score", "random_score"):
        if part[name].isna().any():
            return None, f"{_some(part[name].isna())} no {name}"
    behaviour, random = _ends(part)
    fine = normalisable(behaviour, random)
    if not fine.all():
        worst = int(np.flatnonzero(~fine)[0])
        return None, (
            f"{_some(~fine)} data whose mean return ({behaviour[worst]:.6g}) is not "
            f"above that of random play ({random[worst]:.6g})"
        )
    return normalised(part["score"].to_numpy(float), behaviour, random), ""


def _some(which: Sequence[bool] | pd.Series | np.ndarray) -> str:
    count, total = int(np.sum(which)), len(which)
    if count == total:
        return "all runs have" if total > 1 else "the run has"
    return f"{count} of {total} runs {'has' if count == 1 else 'have'}"


def _known(values: Vector) -> float | None:
    """Returns the mean over runs, or None unless all runs have the value."""
    return None if np.isnan(values).any() else float(values.mean())


def _lost(lost: pd.DataFrame, data: DataSet, method: Method) -> int:
    """Returns how many runs were lost here.

    A run that ended early may have recorded its budget and not its data set, or
    neither: it counts wherever it may belong.
    """
    here = (lost["env"] == data.env) & lost["dataset"].isin([data.name, data.env])
    here &= (lost["target"] == method.target) & (lost["action"] == method.action)
    size = lost["dataset_frames"].fillna(0.0)
    low, high = np.minimum(size, data.frames), np.maximum(size, data.frames)
    return int((here & ((high <= offline_runs.NEAR * low) | (size == 0))).sum())


def mean_interval(scores: Vector) -> inference.Interval | None:
    """Returns the t interval of the mean; None for one seed, or seeds that are alike.

        mean ± t_{S−1} · s / √S

    Seeds that agree exactly leave no spread: an interval of no length would claim
    to know more than they tell.
    """
    if scores.size < 2 or np.ptp(scores) <= 1e-12 * np.abs(scores).max():
        return None
    half, mean = inference.mean_half_width(scores), float(scores.mean())
    return inference.Interval(mean - half, mean + half)


def verdict(scores: Vector | None, interval: inference.Interval | None) -> str:
    """Returns what the interval says of the policy that made the data, in a word."""
    if scores is None:
        return "not normalised"
    if interval is None:
        return "one seed" if scores.size < 2 else "no spread"
    if interval.contains(1.0):
        return "undecided"
    return "better" if interval.low > 1 else "worse"
