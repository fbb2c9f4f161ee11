"""Fits a law to positive scores by Huber's loss on their logarithms.

The estimator of language-model scaling laws, where a loss is E + A N^−α + B D^−β
and some runs are far off. It is known for stopping early and looking done, so what
it returns says how much a Newton step would still gain.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import optimize

from analysis import fit as fits
from analysis import laws, search

Vector = Float[np.ndarray, "P"]

DELTA = 1e-3  # of the residual of the logarithm, Hoffmann et al. 2022
GAIN = 1e-6  # of the objective; a step that gains more shows an early stop
ROUNDS = 20  # of minimisation from where the one before stopped
_BEYOND = 1e6  # residual of a law that is not positive somewhere


class RobustFit(NamedTuple):
    """A law fitted by Huber's loss on log score."""

    law: laws.Law
    coefficients: Float[np.ndarray, "C"]
    shapes: Float[np.ndarray, "S"]
    objective: float  # Σ huber_δ(log prediction − log score)
    gain: float  # share of the objective that one Newton step would still take off
    status: str  # converged, stopped early


class Problem(NamedTuple):
    """A law, what it is fitted to, and the δ of the loss."""

    law: laws.Law
    x: Any  # of the law's variables, one row a run
    score: Float[np.ndarray, "N"]
    delta: float = DELTA


def huber(residuals: Float[np.ndarray, "N"], delta: float) -> float:
    """Returns Σ ½r² where |r| ≤ δ and δ(|r| − ½δ) beyond.

    Source: Huber 1964, "Robust estimation of a location parameter".
    """
    size = np.abs(residuals)
    return float(
        np.sum(np.where(size <= delta, size**2 / 2, delta * (size - delta / 2)))
    )


def objective(problem: Problem, parameters: Vector) -> float:
    """Returns Σ huber_δ(log prediction − log score)."""
    return huber(_residuals(problem, parameters), problem.delta)


def gradient(problem: Problem, parameters: Vector) -> Vector:
    """Returns ∂objective/∂parameters, coefficients first."""
    law, cut = problem.law, len(problem.law.coefficients)
    columns = fits.tangent_columns(law, problem.x, parameters[cut:], parameters[:cut])
    prediction = law.basis(problem.x, *parameters[cut:]) @ parameters[:cut]
    influence = np.clip(_residuals(problem, parameters), -problem.delta, problem.delta)
    return (columns / prediction[:, None]).T @ influence


def _residuals(problem: Problem, parameters: Vector) -> Float[np.ndarray, "N"]:
    cut = len(problem.law.coefficients)
    prediction = problem.law.basis(problem.x, *parameters[cut:]) @ parameters[:cut]
    if prediction.min() <= 0:
        return np.full(prediction.size, _BEYOND)
    return np.log(prediction) - np.log(problem.score)


def fit_robust(problem: Problem) -> RobustFit:
    """Returns the law that Huber's loss on log score prefers.

    Starts at the least-squares fit; variables should be of order one.

    Raises:
      ValueError: if a score is not positive.
    """
    if problem.score.min() <= 0:
        raise ValueError(
            f"The logarithm needs positive scores (got {problem.score.min():g}); use "
            "the least-squares fit."
        )
    law = problem.law
    rows = search.Rows(problem.x, problem.score, np.ones(problem.score.size))
    shapes = search.best_shapes(law, rows).values
    linear = fits.ordinary_least_squares(law.basis(problem.x, *shapes), problem.score)
    parameters = np.concatenate([linear.coefficients, shapes])
    # Divided by its first value: a tolerance then means a share of the objective.
    unit = max(objective(problem, parameters), np.finfo(float).tiny)
    for _ in range(ROUNDS):
        found = optimize.minimize(
            lambda p: objective(problem, p) / unit,
            parameters,
            jac=lambda p: gradient(problem, p) / unit,
            method="BFGS",
            options={"gtol": 1e-9},
        )
        parameters = found.x
        if newton_gain(problem, parameters) < GAIN:
            break
    return described(problem, parameters)


def described(problem: Problem, parameters: Vector) -> RobustFit:
    """Returns the fit at `parameters`, wherever they come from, and its status."""
    cut, gain = len(problem.law.coefficients), newton_gain(problem, parameters)
    return RobustFit(
        problem.law,
        parameters[:cut],
        parameters[cut:],
        objective(problem, parameters),
        gain,
        "converged" if gain < GAIN else "stopped early",
    )


def newton_gain(problem: Problem, parameters: Vector) -> float:
    """Returns the share of the objective that the best of some steps takes off.

    Steps are along (H + μ I)⁻¹ g, H the derivative of the gradient, with μ from 0
    up, since far from the optimum H may not be positive.
    """
    here = objective(problem, parameters)
    if here <= 0:
        return 0.0
    slope = gradient(problem, parameters)
    hessian = _hessian(lambda p: gradient(problem, p), parameters)
    values, vectors = np.linalg.eigh(hessian)
    steps = [0.0, *np.geomspace(1e-8, 1e2, 11) * np.abs(values).max()]
    gains = [0.0]
    for damping in steps:
        size = np.maximum(np.abs(values), 1e-14 * np.abs(values).max()) + damping
        step = vectors @ ((vectors.T @ slope) / size)
        gains.append(1 - objective(problem, parameters - step) / here)
    return max(gains)


def _hessian(slope: Callable[[Vector], Vector], at: Vector) -> Float[np.ndarray, "P P"]:
    size = 1e-6 * np.maximum(np.abs(at), 1e-3)
    rows = [
        (slope(at + step) - slope(at - step)) / (2 * step.sum())
        for step in np.diag(size)
    ]
    return (np.array(rows) + np.array(rows).T) / 2
