"""Fits laws to the runs of one curve.

Linear laws by ordinary least squares with the HC3 covariance; laws with shapes by
variable projection: for given shapes the coefficients have a closed form, so only
the shapes are searched, on a grid and then from its best points.
"""

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import optimize, stats

from analysis import laws

Vector = Float[np.ndarray, "N"]
Matrix = Float[np.ndarray, "N C"]

GRID_POINTS = 33  # of each shape
POLISHED_STARTS = 3
_LEVERAGE_ONE = 1 - 1e-9
_AT_BOUND = 1e-3  # of the width of the bounds


class LinearFit(NamedTuple):
    """A least-squares fit and its heteroscedasticity-consistent covariance."""

    coefficients: Float[np.ndarray, "C"]
    covariance: Float[np.ndarray, "C C"] | None  # HC3; None where it is undefined
    degrees: int  # of freedom of the residuals
    residuals: Vector
    leverage: Vector
    inverse: Float[np.ndarray, "C N"]  # pseudo-inverse of the columns


class LawFit(NamedTuple):
    """A law fitted to one curve."""

    law: laws.Law
    reference: float  # frames
    frames: Vector
    score: Vector
    linear: LinearFit
    shapes: Float[np.ndarray, "S"]
    status: str  # closed form, converged, at a bound, not converged
    agreement: float  # share of polished starts that reached the best

    @property
    def rss(self) -> float:
        """Residual sum of squares, in squared score."""
        return float(self.linear.residuals @ self.linear.residuals)


def ordinary_least_squares(columns: Matrix, score: Vector) -> LinearFit:
    """Returns the least-squares fit of `score` on `columns` with HC3.

        V = (XᵀX)⁻¹ Xᵀ diag(e_i² / (1 − h_i)²) X (XᵀX)⁻¹,   h = diag(X (XᵀX)⁻¹ Xᵀ)

    The covariance is None where a row alone decides a coefficient (h = 1) or no
    degree of freedom is left: then nothing is known about the noise.

    Source: MacKinnon & White 1985, J. Econometrics 29; Long & Ervin 2000.

    Raises:
      ValueError: if the columns are linearly dependent.
    """
    rows, count = columns.shape
    if np.linalg.matrix_rank(columns) < count:
        raise ValueError(
            f"{rows} runs at these budgets do not determine {count} coefficients; "
            "add distinct budgets."
        )
    inverse = np.linalg.pinv(columns)
    coefficients = inverse @ score
    residuals = score - columns @ coefficients
    leverage = np.einsum("nc,cn->n", columns, inverse)
    covariance = None
    if rows > count and leverage.max() < _LEVERAGE_ONE:
        weighted = inverse * (residuals / (1 - leverage))
        covariance = weighted @ weighted.T
    return LinearFit(
        coefficients, covariance, rows - count, residuals, leverage, inverse
    )


def fit_law(law: laws.Law, frames: Vector, score: Vector) -> LawFit:
    """Returns `law` fitted to runs with these frames and scores.

    Raises:
      ValueError: if there are too few distinct budgets for the law.
    """
    budgets = np.unique(frames).size
    if budgets < law.budgets_to_fit:
        raise ValueError(
            f"The {law.name} law has {law.parameters} parameters and needs at least "
            f"{law.budgets_to_fit} distinct budgets; there "
            f"{'is' if budgets == 1 else 'are'} {budgets}. Add budgets."
        )
    reference = laws.geometric_mean_of_budgets(frames)
    n = frames / reference
    shapes, status, agreement = np.zeros(0), "closed form", 1.0
    if law.shapes:
        shapes, status, agreement = _search_shapes(law, n, score)
    linear = ordinary_least_squares(law.basis(n, *shapes), score)
    return LawFit(law, reference, frames, score, linear, shapes, status, agreement)


def projected_residuals(
    law: laws.Law, n: Vector, score: Vector, shapes: Float[np.ndarray, "S"]
) -> Vector:
    """Returns the residuals with the best coefficients for these shapes.

    Source: Golub & Pereyra 1973, "The differentiation of pseudo-inverses and
    nonlinear least squares problems whose variables separate".
    """
    columns = law.basis(n, *shapes)
    return score - columns @ np.linalg.lstsq(columns, score, rcond=None)[0]


