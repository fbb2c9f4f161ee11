"""Published answers: NIST's reference data sets and the Chinchilla points.

NIST StRD, Statistical Reference Datasets, Nonlinear and Linear Regression
(Misra1a: Misra 1978; MGH09: Kowalik & Osborne 1978; Thurber: Thurber 1979;
Longley: Longley 1967), with certified values to 11 digits.
"""

import csv
import pathlib
from typing import Any

import numpy as np
import pytest
import statsmodels.datasets
from scipy import optimize, special

from analysis import fit, laws, robust, search, surfaces

CHINCHILLA = (
    pathlib.Path(__file__).parents[3]
    / "shared/reference/chinchilla_svg_extracted_data.csv"
)
MISRA1A = """77.6 10.07 114.9 14.73 141.1 17.94 190.8 23.93 239.9 29.61 289.0 35.18
332.8 40.02 378.4 44.82 434.8 50.76 477.3 55.05 536.8 61.01 593.1 66.40 689.1 75.47
760.0 81.78"""
MGH09 = """4.0 .1957 2.0 .1947 1.0 .1735 .5 .16 .25 .0844 .167 .0627 .125 .0456 .1
.0342 .0833 .0323 .0714 .0235 .0625 .0246"""
THURBER = """-3.067 80.574 -2.981 84.248 -2.921 87.264 -2.912 87.195 -2.84 89.076
-2.797 89.608 -2.702 89.868 -2.699 90.101 -2.633 92.405 -2.481 95.854 -2.363 100.696
-2.322 101.06 -1.501 401.672 -1.46 390.724 -1.274 567.534 -1.212 635.316 -1.1 733.054
-1.046 759.087 -.915 894.206 -.714 990.785 -.566 1090.109 -.545 1080.914 -.4 1122.643
-.309 1178.351 -.109 1260.531 -.103 1273.514 .01 1288.339 .119 1327.543 .377 1353.863
.79 1414.509 .963 1425.208 1.006 1421.384 1.115 1442.962 1.572 1464.35 1.841 1468.705
2.047 1447.894 2.2 1457.628"""


def rational(x, b5, b6, b7):
    powers = np.stack([np.ones(x.size), x, x**2, x**3], axis=1)
    return powers / (1 + b5 * x + b6 * x**2 + b7 * x**3)[:, None]


def law(name, coefficients, bounds, basis):
    shapes = tuple(f"s{k}" for k in range(len(bounds)))
    names = tuple(f"c{k}" for k in range(coefficients))
    return laws.Law(name, names, shapes, bounds, basis, ("x",) * coefficients, "")


PROBLEMS = [
    (
        law("Misra1a", 1, ((1e-5, 5e-3),), lambda x, b: 1 - np.exp(-b * x)[:, None]),
        *(MISRA1A, [2.3894212918e02, 5.5015643181e-04], 1.2455138894e-01),
    ),
    (
        law(
            *("MGH09", 1, ((0.0, 1.0), (0.0, 1.0), (0.0, 1.0))),
            lambda x, b2, b3, b4: ((x**2 + b2 * x) / (x**2 + b3 * x + b4))[:, None],
        ),
        *(
            MGH09,
            [1.9280693458e-01, 1.9128232873e-01, 1.2305650693e-01, 1.3606233068e-01],
        ),
        3.0750560385e-04,
    ),
    (
        law("Thurber", 4, ((0.0, 2.0), (0.0, 1.0), (0.0, 0.2)), rational),
        THURBER,
        [
            *(1.2881396800e03, 1.4910792535e03, 5.8323836877e02, 7.5416644291e01),
            *(9.6629502864e-01, 3.9797285797e-01, 4.9727297349e-02),
        ],
        5.6427082397e03,
    ),
]


