"""The laws that a scaling study is asked about, one record each.

A law is linear in its coefficients once its shapes are given,

    score = Σ_j coefficient_j · basis_j(n, shapes),    n = frames / reference,

where the reference is the geometric mean of the budgets. So a law is a list of
names and one function that makes the columns of basis; everything that fits,
compares and prints laws works on any record of this kind. Laws of two variables
are in `surfaces`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import special

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
    terms: tuple[str, ...]  # each column as Python, of `(n)` and the shapes
    equation: str
    least_budgets: int = 0  # distinct budgets asked for beyond the rule k + 2

    @property
    def parameters(self) -> int:
        """Number of parameters, shapes included."""
        return len(self.coefficients) + len(self.shapes)

    @property
    def budgets_to_test(self) -> int:
        """Distinct budgets needed before the law can be found wrong: k + 2."""
        return max(self.parameters + 2, self.least_budgets)

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


def shifted_power_basis(n: Vector, log10_offset: float, alpha: float) -> Basis:
    """Returns the columns of `score = S − A (n + 10^log10_offset)^−α`.

    S is the score of endless data, where the law saturates at all.
    """
    return np.column_stack([np.ones(n.size), -((n + 10.0**log10_offset) ** -alpha)])


def sigmoid_basis(n: Vector, midpoint: float, width: float) -> Basis:
    """Returns the columns of `score = floor + rise / (1 + e^−(log10 n − m) / w)`."""
    return np.column_stack(
        [np.ones(n.size), special.expit((np.log10(n) - midpoint) / width)]
    )


def broken_basis(n: Vector, c0: float, c1: float, at: float, width: float) -> Basis:
    """Returns the columns of the neural scaling law with one smooth break.

        score = a + b n^−c0 (1 + (n / 10^at)^(1/w))^(−c1 w)

    Source: Caballero, Gupta, Rish & Krueger 2023, "Broken neural scaling laws",
    equation 1 with one break.
    """
    log_n = np.log(n)
    softplus = np.logaddexp(0.0, (log_n - at * np.log(10)) / width)
    return np.column_stack(
        [np.ones(n.size), np.exp(-c0 * log_n - c1 * width * softplus)]
    )


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

# An offset under 1e-4 of the middle budget is none; α near 0 is the log-linear law.
SHIFTED_POWER = Law(
    "shifted power",
    ("S", "A"),
    ("log10_offset", "alpha"),
    ((-4.0, 1.0), (0.02, 4.0)),
    shifted_power_basis,
    ("1", "-((n) + 10**{log10_offset})**-{alpha}"),
    "score = S - A (n + 10^log10_offset)^-alpha",
)

SIGMOID = Law(
    "sigmoid",
    ("floor", "rise"),
    ("midpoint", "width"),
    ((-3.0, 3.0), (0.05, 2.0)),
    sigmoid_basis,
    ("1", "1 / (1 + exp(-(log10(n) - {midpoint}) / {width}))"),
    "score = floor + rise / (1 + exp(-(log10(n) - midpoint) / width))",
)

BROKEN = Law(
    "broken power",
    ("a", "b"),
    ("c0", "c1", "log10_break", "width"),
    ((-2.0, 2.0), (-3.0, 3.0), (-1.5, 1.5), (0.05, 1.0)),
    broken_basis,
    (
        "1",
        "(n)**-{c0} * (1 + ((n) / 10**{log10_break})**(1 / {width}))"
        "**(-{c1} * {width})",
    ),
    "score = a + b n^-c0 (1 + (n / 10^log10_break)^(1/width))^(-c1 width)",
    least_budgets=10,
)

LAWS: tuple[Law, ...] = (
    *(CONSTANT, LOG_LINEAR, QUADRATIC, BOX_COX),
    *(SHIFTED_POWER, SIGMOID, BROKEN),
)


def geometric_mean_of_budgets(frames: Vector) -> float:
    """Returns exp(mean(log budgets)) over the distinct budgets, in frames."""
    return float(np.exp(np.mean(np.log(np.unique(frames)))))


def formula(law: Law, coefficients: Vector, shapes: Vector, **names: Any) -> str:
    """Returns the fitted law as a Python expression.

    Evaluated with the functions of `math`, it gives the prediction to rounding.
    A shape of 0 prints as 1e-12, where Box–Cox equals the logarithm to rounding.

    Args:
      law: the law.
      coefficients: one a column.
      shapes: one a shape.
      names: for each variable of the law, `n="frames / 1000.0"`.
    """
    printed = [f"({float(s)!r})" if abs(s) > 1e-12 else "1e-12" for s in shapes]
    named = dict(zip(law.shapes, printed, strict=True))
    terms = [term.format(**named) if named else term for term in law.terms]
    pieces = [
        f"{float(c)!r}" if term == "1" else f"{float(c)!r} * {term}"
        for c, term in zip(coefficients, terms, strict=True)
    ]
    text = " + ".join(pieces)
    for name, value in names.items():
        text = text.replace(f"({name})", f"({value})")
    return text