def projected_rss(
    law: laws.Law, n: Vector, score: Vector, shapes: Float[np.ndarray, "S"]
) -> float:
    """Returns the residual sum of squares at these shapes, in squared score."""
    residuals = projected_residuals(law, n, score, shapes)
    return float(residuals @ residuals)


def _search_shapes(
    law: laws.Law, n: Vector, score: Vector
) -> tuple[Float[np.ndarray, "S"], str, float]:
    spread = float(np.std(score))
    scaled = (score - score.mean()) / spread if spread > 0 else score * 0
    axes = [np.linspace(low, high, GRID_POINTS) for low, high in law.bounds]
    grid = np.array(list(itertools.product(*axes)))
    values = np.array([projected_rss(law, n, scaled, point) for point in grid])
    starts = grid[np.argsort(values, kind="stable")[:POLISHED_STARTS]]
    polished = [_polish(law, n, scaled, start) for start in starts]
    costs = np.array([result.cost for result in polished])
    best = polished[int(costs.argmin())]
    agreement = float(np.mean(costs <= costs.min() * (1 + 1e-6) + 1e-12))
    return best.x, _status(law, best), agreement


def _polish(
    law: laws.Law, n: Vector, scaled: Vector, start: Vector
) -> optimize.OptimizeResult:
    # Tight tolerances on a scaled objective: loose ones stop short and look done.
    return optimize.least_squares(
        lambda shapes: projected_residuals(law, n, scaled, shapes),
        np.clip(start, *np.array(law.bounds).T),
        jac="3-point",
        bounds=tuple(np.array(law.bounds).T),
        xtol=1e-10,
        ftol=1e-12,
        gtol=1e-10,
    )


def _status(law: laws.Law, result: optimize.OptimizeResult) -> str:
    low, high = np.array(law.bounds).T
    margin = _AT_BOUND * (high - low)
    if np.any((result.x - low < margin) | (high - result.x < margin)):
        return "at a bound"
    return "converged" if result.status > 0 else "not converged"


def predict(fit: LawFit, frames: Vector) -> Vector:
    """Returns the fitted law at `frames`, in score."""
    return fit.law.basis(frames / fit.reference, *fit.shapes) @ fit.linear.coefficients


def akaike_corrected(fit: LawFit) -> float | None:
    """Returns AICc, smaller is better; None where it is undefined.

        AICc = N ln(RSS / N) + 2k + 2k(k + 1) / (N − k − 1)

    k counts the noise variance. Only differences on the same runs mean anything.

    Source: Hurvich & Tsai 1989, Biometrika 76.
    """
    runs, parameters = fit.score.size, fit.law.parameters + 1
    if runs - parameters - 1 <= 0 or fit.rss <= 0:
        return None
    penalty = 2 * parameters * runs / (runs - parameters - 1)
    return float(runs * np.log(fit.rss / runs) + penalty)


def pointwise_band(fit: LawFit, frames: Vector, level: float = 0.95) -> Vector | None:
    """Returns the half-width at each of `frames`: t quantile × HC3 error."""
    quantile = stats.t.ppf((1 + level) / 2, max(fit.linear.degrees, 1))
    return _half_width(fit, frames, float(quantile))


def simultaneous_band(
    fit: LawFit, frames: Vector, level: float = 0.95
) -> Vector | None:
    """Returns the half-width that holds for the whole line at once.

        w(x) = √(k F_{k, N−k}(level)) · √(xᵀ V x)

    Source: Working & Hotelling 1929; Scheffé 1953.
    """
    count = fit.linear.coefficients.size
    quantile = stats.f.ppf(level, count, max(fit.linear.degrees, 1))
    return _half_width(fit, frames, float(np.sqrt(count * quantile)))


def _half_width(fit: LawFit, frames: Vector, factor: float) -> Vector | None:
    if fit.linear.covariance is None:
        return None
    columns = fit.law.basis(frames / fit.reference, *fit.shapes)
    variance = np.einsum("nc,cd,nd->n", columns, fit.linear.covariance, columns)
    return factor * np.sqrt(np.maximum(variance, 0))
