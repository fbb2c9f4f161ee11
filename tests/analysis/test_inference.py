"""Tests and intervals equal their references, and cover."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from analysis import fit, inference, laws, table
from analysis import verdict as verdicts


def noisy(budgets, seeds, shape, growth=1.0, seed=0):
    """Two decades, slope 3 sd a decade, unit noise that grows `growth` times."""
    frames = np.repeat(np.geomspace(1e5, 1e7, budgets), seeds)
    x = np.log10(frames) - 6
    deviation = growth ** ((x + 1) / 2)
    noise = deviation / np.sqrt(np.mean(deviation**2))
    z = shape(10**x)
    score = 3 * z / np.std(z) * np.std(x)
    draw = np.random.default_rng(seed).normal(size=frames.size)
    return frames, score + noise * draw


def curve(frames, score, checkpoints=0):
    return table.Curve("0.95", 0.95, None, frames, score, np.zeros(0), checkpoints)


def test_the_slope_interval_is_that_of_statsmodels():
    frames, score = noisy(5, 3, np.log10, 4.0)
    judged = verdicts.judge(curve(frames, score))
    data = pd.DataFrame({"score": score, "x": np.log10(frames)})
    reference = smf.ols("score ~ x", data).fit(cov_type="HC3", use_t=True)
    assert judged.slope == pytest.approx(tuple(reference.conf_int().loc["x"]))
    assert judged.line is not None
    p = inference.coefficient_p(judged.line.linear, 1)
    assert p == pytest.approx(reference.pvalues["x"])


def test_lack_of_fit_equals_the_comparison_with_free_means():
    frames, score = noisy(5, 3, np.log10)
    data = pd.DataFrame({"score": score, "x": np.log10(frames)})
    line = smf.ols("score ~ x", data).fit()
    means = smf.ols("score ~ C(x)", data).fit()
    statistic, p, _ = means.compare_f_test(line)
    found = inference.lack_of_fit(fit.fit_law(laws.LOG_LINEAR, frames, score))
    assert found is not None
    assert (found.statistic, found.p) == pytest.approx((statistic, p))
    assert found.degrees == (3, 10)


def test_equal_slopes_is_the_wald_test_of_the_pooled_model():
    curves = [noisy(5, 3, np.log10, 4.0, seed) for seed in range(3)]
    lines = [fit.fit_law(laws.LOG_LINEAR, *runs) for runs in curves]
    data = pd.DataFrame(
        {
            "score": np.concatenate([score for _, score in curves]),
            "x": np.log10(np.concatenate([frames for frames, _ in curves])) - 6,
            "g": np.repeat(["a", "b", "c"], 15),
        }
    )
    pooled = smf.ols("score ~ C(g) * x", data).fit(cov_type="HC3", use_t=True)
    reference = pooled.f_test("C(g)[T.b]:x = 0, C(g)[T.c]:x = 0")
    found = inference.equal_slopes(lines)
    assert found is not None
    assert found.statistic == pytest.approx(float(reference.fvalue))
    assert found.p == pytest.approx(float(reference.pvalue))
    assert inference.equal_slopes(lines[:1]) is None


def test_the_profile_interval_ends_where_the_sum_of_squares_says():
    fitted = fit.fit_law(laws.BOX_COX, *noisy(6, 6, np.log10))
    found = inference.shape_interval(fitted)
    assert found is not None
    n = fitted.frames / fitted.reference
    low, high = (
        fit.projected_rss(laws.BOX_COX, n, fitted.score, np.array([end]))
        for end in found
    )
    assert low == pytest.approx(high, rel=1e-6)
    plain = stats.f.ppf(0.95, 1, 33) * fitted.rss / 33
    assert (low - fitted.rss) / plain == pytest.approx(1, abs=0.5)  # the HC3 factor


def test_held_out_budget_is_predicted_from_the_others():
    frames, score = noisy(5, 3, np.log10)
    found = inference.held_out_largest(laws.LOG_LINEAR, frames, score)
    rest = frames < frames.max()
    slope, intercept = np.polyfit(np.log10(frames[rest]), score[rest], 1)
    assert found is not None
    assert found.predicted == pytest.approx(intercept + slope * 7)
    assert found.observed == pytest.approx(score[~rest].mean())
    assert found.standard_errors is not None
    assert inference.held_out_largest(laws.BOX_COX, frames, score) is None


def test_residual_pattern_shows_a_bend():
    frames, score = noisy(5, 6, lambda n: laws.box_cox(n, -2.0))
    line = fit.fit_law(laws.LOG_LINEAR, frames, score)
    pattern = inference.residual_pattern(line)
    assert pattern is not None
    assert pattern[0] < 0 < pattern[2]
    assert pattern[-1] < 0


@pytest.mark.slow
@pytest.mark.parametrize(("budgets", "seeds"), [(5, 3), (6, 6)])
@pytest.mark.parametrize("growth", [1.0, 4.0])
def test_intervals_cover_and_tests_keep_their_size(budgets, seeds, growth):
    draws, hits = 1000, np.zeros(4)
    for seed in range(draws):
        frames, score = noisy(budgets, seeds, np.log10, growth, seed)
        judged = verdicts.judge(curve(frames, score))
        other = fit.fit_law(
            laws.LOG_LINEAR, *noisy(budgets, seeds, np.log10, growth, seed + draws)
        )
        assert judged.slope is not None
        assert judged.exponent is not None
        assert judged.line is not None
        equal = inference.equal_slopes([judged.line, other])
        lack = inference.lack_of_fit(judged.line)
        assert equal is not None
        assert lack is not None
        hits += [
            judged.slope.contains(3),
            judged.exponent.contains(0),
            equal.p < 0.05,
            lack.p < 0.05,
        ]
    slope, exponent, equal_size, lack_size = hits / draws
    print(
        f"\n{budgets} × {seeds}, noise × {growth:g}: coverage of slope {slope:.3f}, "
        f"of λ {exponent:.3f}; size of equal slopes {equal_size:.3f}, "
        f"of lack of fit {lack_size:.3f}"
    )
    assert slope >= 0.92
    assert exponent >= 0.92
    assert 0.03 <= equal_size <= 0.08
    assert lack_size <= 0.09
