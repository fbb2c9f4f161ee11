"""Normalised scores, their intervals and verdicts equal their definitions."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import offline_table
import pytest
from scipy import stats

from analysis import offline_levels, offline_runs, offline_scores

SCORES = st.lists(st.integers(-1000, 1000), min_size=2, max_size=8)


def improvements(folder, *parts):
    offline = offline_runs.read([offline_table.written(folder, *parts)])
    return offline_scores.improvements(offline)


def test_every_run_is_measured_against_its_own_data(tmp_path):
    rows = offline_table.runs([30.0, 12.0, 45.0])
    rows["behaviour_score"] = [20.0, 22.0, 25.0]
    rows["random_score"] = [10.0, 8.0, 5.0]
    (found,) = improvements(tmp_path, rows)
    expected = []
    for row in rows.to_dict("records"):
        above = row["score"] - row["random_score"]
        expected.append(above / (row["behaviour_score"] - row["random_score"]))
    assert found.scores == pytest.approx(expected)
    assert found.mean == pytest.approx(sum(expected) / 3)
    assert found.score == pytest.approx(29.0)
    assert found.behaviour == pytest.approx(67 / 3)
    tenths = [1.5, 17 / 14, 1.0]
    assert found.best_tenth_normalised == pytest.approx(sum(tenths) / 3)
    assert found.seeds == ("0", "1", "2")


@hypothesis.given(SCORES, st.floats(0.1, 50), st.floats(-100, 100), st.floats(0.1, 100))
def test_the_unit_and_the_zero_of_scores_do_not_matter(scores, unit, zero, gap):
    score = np.array(scores, float)
    random = np.full(score.size, 3.0)
    behaviour = random + gap
    plain = offline_scores.normalised(score, behaviour, random)
    moved = [unit * each + zero for each in (score, behaviour, random)]
    found = offline_scores.normalised(*moved)
    assert found == pytest.approx(plain, rel=1e-6, abs=1e-6)


@hypothesis.given(SCORES)
def test_the_interval_is_that_of_scipys_t_test(scores):
    found = np.array(scores, float) / 100
    interval = offline_scores.mean_interval(found)
    if np.ptp(found) == 0:
        assert interval is None
        return
    low, high = stats.ttest_1samp(found, 0.0).confidence_interval(0.95)
    assert interval == pytest.approx((low, high), rel=1e-9, abs=1e-9)


@hypothesis.given(SCORES)
def test_the_verdict_is_that_of_scipys_test_against_1(scores):
    found = np.array(scores, float) / 100
    hypothesis.assume(np.ptp(found) > 0)
    statistic, p = map(float, stats.ttest_1samp(found, 1.0))
    hypothesis.assume(abs(p - 0.05) > 1e-9)
    expected = "undecided"
    if p < 0.05:
        expected = "better" if statistic > 0 else "worse"
    interval = offline_scores.mean_interval(found)
    assert offline_scores.verdict(found, interval) == expected


@pytest.mark.parametrize(
    ("scores", "verdict"),
    [
        ([39.0, 40.0, 41.0], "better"),
        ([11.0, 12.0, 13.0], "worse"),
        ([10.0, 20.0, 40.0], "undecided"),
        ([40.0], "one seed"),
        ([40.0, 40.0, 40.0], "no spread"),
    ],
)
def test_verdicts_follow_from_the_interval(tmp_path, scores, verdict):
    (found,) = improvements(tmp_path, offline_table.runs(scores))
    assert found.verdict == verdict
    assert (found.interval is None) == (verdict in ("one seed", "no spread"))
    assert found.mean == pytest.approx((np.mean(scores) - 10) / 10)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"behaviour_score": 10.0}, "the run has data whose mean return (10) is not"),
        ({"behaviour_score": 9.0}, "(9) is not above that of random play (10)"),
        ({"behaviour_score": 10.0 + 1e-12}, "is not above that of random play"),
        ({"behaviour_score": ""}, "the run has no behaviour_score"),
        ({"random_score": ""}, "the run has no random_score"),
    ],
)
def test_data_no_better_than_random_play_is_told_not_divided_by(
    tmp_path, change, reason
):
    (found,) = improvements(tmp_path, offline_table.runs([15.0], **change))
    assert reason in found.reason
    assert (found.verdict, found.scores) == ("not normalised", None)
    assert (found.mean, found.interval, found.score) == (None, None, 15.0)


def test_one_bad_run_takes_all_with_it_since_dropping_it_would_choose(tmp_path):
    rows = offline_table.runs([30.0, 30.0, 31.0])
    rows.loc[1, "behaviour_score"] = 2.0
    (found,) = improvements(tmp_path, rows)
    assert found.scores is None
    assert "1 of 3 runs has data whose mean return (2)" in found.reason


def test_a_best_tenth_that_some_runs_lack_is_not_known(tmp_path):
    rows = offline_table.runs([30.0, 31.0])
    rows["dataset_best_tenth"] = [25.0, None]
    (found,) = improvements(tmp_path, rows)
    assert (found.best_tenth, found.best_tenth_normalised) == (None, None)
    assert found.mean == pytest.approx(2.05)


def test_lost_runs_are_counted_where_they_belong(tmp_path):
    found = improvements(
        tmp_path,
        offline_table.runs([30.0], dataset_frames=39_000),
        offline_table.runs([31.0], dataset_frames=90_000),
        offline_table.runs([""], dataset_frames=38_500, status="failed"),
        offline_table.runs([""], dataset_frames=40_000, dataset="", status="failed"),
        offline_table.runs([""], dataset_frames=0, status="failed"),
        offline_table.runs(
            [""], dataset_frames=90_000, action="policy", status="failed"
        ),
    )
    assert [(here.data.frames, here.lost) for here in found] == [
        (39_000, 3),
        (90_000, 1),  # the run of unknown size, which may be of either
    ]


def test_methods_come_in_the_papers_order_and_searches_only_where_they_differ(tmp_path):
    found = improvements(
        tmp_path,
        offline_table.runs([1.0], target="supervised", action="policy"),
        offline_table.runs([2.0], searched_states=800_000),
        offline_table.runs([3.0], searched_states=400_000),
        offline_table.runs([4.0], target="crr", action="policy"),
    )
    assert [tuple(here.method) for here in found] == [
        ("reanalyse", "mcts", 400_000),
        ("reanalyse", "mcts", 800_000),
        ("crr", "policy", None),
        ("supervised", "policy", None),
    ]


def several(folder, *, seeds=3):
    generator = np.random.default_rng(3)
    parts = [
        offline_table.runs(
            20 + 5 * k + generator.normal(size=seeds), env=f"e:{k}", dataset_frames=size
        )
        for k in range(4)
        for size in (10_000, 50_000 + k)
    ]
    return improvements(folder, *parts)


def test_levels_take_the_largest_budget_of_every_data_set(tmp_path):
    found = several(tmp_path)
    (level,) = offline_levels.levels(found, 0)
    assert [data.frames for data in level.data_sets] == [50_000 + k for k in range(4)]
    means = sorted(
        here.mean
        for here in found
        if here.data.frames > 10_000 and here.mean is not None
    )
    assert level.mean.value == pytest.approx(sum(means) / 4)
    assert level.median.value == pytest.approx((means[1] + means[2]) / 2)
    large = [here.scores for here in found if here.data.frames > 10_000]
    runs = sorted(score for scores in large if scores is not None for score in scores)
    assert level.iqm.value == pytest.approx(sum(runs[3:-3]) / 6)
    assert (level.runs, level.fewest_seeds) == (12, 3)
    for pooled in (level.median, level.mean, level.iqm):
        assert pooled.interval is not None
        assert pooled.interval.low < pooled.value < pooled.interval.high


def test_bootstraps_have_a_seed(tmp_path):
    found = several(tmp_path)
    assert offline_levels.levels(found, 1) == offline_levels.levels(found, 1)
    assert offline_levels.levels(found, 1) != offline_levels.levels(found, 2)


def test_one_seed_a_data_set_leaves_nothing_to_resample(tmp_path):
    (level,) = offline_levels.levels(several(tmp_path, seeds=1), 0)
    assert level.median.interval is None
    assert level.fewest_seeds == 1


def test_a_single_environment_has_no_level(tmp_path):
    found = improvements(
        tmp_path,
        offline_table.runs([30.0, 31.0]),
        offline_table.runs([32.0, 33.0], dataset="other"),
    )
    assert offline_levels.levels(found, 0) == []


def test_the_mean_of_means_weighs_data_sets_alike_in_every_draw():
    drawn = [np.arange(6.0).reshape(2, 3), np.array([[10.0], [20.0]])]
    expected = [
        sum(sum(part[k]) / len(part[k]) for part in drawn) / 2 for k in range(2)
    ]
    assert offline_levels.mean_of_means(drawn) == pytest.approx(expected)
