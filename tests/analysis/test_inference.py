"""Tests and intervals equal their references; verdicts follow the rule."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from analysis import fit, inference, laws, table
from analysis.inference import Evidence, FTest, Interval


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


SHAPES = {
    "consistent": np.log10,
    "saturating": lambda n: laws.box_cox(n, -1.5),
    "accelerating": lambda n: laws.box_cox(n, 1.5),
}


@pytest.mark.parametrize("word", ["consistent", "saturating", "accelerating"])
@pytest.mark.parametrize("growth", [1.0, 4.0])
def test_most_synthetic_tables_get_the_right_verdict(word, growth):
    words = [
        inference.judge(curve(*noisy(6, 6, SHAPES[word], growth, seed))).verdict.word
        for seed in range(12)
    ]
    assert words.count(word) >= 10, words


def test_a_step_is_a_break():
    frames, score = noisy(6, 6, np.log10)
    budgets = np.unique(frames)
    wave = 4.0 * np.isin(frames, budgets[[1, 4]])  # λ has no room for it
    assert inference.judge(curve(frames, score + wave)).verdict.word == "break"


def test_flat_scores_are_underpowered():
    frames = np.repeat(np.geomspace(1e5, 1e7, 6), 6)
    noise = np.random.default_rng(1).normal(size=36)
    for score in (noise, np.full(36, 7.0), np.zeros(36)):
        found = inference.judge(curve(frames, score)).verdict
        assert found == ("underpowered", "the slope interval contains 0")


@pytest.mark.parametrize(
    ("budgets", "seeds", "reason"),
    [
        (1, 1, "no interval for the slope"),
        (1, 5, "no interval for the slope"),
        (2, 1, "no interval for the slope"),
        (3, 3, "too few budgets to test the law"),
        (4, 2, "too few budgets to test the law"),
        (7, 1, "no replicates"),
    ],
)
def test_too_small_studies_are_underpowered_for_a_reason(budgets, seeds, reason):
    frames = np.repeat(np.geomspace(1e5, 1e7, budgets), seeds)
    wiggle = np.resize([0.01, -0.02, 0.005, 0.0], frames.size)
    found = inference.judge(curve(frames, np.log10(frames) + wiggle)).verdict
    assert found == ("underpowered", reason)


def test_no_runs_at_all_are_no_error():
    assert inference.judge(curve(np.zeros(0), np.zeros(0))).line is None


GOOD = Evidence(6, 30, Interval(1, 2), Interval(-0.2, 0.2), FTest(1, (4, 30), 0.5), 0)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({}, "consistent"),
        ({"slope": Interval(-1, 2), "exponent": Interval(1, 2)}, "underpowered"),
        ({"slope": Interval(-2, -1)}, "consistent"),
        ({"exponent": Interval(-np.inf, -0.1)}, "saturating"),
        ({"exponent": Interval(0.1, np.inf)}, "accelerating"),
        ({"line_lack_of_fit": FTest(9, (4, 30), 0.009)}, "break"),
        ({"exponent": Interval(-0.5, 0.5)}, "underpowered"),
        ({"replicates": 0}, "underpowered"),
        ({"budgets": 4}, "underpowered"),
        ({"exponent": None}, "underpowered"),
        ({"checkpoints": 1}, "underpowered"),
        ({"checkpoints": 1, "exponent": Interval(1, 2)}, "accelerating"),
    ],
)
def test_the_rule_is_applied_in_its_order(change, word):
    assert inference.verdict(GOOD._replace(**change)).word == word


def test_verdict_and_shape_do_not_depend_on_units_or_order():
    frames, score = noisy(6, 4, np.log10, 4.0, 5)
    shuffle = np.random.default_rng(2).permutation(frames.size)
    plain = inference.judge(curve(frames, score))
    for other in (
        inference.judge(curve(frames[shuffle], score[shuffle])),
        inference.judge(curve(frames / 4, score * 1e5 - 3e6)),
        inference.judge(curve(frames, score * 1e-7)),
    ):
        assert other.verdict == plain.verdict
        assert plain.exponent is not None
        assert other.exponent == pytest.approx(plain.exponent, abs=1e-5)


def test_the_slope_interval_is_that_of_statsmodels():
    frames, score = noisy(5, 3, np.log10, 4.0)
    judged = inference.judge(curve(frames, score))
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
        judged = inference.judge(curve(frames, score))
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
