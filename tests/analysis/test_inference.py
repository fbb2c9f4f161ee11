"""Tests and intervals equal their references, and cover."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from simulated import curve, noisy

from analysis import fit, inference, laws
from analysis import verdict as verdicts


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


def test_seeds_that_agree_exactly_are_no_replicates():
    frames, score = noisy(5, 3, np.log10)
    assert inference.replicates(frames, score) == 10
    for copied in (np.log10(frames), 1.0 * (frames > 1e6)):
        assert inference.replicates(frames, copied) == 0
        line = fit.fit_law(laws.LOG_LINEAR, frames, copied)
        assert inference.lack_of_fit(line) is None
    assert inference.replicates(np.zeros(0), np.zeros(0)) == 0


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


def test_noise_is_level_or_grows_with_the_budget():
    frames = np.repeat(np.geomspace(1e5, 1e7, 6), 400)
    draw = np.random.default_rng(3).normal(size=frames.size)
    grown = inference.noise_deviation(frames, draw * (frames / 1e6) ** 0.3, frames[:1])
    assert grown == pytest.approx([0.1**0.3], rel=0.05)
    few = np.array([1e5, 1e5, 1e7, 1e7])  # two cells cannot show a trend
    level = inference.noise_deviation(few, np.array([0.0, 2.0, 0.0, 4.0]), few)
    assert level == pytest.approx([np.sqrt(5)] * 4)
    assert inference.noise_deviation(few[1:3], np.zeros(2), few) is None


def test_a_new_seed_lies_in_its_interval_as_often_as_claimed():
    inside, draws = 0, 300
    for seed in range(draws):
        frames, score = noisy(5, 4, np.log10, 4.0, seed)
        line = fit.fit_law(laws.LOG_LINEAR, frames, score)
        _, other = noisy(5, 4, np.log10, 4.0, seed + draws)
        found = inference.new_seed_interval(line, frames[-1])
        assert found is not None
        inside += found.contains(other[-1])
    assert 0.92 <= inside / draws <= 0.99


def test_one_seed_a_budget_gives_no_interval_for_another():
    line = fit.fit_law(laws.LOG_LINEAR, *noisy(5, 1, np.log10))
    assert inference.new_seed_interval(line, 1e6) is None


def test_residual_pattern_shows_a_bend():
    frames, score = noisy(5, 6, lambda n: laws.box_cox(n, -2.0))
    line = fit.fit_law(laws.LOG_LINEAR, frames, score)
    pattern = inference.residual_pattern(line)
    assert pattern is not None
    assert pattern[0] < 0 < pattern[2]
    assert pattern[-1] < 0
