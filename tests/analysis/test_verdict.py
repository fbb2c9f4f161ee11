"""Verdicts follow the rule, and most synthetic studies get the right one."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from simulated import SHAPES, curve, noisy

from analysis import laws
from analysis import verdict as verdicts
from analysis.inference import FTest, Interval


@pytest.mark.parametrize("word", ["consistent", "saturating", "accelerating"])
@pytest.mark.parametrize("growth", [1.0, 4.0])
def test_most_synthetic_tables_get_the_right_verdict(word, growth):
    words = [
        verdicts.judge(curve(*noisy(6, 6, SHAPES[word], growth, seed))).verdict.word
        for seed in range(6)
    ]
    assert words.count(word) >= 5, words


def test_a_step_is_a_break():
    frames, score = noisy(6, 6, np.log10)
    budgets = np.unique(frames)
    wave = 4.0 * np.isin(frames, budgets[[1, 4]])  # λ has no room for it
    assert verdicts.judge(curve(frames, score + wave)).verdict.word == "break"


def test_flat_scores_are_underpowered():
    frames = np.repeat(np.geomspace(1e5, 1e7, 6), 6)
    noise = np.random.default_rng(1).normal(size=36)
    for score in (noise, np.full(36, 7.0), np.zeros(36)):
        found = verdicts.judge(curve(frames, score)).verdict
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
    found = verdicts.judge(curve(frames, np.log10(frames) + wiggle)).verdict
    assert found == ("underpowered", reason)


def test_copies_of_a_seed_are_never_consistent():
    frames = np.repeat(np.geomspace(1e5, 1e7, 6), 6)
    for score in (np.log10(frames) + 1e-9 * frames, 1.0 * (frames > 1e6)):
        word = verdicts.judge(curve(frames, score)).verdict.word
        assert word in ("underpowered", "accelerating", "saturating")


def test_no_runs_at_all_are_no_error():
    assert verdicts.judge(curve(np.zeros(0), np.zeros(0))).line is None


GOOD = verdicts.Evidence(
    6, 30, Interval(1, 2), Interval(-0.2, 0.2), FTest(1, (4, 30), 0.5), 0
)


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
    assert verdicts.verdict(GOOD._replace(**change)).word == word


def test_verdict_and_shape_do_not_depend_on_units_or_order():
    frames, score = noisy(6, 4, np.log10, 4.0, 5)
    shuffle = np.random.default_rng(2).permutation(frames.size)
    plain = verdicts.judge(curve(frames, score))
    for other in (
        verdicts.judge(curve(frames[shuffle], score[shuffle])),
        verdicts.judge(curve(frames / 4, score * 1e5 - 3e6)),
        verdicts.judge(curve(frames, score * 1e-7)),
    ):
        assert other.verdict == plain.verdict
        assert plain.exponent is not None
        assert other.exponent == pytest.approx(plain.exponent, abs=1e-5)


@hypothesis.settings(max_examples=15, deadline=None)
@hypothesis.given(
    unit=st.sampled_from([1e-9, 0.3, 4.0, 1e6]),
    level=st.floats(-1e3, 1e3),
    frames_unit=st.sampled_from([0.25, 4.0, 1e3]),
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(sorted(SHAPES)),
)
def test_a_verdict_depends_on_neither_units_nor_order(
    unit, level, frames_unit, seed, kind
):
    rule = (laws.LOG_LINEAR, laws.BOX_COX)
    frames, score = noisy(5, 3, SHAPES[kind], 2.0, seed)
    shuffle = np.random.default_rng(seed).permutation(frames.size)
    one = curve(frames, score)
    two = curve(frames[shuffle] * frames_unit, ((score + level) * unit)[shuffle])
    plain, moved = (verdicts.fit_laws(runs, rule)[0] for runs in (one, two))
    first, other = verdicts.evidence(one, plain), verdicts.evidence(two, moved)
    assert verdicts.verdict(other).word == verdicts.verdict(first).word
    slope, shifted = plain["log-linear"].linear, moved["log-linear"].linear
    expected = (slope.coefficients + np.array([level, 0])) * unit
    assert shifted.coefficients == pytest.approx(expected, rel=1e-6, abs=1e-9 * unit)
    assert first.slope is not None
    assert other.slope is not None
    assert np.array(other.slope) == pytest.approx(
        np.array(first.slope) * unit, rel=1e-6, abs=1e-9 * unit
    )
    assert moved["box-cox"].shapes == pytest.approx(plain["box-cox"].shapes, abs=1e-4)
