"""Finds the shapes of a law by variable projection.

For given shapes the coefficients of a law have a closed form, so only the shapes
are searched: on a grid, then from its best points. The rows may be cell means with
weights: the sum of squares differs from that of the runs by a constant.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import optimize

from analysis import laws

Vector = Float[np.ndarray, "N"]
Points = Float[np.ndarray, "P S"]

GRID_POINTS = {1: 33, 2: 17, 3: 11, 4: 7}  # of each shape, by their number
POLISHED_STARTS = {1: 2, 2: 3, 3: 3, 4: 3}
_AT_BOUND = 1e-3  # of the width of the bounds
_RANK = 1e-10  # of singular values: smaller ones are rounding


class Rows(NamedTuple):
    """What a law is fitted to; `root` is the square root of each row's weight."""

    x: Any  # of the law's variables, one row each
    score: Vector
    root: Vector


class Shapes(NamedTuple):
    """The best shapes, how the search ended, and how sure it is."""

    values: Float[np.ndarray, "S"]
    status: str  # converged, at a bound, not converged
    agreement: float  # share of polished starts that reached the best


def cell_means(x: Any, score: Vector) -> Rows:
    """Returns one row for each distinct row of `x`: its mean and its weight."""
    distinct, cell, count = np.unique(
        x, axis=0, return_inverse=True, return_counts=True
    )
    means = np.bincount(cell.ravel(), score) / count
    return Rows(distinct, means, np.sqrt(count))


def residuals(law: laws.Law, rows: Rows, shapes: Float[np.ndarray, "S"]) -> Vector:
    """Returns the weighted residuals with the best coefficients for these shapes.

    Source: Golub & Pereyra 1973, "The differentiation of pseudo-inverses and
    nonlinear least squares problems whose variables separate".
    """
    columns = law.basis(rows.x, *shapes) * rows.root[:, None]
    score = rows.score * rows.root
    return score - columns @ np.linalg.lstsq(columns, score, rcond=_RANK)[0]


def sum_of_squares(law: laws.Law, rows: Rows, shapes: Float[np.ndarray, "S"]) -> float:
    """Returns the weighted residual sum of squares at these shapes."""
    left = residuals(law, rows, shapes)
    return float(left @ left)


def _sums_of_squares(law: laws.Law, rows: Rows, points: Points) -> Vector:
    columns = np.stack([law.basis(rows.x, *point) for point in points])
    columns = columns * rows.root[:, None]
    score = rows.score * rows.root
    coefficients = np.linalg.pinv(columns, rcond=_RANK) @ score
    left = score - np.einsum("pnc,pc->pn", columns, coefficients)
    return np.einsum("pn,pn->p", left, left)


def best_shapes(law: laws.Law, rows: Rows) -> Shapes:
    """Returns the shapes with the least sum of squares within the law's bounds."""
    rows = scaled(rows, centred="1" in law.terms)
    points = GRID_POINTS[len(law.shapes)]
    axes = [np.linspace(low, high, points) for low, high in law.bounds]
    grid = np.array(list(itertools.product(*axes)))
    order = np.argsort(_sums_of_squares(law, rows, grid), kind="stable")
    polished = [polish(law, rows, start) for start in _spread(grid, order)]
    costs = np.array([result.cost for result in polished])
    best = polished[int(costs.argmin())]
    agreement = float(np.mean(costs <= costs.min() * (1 + 1e-6) + 1e-12))
    return Shapes(best.x, _status(law, best), agreement)


def _spread(grid: Points, order: np.ndarray) -> Points:
    # Neighbours on the grid polish to one point and would always agree: a second
    # start is not next to the first.
    steps = np.array([np.ptp(axis) for axis in grid.T]) / (
        GRID_POINTS[grid.shape[1]] - 1
    )
    chosen = [grid[order[0]]]
    for index in order[1:]:
        gaps = [np.max(np.abs(grid[index] - other) / steps) for other in chosen]
        if min(gaps) > 1.5:
            chosen.append(grid[index])
        if len(chosen) == POLISHED_STARTS[grid.shape[1]]:
            break
    return np.array(chosen)


def scaled(rows: Rows, centred: bool) -> Rows:
    """Returns the rows with scores of order one, about 0 where the law has a level.

    Loose tolerances on an unscaled objective stop short and look done.
    """
    weight = rows.root**2 / np.sum(rows.root**2)
    score = rows.score - float(weight @ rows.score) * centred
    spread = float(np.sqrt(weight @ score**2))
    return rows._replace(score=score / spread if spread > 0 else score * 0)


def polish(law: laws.Law, rows: Rows, start: Vector) -> optimize.OptimizeResult:
    """Returns the local minimum near `start`; scores should be of order one."""
    bounds = tuple(np.array(law.bounds).T)
    return optimize.least_squares(
        lambda shapes: residuals(law, rows, shapes),
        np.clip(start, *bounds),
        jac="3-point",
        bounds=bounds,
        x_scale=bounds[1] - bounds[0],
        xtol=1e-12,
        ftol=1e-15,
        gtol=1e-12,
    )


def _status(law: laws.Law, result: optimize.OptimizeResult) -> str:
    low, high = np.array(law.bounds).T
    margin = _AT_BOUND * (high - low)
    if np.any((result.x - low < margin) | (high - result.x < margin)):
        return "at a bound"
    return "converged" if result.status > 0 else "not converged"
