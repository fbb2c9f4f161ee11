"""The laws that a scaling study is asked about, one record each.

A law is linear in its coefficients once its shapes are given,

    score = Σ_j coefficient_j · basis_j(n, shapes),    n = frames / reference,

where the reference is the geometric mean of the budgets. So a law is a list of
names and one function that makes the columns of basis; everything that fits,
compares and prints laws works on any record of this kind.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Vector = Float[np.ndarray, "N"]
Basis = Float[np.ndarray, "N C"]

_SMALL = 1e-8  # below it expm1(u)/u and 1 + u/2 agree to rounding


class Law(NamedTuple):
    """One law: what its parameters are called and how its columns are made."""

    name: str
    coefficients: tuple[str, ...]
    shapes: tuple[str, ...]
    bounds: tuple[tuple[float, float], ...]  # of each shape
    basis: Callable[..., Basis]  # (n, *shapes) -> one column a coefficient
    terms: tuple[str, ...]  # each column as Python, of `n` and the shapes
    equation: str

    @property
    def parameters(self) -> int:
        """Number of parameters, shapes included."""
        return len(self.coefficients) + len(self.shapes)

    @property
    def budgets_to_test(self) -> int:
        """Distinct budgets needed before the law can be found wrong: k + 2."""
        return self.parameters + 2

    @property
    def budgets_to_fit(self) -> int:
        """Distinct budgets needed before the law is fitted at all.

        A straight line describes as few as two budgets, and its slope is what a
        user came for. A law with a shape bends to fit anything: it needs k + 2.
        """
        return self.budgets_to_test if self.shapes else self.parameters


def constant_basis(n: Vector) -> Basis:
    """Returns the column of `score = a`."""
    return np.ones((n.size, 1))


def log_linear_basis(n: Vector) -> Basis:
    """Returns the columns of `score = a + b log10 n`."""
    return np.column_stack([np.ones(n.size), np.log10(n)])


def quadratic_basis(n: Vector) -> Basis:
    """Returns the columns of `score = a + b log10 n + c (log10 n)²`."""
    log_n = np.log10(n)
    return np.column_stack([np.ones(n.size), log_n, log_n**2])


def box_cox(n: Vector, exponent: float) -> Vector:
    """Returns the Box–Cox transform of n in units of decades.

        z(n, λ) = (n^λ − 1) / (λ ln 10),    z(n, 0) = log10 n

    Its slope at n = 1 is that of log10 for every λ, so coefficients of different
    λ can be compared. Written with expm1, it is exact down to λ = 0.

    Source: Box & Cox 1964, "An analysis of transformations", J. R. Stat. Soc. B.
    """
    u = exponent * np.log(n)
    near_zero = np.abs(u) < _SMALL
    safe = np.where(near_zero, 1.0, u)
    return np.log10(n) * np.where(near_zero, 1 + u / 2, np.expm1(safe) / safe)


def box_cox_basis(n: Vector, exponent: float) -> Basis:
    """Returns the columns of `score = a + b z(n, λ)`."""
    return np.column_stack([np.ones(n.size), box_cox(n, exponent)])


CONSTANT = Law("constant", ("a",), (), (), constant_basis, ("1",), "score = a")

LOG_LINEAR = Law(
    "log-linear",
    ("a", "b"),
    (),
    (),
    log_linear_basis,
    ("1", "log10(n)"),
    "score = a + b log10(n)",
)

QUADRATIC = Law(
    "quadratic",
    ("a", "b", "c"),
    (),
    (),
    quadratic_basis,
    ("1", "log10(n)", "log10(n)**2"),
    "score = a + b log10(n) + c log10(n)^2   (diagnostic only)",
)

# Beyond ±4 a decade of budgets turns into a step, which is no law of this kind.
BOX_COX = Law(
    "box-cox",
    ("a", "b"),
    ("lambda",),
    ((-4.0, 4.0),),
    box_cox_basis,
    ("1", "expm1({lambda} * log(n)) / ({lambda} * log(10))"),
    "score = a + b (n^lambda - 1) / (lambda ln 10)",
)

LAWS: tuple[Law, ...] = (CONSTANT, LOG_LINEAR, QUADRATIC, BOX_COX)


def geometric_mean_of_budgets(frames: Vector) -> float:
    """Returns exp(mean(log budgets)) over the distinct budgets, in frames."""
    return float(np.exp(np.mean(np.log(np.unique(frames)))))


def formula(law: Law, coefficients: Vector, shapes: Vector, reference: float) -> str:
    """Returns the fitted law as a Python expression of `frames`.

    Evaluated with the functions of `math`, it gives the prediction to rounding.
    A shape of 0 prints as 1e-12, where Box–Cox equals the logarithm to rounding.
    """
    printed = [repr(float(s)) if abs(s) > 1e-12 else "1e-12" for s in shapes]
    named = dict(zip(law.shapes, printed, strict=True))
    terms = [term.format(**named) if named else term for term in law.terms]
    pieces = [
        f"{float(c)!r}" if term == "1" else f"{float(c)!r} * {term}"
        for c, term in zip(coefficients, terms, strict=True)
    ]
    return " + ".join(pieces).replace("(n)", f"(frames / {reference!r})")
