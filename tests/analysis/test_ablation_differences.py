"""Differences of means against scipy, loops, hand-computed values and chance."""

import math
from typing import Any

import ablation_study
import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from scipy import stats

from analysis import ablation_across, ablation_differences, inference

WIDE, NARROW = np.array([1.0, 4.0, 10.0]), np.array([0.5, 0.6, 0.4, 0.7])
SCORES = st.lists(
    st.floats(-100, 100).map(lambda value: round(value, 3)), min_size=2, max_size=6
).filter(lambda values: max(values) - min(values) > 0.01)


@hypothesis.given(SCORES, SCORES)
def test_welch_is_scipys(first, second):
    x, y = np.array(first), np.array(second)
    found = ablation_differences.welch(x, y)
    expected: Any = stats.ttest_ind(x, y, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx(expected.confidence_interval(0.95))
    assert found.degrees == pytest.approx(expected.df)
    assert found.seeds == (len(first), len(second))


@hypothesis.given(
    st.lists(
        st.tuples(st.integers(-99, 99), st.integers(-99, 99)), min_size=2, max_size=6
    )
)
def test_paired_is_scipys(pairs):
    x, y = np.array(pairs, float).T
    hypothesis.assume(np.ptp(x - y) > 0)
    found = ablation_differences.paired(x, y)
    expected: Any = stats.ttest_rel(x, y)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx(expected.confidence_interval(0.95))
    assert found.seeds == (len(pairs),)


def test_welch_by_hand():
    # Means 2 and 5, variances 1 and 4, three seeds each: V = 5/3, t of
    # ν = (5/3)² / ((1/3)² / 2 + (4/3)² / 2) = 50/17 degrees of freedom.
    x, y = np.array([1.0, 2.0, 3.0]), np.array([3.0, 5.0, 7.0])
    found = ablation_differences.welch(x, y)
    assert found.degrees == pytest.approx(50 / 17)
    half = stats.t.ppf(0.975, 50 / 17) * math.sqrt(5 / 3)
    assert found.interval == pytest.approx((-3 - half, -3 + half))


def test_paired_by_hand():
    # Differences 1, 2, 3: mean 2, standard error 1/√3, t of 2 degrees 4.302653.
    x, y = np.array([11.0, 22.0, 33.0]), np.array([10.0, 20.0, 30.0])
    found = ablation_differences.paired(x, y)
    half = 4.302652729911275 / math.sqrt(3)
    assert found.interval == pytest.approx((2 - half, 2 + half))


@pytest.mark.parametrize(
    "test", [ablation_differences.welch, ablation_differences.paired]
)
def test_one_seed_leaves_no_interval(test):
    found = test(np.array([3.0]), np.array([1.0]))
    assert (found.value, found.interval, found.p) == (2.0, None, None)
    assert found.reason == "one seed"


def test_one_seed_on_one_side_leaves_no_interval_either():
    found = ablation_differences.welch(WIDE, np.array([1.0]))
    assert found.interval is None
    assert found.reason == "one seed"


def test_seeds_that_all_agree_leave_no_interval():
    bound = np.array([500.0, 500.0, 500.0])
    found = ablation_differences.welch(bound, bound - 100)
    assert (found.value, found.interval, found.reason) == (100.0, None, "no spread")
    # Constant but for the rounding of 0.1 + 0.2.
    x = np.array([0.3, 0.1 + 0.2, 0.3])
    assert ablation_differences.paired(x, np.zeros(3)).reason == "no spread"


def test_one_side_at_a_bound_has_the_interval_of_the_other():
    bound = np.array([500.0, 500.0, 500.0])
    found = ablation_differences.welch(bound, WIDE)
    half = inference.mean_half_width(WIDE)
    assert found.degrees == 2
    assert found.interval == pytest.approx((495 - half, 495 + half))


def mean_over_by_loops(pairs):
    """The mean difference over environments, term by term."""
    value, variance, lower = 0.0, 0.0, 0.0
    for x, y in pairs:
        value += (sum(x) / len(x) - sum(y) / len(y)) / len(pairs)
        for sample in (x, y):
            centre = sum(sample) / len(sample)
            squares = sum((each - centre) ** 2 for each in sample)
            own = squares / (len(sample) - 1) / len(sample) / len(pairs) ** 2
            variance += own
            lower += own**2 / (len(sample) - 1)
    degrees = variance**2 / lower
    half = stats.t.ppf(0.975, degrees) * math.sqrt(variance)
    return value, degrees, (value - half, value + half)


def test_the_mean_over_environments_against_loops():
    pairs = [(WIDE, NARROW), (NARROW * 3, WIDE[:2]), (WIDE - 7, WIDE * 0.1)]
    found = ablation_differences.mean_over(
        [float(x.mean() - y.mean()) for x, y in pairs],
        [ablation_differences.independent_parts(x, y) for x, y in pairs],
    )
    value, degrees, interval = mean_over_by_loops(pairs)
    assert found.value == pytest.approx(value)
    assert found.degrees == pytest.approx(degrees)
    assert found.interval == pytest.approx(interval)
    assert found.seeds == (3, 4, 4, 2, 3, 3)


def test_over_one_environment_the_mean_is_welch():
    parts = ablation_differences.independent_parts(WIDE, NARROW)
    value = float(WIDE.mean() - NARROW.mean())
    found = ablation_differences.mean_over([value], [parts])
    assert found == ablation_differences.welch(WIDE, NARROW)


def test_holm_by_hand():
    adjusted = ablation_differences.holm([0.01, 0.04, None, 0.03, 0.005])
    # 0.005 · 4, 0.01 · 3, 0.03 · 2, and 0.04 may not fall below the one before.
    assert adjusted == [
        pytest.approx(p) if p else None for p in (0.03, 0.06, None, 0.06, 0.02)
    ]


@hypothesis.given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_against_loops(p_values):
    """Each p is as large as any smaller one times the number that are no smaller."""
    for p, adjusted in zip(p_values, ablation_differences.holm(p_values), strict=True):
        worst = 0.0
        for smaller in p_values:
            if smaller <= p:
                no_smaller = sum(other >= smaller for other in p_values)
                worst = max(worst, no_smaller * smaller)
        assert adjusted == pytest.approx(min(worst, 1.0))


def test_no_tests_have_no_adjusted_values():
    assert ablation_differences.holm([]) == []
    assert ablation_differences.holm([None]) == [None]


@pytest.mark.slow
def test_coverage_of_three_seeds(capsys):
    """Three seeds a column, spreads 1 and 3: the share of intervals that have 0."""
    generator, draws = ablation_study.generator(3), 4000
    hits = {"Welch": 0, "paired": 0, "mean of 3": 0}
    for _ in range(draws):
        samples = generator.normal(0, 1, (3, 2, 3)) * [[[1.0], [3.0]]]
        welch = [ablation_differences.welch(x, y) for x, y in samples]
        paired = ablation_differences.paired(*samples[0])
        mean = ablation_differences.mean_over(
            [each.value for each in welch],
            [ablation_differences.independent_parts(x, y) for x, y in samples],
        )
        for name, found in zip(hits, (welch[0], paired, mean), strict=True):
            hits[name] += bool(found.interval and found.interval.contains(0.0))
    shares = {name: count / draws for name, count in hits.items()}
    with capsys.disabled():
        print(f"\ncoverage of nominal 95 % with three seeds: {shares}")
    assert shares["paired"] == pytest.approx(0.95, abs=0.012)
    for name in ("Welch", "mean of 3"):
        assert 0.93 < shares[name] < 0.975


@pytest.mark.slow
def test_a_bootstrap_of_three_seeds_is_too_short(capsys):
    """Why the t interval decides: three seeds in each of three environments."""
    generator, draws, hits = ablation_study.generator(4), 400, 0
    for _ in range(draws):
        strata = [
            ablation_across.Stratum(
                ablation_study.TASK, *generator.normal(0, 1, (2, 3))
            )
            for _ in range(3)
        ]
        hits += ablation_across.bootstrapped("unroll", strata, 0).contains(0.0)
    with capsys.disabled():
        print(f"\ncoverage of its nominal 95 % percentile bootstrap: {hits / draws}")
    assert hits / draws < 0.93