@pytest.mark.parametrize(
    ("law", "data", "certified", "squares"),
    PROBLEMS,
    ids=lambda v: getattr(v, "name", ""),
)
def test_nist_problems_are_solved_to_six_digits(law, data, certified, squares):
    x, y = np.array(data.split(), float).reshape(-1, 2).T
    found = search.best_shapes(law, search.Rows(x, y, np.ones(x.size)))
    linear = fit.ordinary_least_squares(law.basis(x, *found.values), y)
    assert found.status == "converged"
    actual = np.concatenate([linear.coefficients, found.values])
    np.testing.assert_allclose(actual, certified, rtol=1e-6)
    assert float(linear.residuals @ linear.residuals) == pytest.approx(
        squares, rel=1e-9
    )
    tangent = fit.tangent_fit(law, x, found.values, linear)
    assert fit.relative_offset(linear, tangent, y) < 1e-5


def test_longley_is_solved_to_six_digits():
    data: Any = statsmodels.datasets.longley.load_pandas()
    columns = np.column_stack([np.ones(16), data.exog.to_numpy(float)])
    linear = fit.ordinary_least_squares(columns, data.endog.to_numpy(float))
    certified = [
        *(-3482258.63459582, 15.0618722713733, -0.0358191792925910),
        *(-2.02022980381683, -1.03322686717359, -0.0511041056535807),
        1829.15146461355,
    ]
    np.testing.assert_allclose(linear.coefficients, certified, rtol=1e-6)


def chinchilla():
    """Model sizes, tokens and losses without the five highest, n = 240."""
    if not CHINCHILLA.exists():
        pytest.skip(f"the published points are not at {CHINCHILLA.name}")
    with CHINCHILLA.open() as file:
        rows = list(csv.DictReader(file))
    size, flop, loss = (
        np.array([float(row[name]) for row in rows])
        for name in ("Model Size", "Training FLOP", "loss")
    )
    kept = np.sort(np.argsort(loss)[:-5])
    pairs = np.column_stack([size, flop / (6 * size)])[kept]
    return pairs, loss[kept]


def published(found, references):
    """A, B, E, α, β of loss = E + A / N^α + B / D^β."""
    level, a, b = found.coefficients
    alpha, beta = found.shapes
    return [
        *(-a * references[0] ** alpha, -b * references[1] ** beta),
        *(level, alpha, beta),
    ]


def test_chinchilla_is_recovered():
    pairs, loss = chinchilla()
    references = np.exp(np.mean(np.log(pairs), axis=0))
    found = robust.fit_robust(robust.Problem(surfaces.POWER, pairs / references, loss))
    assert loss.size == 240
    a, b, e, alpha, beta = published(found, references)
    assert [a, e, alpha, beta] == pytest.approx(
        [477.84, 1.81724, 0.347313, 0.367183], rel=1e-3
    )
    assert b == pytest.approx(2143.86, rel=5e-3)
    assert found.objective == pytest.approx(0.00101827, rel=1e-5)
    assert found.status == "converged"


def test_the_premature_stop_is_detected():
    """A mean-reduced loss with default tolerances: A=402, B=403, α=.338, β=.284."""
    pairs, loss = chinchilla()
    logs = np.log(pairs)

    def mean_loss(p):
        terms = [p[0] - p[3] * logs[:, 0], p[1] - p[4] * logs[:, 1]]
        log_sum = special.logsumexp([*terms, np.full(loss.size, p[2])], axis=0)
        return robust.huber(log_sum - np.log(loss), robust.DELTA) / loss.size

    start = (6.0, 6.0, 0.5, 0.3, 0.3)
    stopped = optimize.minimize(mean_loss, start, method="L-BFGS-B")
    assert stopped.success  # so it says
    references = np.exp(np.mean(logs, axis=0))
    a, b, e, alpha, beta = stopped.x
    a, b = np.exp([a, b]) * references ** [-alpha, -beta]
    problem = robust.Problem(surfaces.POWER, pairs / references, loss)
    found = robust.described(problem, np.array([np.exp(e), -a, -b, alpha, beta]))
    assert found.objective == pytest.approx(1.146 * 0.00101827, rel=1e-2)
    assert found.status == "stopped early"
    assert found.gain > 0.01
