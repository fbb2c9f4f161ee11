"""Fits laws to the runs of one curve.

Linear laws by ordinary least squares with the HC3 covariance; laws with shapes by
variable projection (`search`), judged by their tangent at the optimum: the columns
of the coefficients and the derivatives by the shapes.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from analysis import laws, search

Vector = Float[np.ndarray, "N"]
Matrix = Float[np.ndarray, "N C"]

_LEVERAGE_ONE = 1 - 1e-9
_OFFSET = 1e-3  # Bates & Watts 1988, section 2.2.3
_ROUNDING = 1e-18  # residual / total sum of squares that is rounding alone


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
    linear: LinearFit  # at the shapes found
    shapes: Float[np.ndarray, "S"]
    status: str  # closed form, converged, at a bound, stopped early, not converged
    agreement: float  # share of polished starts that reached the best
    tangent: LinearFit | None  # of all parameters; None where they are not identified

    @property
    def rss(self) -> float:
        """Residual sum of squares, in squared score."""
        return float(self.linear.residuals @ self.linear.residuals)

    @property
    def estimator(self) -> str:
        """How the parameters were estimated."""
        kind = "variable projection" if self.law.shapes else "ordinary least squares"
        return f"{kind}, least squares" if self.law.shapes else kind


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
    # By the length of the columns, since those of a sum of powers differ widely.
    length = np.linalg.norm(columns, axis=0)
    scaled = columns / np.where(length > 0, length, 1.0)
    if np.linalg.matrix_rank(scaled) < count:
        raise ValueError(
            f"{rows} runs at these budgets do not determine {count} coefficients; "
            "add distinct budgets."
        )
    inverse = np.linalg.pinv(scaled) / length[:, None]
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
    if not law.shapes:
        linear = ordinary_least_squares(law.basis(n), score)
        none = np.zeros(0)
        return LawFit(
            law, reference, frames, score, linear, none, "closed form", 1.0, linear
        )
    found = search.best_shapes(law, search.cell_means(n, score))
    linear = ordinary_least_squares(law.basis(n, *found.values), score)
    tangent = tangent_fit(law, n, found.values, linear)
    status = found.status
    if status == "converged" and relative_offset(linear, tangent, score) > _OFFSET:
        status = "stopped early"
    return LawFit(
        *(law, reference, frames, score, linear),
        *(found.values, status, found.agreement, tangent),
    )


def tangent_columns(
    law: laws.Law,
    x: Matrix | Vector,
    shapes: Float[np.ndarray, "S"],
    coefficients: Float[np.ndarray, "C"],
) -> Matrix:
    """Returns ∂score/∂parameter, one column each: coefficients, then shapes."""
    columns = [law.basis(x, *shapes)]
    for index, (low, high) in enumerate(law.bounds):
        step = np.zeros(len(shapes))
        step[index] = 1e-6 * (high - low)
        ahead, behind = law.basis(x, *(shapes + step)), law.basis(x, *(shapes - step))
        columns.append((ahead - behind) @ coefficients[:, None] / (2 * step[index]))
    return np.column_stack(columns)


def tangent_fit(
    law: laws.Law,
    x: Matrix | Vector,
    shapes: Float[np.ndarray, "S"],
    linear: LinearFit,
) -> LinearFit | None:
    """Returns the fit of the residuals on the tangent, or None if it has no rank."""
    columns = tangent_columns(law, x, shapes, linear.coefficients)
    try:
        return ordinary_least_squares(columns, linear.residuals)
    except ValueError:
        return None


def relative_offset(
    linear: LinearFit, tangent: LinearFit | None, score: Vector
) -> float:
    """Returns how far a fit is from the least-squares optimum, 0 being there.

        √(|P e|² / k) / √(|e − P e|² / (N − k)),   P onto the tangent, k parameters

    A search that stopped early leaves residuals that the tangent still explains,
    whatever its own tolerances said.

    Source: Bates & Watts 1988, "Nonlinear regression analysis", section 2.2.3.
    """
    if tangent is None or tangent.degrees <= 0:
        return 0.0
    explained = linear.residuals - tangent.residuals
    total = float(np.sum((score - score.mean()) ** 2))
    left = float(tangent.residuals @ tangent.residuals)
    if left <= _ROUNDING * total and float(explained @ explained) <= 1e-12 * total:
        return 0.0
    count = score.size - tangent.degrees
    above = float(explained @ explained) / count
    return float(np.sqrt(above / max(left / tangent.degrees, np.finfo(float).tiny)))


def predict(fit: LawFit, frames: Vector) -> Vector:
    """Returns the fitted law at `frames`, in score."""
    return fit.law.basis(frames / fit.reference, *fit.shapes) @ fit.linear.coefficients


def prediction_variance(fit: LawFit, frames: Vector) -> Vector | None:
    """Returns the HC3 variance of the fitted law at `frames`, None if unknown."""
    if fit.tangent is None or fit.tangent.covariance is None:
        return None
    columns = tangent_columns(
        fit.law, frames / fit.reference, fit.shapes, fit.linear.coefficients
    )
    covariance = fit.tangent.covariance
    return np.maximum(np.einsum("nc,cd,nd->n", columns, covariance, columns), 0)


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
    variance = prediction_variance(fit, frames)
    degrees = fit.score.size - fit.law.parameters
    quantile = float(stats.t.ppf((1 + level) / 2, max(degrees, 1)))
    return None if variance is None else quantile * np.sqrt(variance)


def simultaneous_band(
    fit: LawFit, frames: Vector, level: float = 0.95
) -> Vector | None:
    """Returns the half-width that holds for the whole curve at once.

        w(x) = √(k F_{k, N−k}(level)) · √(xᵀ V x)

    Source: Working & Hotelling 1929; Scheffé 1953.
    """
    variance, count = prediction_variance(fit, frames), fit.law.parameters
    quantile = stats.f.ppf(level, count, max(fit.score.size - count, 1))
    return None if variance is None else np.sqrt(count * quantile * variance)
