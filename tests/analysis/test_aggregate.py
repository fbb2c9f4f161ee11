"""Measures over environments equal their definitions."""

from typing import Any

import numpy as np
import pytest
import statsmodels.stats.meta_analysis as meta

from analysis import aggregate

RNG = np.random.default_rng(5)
SCORES = {f"e{k}": RNG.normal(1 + k / 3, 0.4, size=5) for k in range(6)}
STRATA = [SCORES[env] for env in sorted(SCORES)]


def test_the_interquartile_mean_drops_a_quarter_at_each_end():
    runs = sorted(np.concatenate(STRATA))
    cut = len(runs) // 4
    expected = sum(runs[cut : len(runs) - cut]) / (len(runs) - 2 * cut)
    assert aggregate.interquartile_mean(STRATA) == pytest.approx(expected)


def test_gap_profile_and_median_equal_plain_loops():
    runs = [score for scores in STRATA for score in scores]
    gap = sum(1 - min(score, 1) for score in runs) / len(runs)
    assert aggregate.optimality_gap(STRATA) == pytest.approx(gap)
    levels = np.array([0.5, 1.0, 2.0])
    expected = [
        sum(sum(s > level for s in scores) / len(scores) for scores in STRATA) / 6
        for level in levels
    ]
    found = aggregate.performance_profile(STRATA, levels)
    assert found == pytest.approx(expected)
    middle = sorted(scores.mean() for scores in STRATA)
    assert aggregate.median_of_means(STRATA) == pytest.approx(sum(middle[2:4]) / 2)


def test_probability_of_improvement_counts_pairs():
    others = [np.round(scores, 1) for scores in STRATA]
    ours = [np.round(scores + 0.1, 1) for scores in STRATA]
    expected = np.mean(
        [
            np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a in x for b in y])
            for x, y in zip(ours, others, strict=True)
        ]
    )
    assert aggregate.probability_of_improvement(ours, others) == pytest.approx(expected)
    assert aggregate.probability_of_improvement(others, others) == pytest.approx(0.5)


def test_the_bootstrap_stays_inside_its_strata_and_has_a_seed():
    drawn = aggregate.resampled(STRATA, 7, np.random.default_rng(0))
    for scores, draws in zip(STRATA, drawn, strict=True):
        assert set(draws.ravel()) <= set(scores)
        assert draws.shape == (7, scores.size)
    statistic = aggregate.interquartile_mean
    first = aggregate.bootstrapped(SCORES, statistic, 1)
    assert first == aggregate.bootstrapped(dict(reversed(SCORES.items())), statistic, 1)
    assert first != aggregate.bootstrapped(SCORES, statistic, 2)
    assert first.interval.low < first.value < first.interval.high


def test_statistics_of_many_draws_are_those_of_each():
    drawn = aggregate.resampled(STRATA, 3, np.random.default_rng(0))
    others = aggregate.resampled(STRATA, 3, np.random.default_rng(1))
    levels = np.array([0.5, 1.5])
    for k in range(3):
        one, other = [d[k] for d in drawn], [d[k] for d in others]
        for statistic in (
            aggregate.interquartile_mean,
            aggregate.optimality_gap,
            aggregate.median_of_means,
        ):
            assert statistic(drawn)[k] == pytest.approx(float(statistic(one)))
        whole = aggregate.probability_of_improvement(drawn, others)[k]
        assert whole == pytest.approx(aggregate.probability_of_improvement(one, other))
        shares = aggregate.performance_profile(drawn, levels)[k]
        assert shares == pytest.approx(aggregate.performance_profile(one, levels))


def test_many_runs_need_fewer_draws():
    few = {"a": np.zeros(100)}
    assert aggregate.draws_for(few) == aggregate.DRAWS
    assert aggregate.draws_for({"a": np.zeros(1000)}) == 1000
    assert aggregate.draws_for({"a": np.zeros(10**5)}) == aggregate.FEWEST_DRAWS


def test_the_profile_and_its_band_fall():
    levels = np.linspace(0, 3, 7)
    share, low, high = aggregate.profile_band(SCORES, levels, 0)
    assert np.all(np.diff(share) <= 0)
    assert np.all((low <= share) & (share <= high))


def test_improvement_is_over_the_environments_of_both():
    better = {env: scores + 5 for env, scores in SCORES.items() if env != "e0"}
    found = aggregate.improvement(better, SCORES, 0)
    assert (found.value, *found.interval) == (1, 1, 1)


def test_pooled_slopes_are_those_of_statsmodels():
    variances = RNG.uniform(0.01, 0.1, size=9)
    slopes = RNG.normal(1, 0.5, size=9)
    found = aggregate.pooled_slope(slopes, variances)
    reference: Any = meta.combine_effects(slopes, variances, method_re="iterated")
    assert found is not None
    assert found.slope == pytest.approx(float(reference.mean_effect_re))
    assert found.between**2 == pytest.approx(float(reference.tau2), rel=1e-4)
    knapp = np.sqrt(reference.scale_hksj_re) * reference.sd_eff_w_re
    half = 2.3060041352 * float(knapp)  # t, 8 degrees
    assert np.array(found.interval) == pytest.approx(
        np.array([found.slope - half, found.slope + half]), rel=1e-4
    )


def test_few_environments_are_not_pooled_and_no_spread_is_zero():
    assert aggregate.pooled_slope(np.ones(7), np.ones(7)) is None
    assert aggregate.pooled_slope(np.ones(8), np.zeros(8)) is None
    level = aggregate.pooled_slope(np.ones(8) + np.arange(8) * 1e-3, np.ones(8))
    assert level is not None
    assert level.between == 0
