"""Laws of two variables: score over frames and searched states.

Frames are data and searched states are compute; a study that crosses budgets with
fractions moves them apart, so it can say what either buys at a fixed other.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from analysis import fit as fits
from analysis import inference, laws, search

Vector = Float[np.ndarray, "N"]
Pairs = Float[np.ndarray, "N 2"]

_APART = 1e-3  # spread of log frames against log searched states that counts


def semi_log_basis(x: Pairs) -> laws.Basis:
    """Returns the columns of `a + b log10 n + c log10 u + d log10 n · log10 u`."""
    n, u = np.log10(x).T
    return np.column_stack([np.ones(n.size), n, u, n * u])


def power_basis(x: Pairs, alpha: float, beta: float) -> laws.Basis:
    """Returns the columns of `S − A n^−α − B u^−β`."""
    n, u = x.T
    return np.column_stack([np.ones(n.size), -(n**-alpha), -(u**-beta)])


SEMI_LOG = laws.Law(
    "two-variable semi-log",
    ("a", "b", "c", "d"),
    (),
    (),
    semi_log_basis,
    ("1", "log10(n)", "log10(u)", "log10(n) * log10(u)"),
    "score = a + b log10(n) + c log10(u) + d log10(n) log10(u)",
)

POWER = laws.Law(
    "two-variable power",
    ("S", "A", "B"),
    ("alpha", "beta"),
    ((0.02, 3.0), (0.02, 3.0)),
    power_basis,
    ("1", "-(n)**-{alpha}", "-(u)**-{beta}"),
    "score = S - A n^-alpha - B u^-beta",
)

SURFACES: tuple[laws.Law, ...] = (SEMI_LOG, POWER)


class SurfaceFit(NamedTuple):
    """A law of two variables fitted to the runs of one environment."""

    law: laws.Law
    references: tuple[float, float]  # frames, searched states
    x: Pairs  # frames, searched states
    score: Vector
    linear: fits.LinearFit
    shapes: Float[np.ndarray, "S"]
    status: str
    agreement: float
    tangent: fits.LinearFit | None


def fit_surface(law: laws.Law, x: Pairs, score: Vector) -> SurfaceFit:
    """Returns `law` fitted to runs with these frames and searched states.

    Raises:
      ValueError: if the cells are too few, or frames fix the searched states (one
        fraction) or searched states are all equal (a path).
    """
    cells = np.unique(x, axis=0)
    _check(law, cells)
    references = np.exp(np.mean(np.log(cells), axis=0))
    scaled = x / references
    shapes, status, agreement = np.zeros(0), "closed form", 1.0
    if law.shapes:
        found = search.best_shapes(law, search.cell_means(scaled, score))
        shapes, status, agreement = found
    linear = fits.ordinary_least_squares(law.basis(scaled, *shapes), score)
    tangent = fits.tangent_fit(law, scaled, shapes, linear)
    if status == "converged" and fits.relative_offset(linear, tangent, score) > 1e-3:
        status = "stopped early"
    pair = (float(references[0]), float(references[1]))
    return SurfaceFit(law, pair, x, score, linear, shapes, status, agreement, tangent)


def _check(law: laws.Law, cells: Pairs) -> None:
    reason = not_identified(cells)
    if reason is not None:
        raise ValueError(f"The {law.name} law is not identified: {reason}.")
    if len(cells) < law.budgets_to_test:
        raise ValueError(
            f"The {law.name} law has {law.parameters} parameters and needs at least "
            f"{law.budgets_to_test} distinct pairs of frames and searched states; "
            f"there are {len(cells)}. Add budgets or fractions."
        )


def not_identified(pairs: Pairs) -> str | None:
    """Returns why these frames and searched states identify no surface, or None."""
    if not len(pairs) or not np.all(pairs > 0):  # nan too
        return "searched_states is missing, so what was searched is not known"
    logs = np.log(np.unique(pairs, axis=0))
    plane = np.column_stack([np.ones(len(logs)), logs - logs.mean(axis=0)])
    if np.linalg.matrix_rank(plane, tol=_APART * np.sqrt(len(logs))) < 3:
        return (
            "frames and searched states do not move apart (one fraction, or a path); "
            "cross budgets with fractions"
        )
    return None


def predict(fit: SurfaceFit, x: Pairs) -> Vector:
    """Returns the fitted law at pairs of frames and searched states, in score."""
    scaled = x / np.array(fit.references)
    return fit.law.basis(scaled, *fit.shapes) @ fit.linear.coefficients


def coefficient_intervals(fit: SurfaceFit) -> list[inference.Interval | None]:
    """Returns the HC3-t interval of every parameter, of the tangent for shapes."""
    if fit.tangent is None:
        return [None] * fit.law.parameters
    values = np.concatenate([fit.linear.coefficients, fit.shapes])
    centred = fit.tangent._replace(coefficients=values)
    return [
        inference.coefficient_interval(centred, index)
        for index in range(fit.law.parameters)
    ]


def formula(fit: SurfaceFit) -> str:
    """Returns the fitted law as a Python expression of frames, searched_states."""
    frames, states = fit.references
    return laws.formula(
        fit.law,
        fit.linear.coefficients,
        fit.shapes,
        n=f"frames / {frames!r}",
        u=f"searched_states / {states!r}",
    )
