"""Which fraction is best, per budget and per unit of compute, and how surely."""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportReturnType=false, reportGeneralTypeIssues=false

from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from analysis import fit as fits
from analysis import laws

DRAWS = 4000
SEEDS_TO_RESAMPLE = 10  # fewer are drawn from their t distribution, statistics.md
LEVELS = 5  # of compute, between the least and the most


class Best(NamedTuple):
    """The best fraction at one budget or one level of compute."""

    at: float  # frames, or units of compute
    fraction: float
    score: float  # its mean there, or its line's value
    shares: dict[str, float]  # of draws in which each fraction is the best


def per_budget(runs: pd.DataFrame, seed: int) -> list[Best]:
    """Returns the fraction with the highest mean at each budget that has several.

    The shares are a bootstrap over seeds: with at least 10 seeds in every cell the
    seeds are resampled, with fewer each mean is drawn from its t distribution with
    the deviation pooled over the budget, since resampling three seeds shows a third
    less spread than there is.
    """
    fine = _plain(runs)
    generator = np.random.default_rng(seed)
    found = []
    for budget, part in fine.groupby("data_frames"):
        cells = {f: s.to_numpy(float) for f, s in part.groupby("fraction")["score"]}
        if len(cells) < 2:
            continue
        draws = np.array(_mean_draws(list(cells.values()), generator))
        found.append(_best(float(budget), list(cells), _means(cells), draws))
    return found


def _plain(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[(runs["status"] == "ok") & runs["control"].isna()]


def _means(cells: dict[float, np.ndarray]) -> np.ndarray:
    return np.array([score.mean() for score in cells.values()])


def _mean_draws(
    cells: list[np.ndarray], generator: np.random.Generator
) -> list[np.ndarray]:
    if min(len(score) for score in cells) >= SEEDS_TO_RESAMPLE:
        return [
            generator.choice(score, (DRAWS, score.size)).mean(axis=1) for score in cells
        ]
    degrees = sum(score.size - 1 for score in cells)
    squares = sum(float(np.sum((score - score.mean()) ** 2)) for score in cells)
    deviation = np.sqrt(squares / degrees) if degrees else 0.0
    return [
        score.mean()
        + deviation / np.sqrt(score.size) * generator.standard_t(max(degrees, 1), DRAWS)
        for score in cells
    ]


def _best(
    at: float,
    fractions: list[float],
    means: np.ndarray,
    draws: Float[np.ndarray, "F D"],
) -> Best:
    count = np.bincount(draws.argmax(axis=0), minlength=len(fractions))
    shares = {
        f"{f:g}": float(n) / draws.shape[1]
        for f, n in zip(fractions, count, strict=True)
    }
    top = int(np.argmax(means))
    return Best(at, float(fractions[top]), float(means[top]), shares)


def compute_column(runs: pd.DataFrame) -> str | None:
    """Returns the column that measures compute: `compute`, or searched states."""
    fine = _plain(runs)
    for name in ("compute", "searched_states"):
        if len(fine) and fine[name].gt(0).all():
            return name
    return None


def per_compute(runs: pd.DataFrame, seed: int) -> list[Best]:
    """Returns the fraction whose line is highest at each level of compute.

    A line of score over log10(compute) is fitted to each fraction and read between
    its own least and most compute only; draws are of the line from its HC3 error.
    """
    column = compute_column(runs)
    fine = _plain(runs)
    lines = {} if column is None else _lines(fine, column)
    if len(lines) < 2:
        return []
    generator = np.random.default_rng(seed)
    return [_best_line(level, lines, generator) for level in _shared_levels(lines)]


def _shared_levels(lines: dict[float, fits.LawFit]) -> list[float]:
    # Levels of compute between the least and the most that two lines share.
    ends = sorted((line.frames.min(), line.frames.max()) for line in lines.values())
    grid = np.geomspace(ends[0][0], max(high for _, high in ends), 200)
    shared = [x for x in grid if sum(low <= x <= high for low, high in ends) > 1]
    chosen = np.linspace(0, len(shared) - 1, LEVELS).round().astype(int)
    return [float(shared[index]) for index in dict.fromkeys(chosen)] if shared else []


def _lines(fine: pd.DataFrame, column: str) -> dict[float, fits.LawFit]:
    lines = {}
    for fraction, part in fine.groupby("fraction"):
        compute, score = part[column].to_numpy(float), part["score"].to_numpy(float)
        if np.unique(compute).size < laws.LOG_LINEAR.budgets_to_fit:
            continue
        line = fits.fit_law(laws.LOG_LINEAR, compute, score)
        if line.linear.covariance is not None:
            lines[float(fraction)] = line
    return lines


def _best_line(
    level: float, lines: dict[float, fits.LawFit], generator: np.random.Generator
) -> Best:
    at, fractions, means, draws = np.array([level]), [], [], []
    for fraction, line in lines.items():
        variance = fits.prediction_variance(line, at)
        if variance is None or not line.frames.min() <= level <= line.frames.max():
            continue
        noise = generator.standard_t(line.linear.degrees, DRAWS)
        fractions.append(fraction)
        means.append(float(fits.predict(line, at)[0]))
        draws.append(means[-1] + np.sqrt(variance[0]) * noise)
    return _best(level, fractions, np.array(means), np.array(draws))


def pareto(
    compute: Float[np.ndarray, "C"], score: Float[np.ndarray, "C"]
) -> np.ndarray:
    """Says of each cell whether none with as little compute scores as much."""
    order = np.lexsort((-score, compute))
    best, member = -np.inf, np.zeros(compute.size, bool)
    for index in order:
        if score[index] > best:
            best, member[index] = score[index], True
    return member
