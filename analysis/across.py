"""What is found over several environments: normalised scores taken together."""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportReturnType=false, reportGeneralTypeIssues=false

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis import aggregate, normalise, study

THRESHOLDS = 81  # of a performance profile


class Level(NamedTuple):
    """The aggregates of one fraction at one budget."""

    fraction: float
    frames: float
    runs: int
    iqm: aggregate.Estimate
    optimality_gap: aggregate.Estimate
    median: aggregate.Estimate  # over environments, of means over seeds
    improvement: aggregate.Estimate | None  # over fraction 0 at equal frames


class Profile(NamedTuple):
    """The performance profile of a fraction at the largest common budget."""

    fraction: float
    thresholds: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Across(NamedTuple):
    """What is found over environments."""

    environments: list[str]  # taken in
    left_out: list[str]  # with the reason
    budgets: list[float]  # common to all
    levels: list[Level]
    profiles: list[Profile]
    slopes: dict[str, aggregate.PooledSlope]  # by fraction
    seed: int


def across(
    found: Sequence[study.Environment], parts: Sequence[pd.DataFrame], seed: int
) -> Across | None:
    """Returns the aggregates over environments, or None for a single one.

    Only budgets that every environment has for a fraction are taken, since a mean
    over environments must be over the same ones.
    """
    if len(found) < 2:
        return None
    runs, left_out = _normalised(found, parts)
    envs = sorted(runs["env"].unique())
    if len(envs) < 2:
        return Across(envs, left_out, [], [], [], {}, seed)
    scores = _common(runs, envs)
    budgets = sorted({frames for _, frames in scores})
    levels = [_level(key, scores, seed) for key in sorted(scores)]
    profiles = _profiles(scores, seed)
    slopes = _slopes([here for here in found if here.env in envs])
    return Across(envs, left_out, budgets, levels, profiles, slopes, seed)


def _normalised(
    found: Sequence[study.Environment], parts: Sequence[pd.DataFrame]
) -> tuple[pd.DataFrame, list[str]]:
    kept, left_out = [], []
    for here, runs in zip(found, parts, strict=True):
        if isinstance(here.scale, str):
            left_out.append(here.scale)
        elif here.design == "path":
            left_out.append(f"{here.env} is a path: its fractions change with budgets.")
        else:
            fine = runs[(runs["status"] == "ok") & runs["control"].isna()]
            score = normalise.normalised(fine["score"].to_numpy(float), here.scale)
            kept.append(fine.assign(score=score))
    columns = ["env", "fraction", "data_frames", "score"]
    empty = pd.DataFrame(columns=pd.Index(columns))
    return (pd.concat(kept)[columns] if kept else empty), left_out


def _common(
    runs: pd.DataFrame, envs: list[str]
) -> dict[tuple[float, float], dict[str, np.ndarray]]:
    common = {}
    for key, part in runs.groupby(["fraction", "data_frames"]):
        fraction, frames = key
        if part["env"].nunique() == len(envs):
            common[float(fraction), float(frames)] = {
                str(env): score.to_numpy(float)
                for env, score in part.groupby("env")["score"]
            }
    return common


def _level(
    key: tuple[float, float],
    scores: dict[tuple[float, float], dict[str, np.ndarray]],
    seed: int,
) -> Level:
    (fraction, frames), here = key, scores[key]
    base = scores.get((0.0, frames))
    better = (
        aggregate.improvement(here, base, seed)
        if base is not None and fraction
        else None
    )
    return Level(
        fraction,
        frames,
        sum(score.size for score in here.values()),
        aggregate.bootstrapped(here, aggregate.interquartile_mean, seed),
        aggregate.bootstrapped(here, aggregate.optimality_gap, seed),
        aggregate.bootstrapped(here, aggregate.median_of_means, seed),
        better,
    )


def _profiles(
    scores: dict[tuple[float, float], dict[str, np.ndarray]], seed: int
) -> list[Profile]:
    if not scores:
        return []
    largest = max(frames for _, frames in scores)
    chosen = {f: found for (f, frames), found in scores.items() if frames == largest}
    runs = np.concatenate([s for found in chosen.values() for s in found.values()])
    thresholds = np.linspace(
        min(0.0, float(np.quantile(runs, 0.02))),
        float(np.quantile(runs, 0.98)),
        THRESHOLDS,
    )
    return [
        Profile(f, thresholds, *aggregate.profile_band(chosen[f], thresholds, seed))
        for f in sorted(chosen)
    ]


def _slopes(found: Sequence[study.Environment]) -> dict[str, aggregate.PooledSlope]:
    by_fraction: dict[str, list[tuple[float, float]]] = {}
    for here in found:
        assert isinstance(here.scale, normalise.Scale)
        unit = here.scale.reference - here.scale.random
        for judged in here.fits:
            line = judged.line
            if (
                judged.curve.control is None
                and line
                and line.linear.covariance is not None
            ):
                slope = float(line.linear.coefficients[1]) / unit
                variance = float(line.linear.covariance[1, 1]) / unit**2
                by_fraction.setdefault(judged.curve.label, []).append((slope, variance))
    pooled = {
        label: aggregate.pooled_slope(*np.array(pairs).T)
        for label, pairs in by_fraction.items()
        if len(pairs) == len(found)
    }
    return {label: slope for label, slope in pooled.items() if slope is not None}
