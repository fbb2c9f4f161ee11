"""What a reader must know of an ablation is said."""

import ablation_study
import pytest

from analysis import ablation_cells, ablation_notes

ONE = ("supervised-5", [11.0, 12.0], [13.0, 14.0])
OTHER = ("reanalyse-5", [15.0, 16.0], [17.0, 18.0])


def doubts(folder, *parts):
    ablation = ablation_study.read(folder, *parts)
    return ablation_notes.doubts(ablation, ablation_cells.grids(ablation))


def test_of_plain_columns_there_is_nothing_to_say(tmp_path):
    parts = [ablation_study.runs(*column, acting="") for column in (ONE, OTHER)]
    ablation = ablation_study.read(tmp_path, *parts)
    assert ablation_notes.left_out(ablation) == []
    assert doubts(tmp_path, *parts) == []


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        (
            "learner_updates",
            (1000, 2000),
            "Note: the columns of e:Plain took from 1,000 (of supervised-5) to 2,000 "
            "learner updates (of reanalyse-5), which is in their differences too.",
        ),
        (
            "acting",
            ("value", "mcts"),
            "Note: the columns of e:Plain acted in different ways in training (mcts: "
            "reanalyse-5; value: supervised-5), so they saw different data.",
        ),
        (
            "score_kind",
            ("best", "final"),
            "Note: 2 scores are not of the final network (score_kind best): the best "
            "of several networks scores above what a training is worth.",
        ),
    ],
)
def test_columns_that_differ_in_more_than_they_should_are_named(
    tmp_path, name, values, expected
):
    parts = [
        ablation_study.runs(*column, **{name: value})
        for column, value in zip((ONE, OTHER), values, strict=True)
    ]
    assert doubts(tmp_path, *parts) == [expected]


def test_updates_that_differ_by_a_call_are_alike(tmp_path):
    parts = [
        ablation_study.runs(*ONE, learner_updates=1000),
        ablation_study.runs(*OTHER, learner_updates=1005),
    ]
    assert doubts(tmp_path, *parts) == []


def test_seeds_at_a_bound_and_uneven_columns_are_named(tmp_path):
    parts = [
        ablation_study.runs(*ONE),
        ablation_study.runs("reanalyse-5", [500.0] * 3, [400.0, 500.0, 500.0]),
        ablation_study.runs("crr-5", [""], status="failed"),
    ]
    uneven, bound = doubts(tmp_path, *parts)
    assert uneven == (
        "Note: the columns of e:Plain, rollout@1a2b3c4d, 40k frames have networks as "
        "follows: supervised-5 2, crr-5 0 (1 lost), reanalyse-5 3."
    )
    assert "all seeds have one score in reanalyse-5 policy (500): at a bound" in bound


def test_lost_networks_are_named_with_their_reason(tmp_path):
    parts = [
        ablation_study.runs(*ONE),
        ablation_study.runs("crr-5", [""], status="failed", note="Out of memory."),
        ablation_study.runs("crr-1", [""], status="interrupted"),
    ]
    ablation = ablation_study.read(tmp_path, *parts)
    one, other, note = ablation_notes.left_out(ablation)
    where = f"(row {tmp_path / 'runs.csv'}"
    lost = "Lost: crr-{} on e:Plain, seed 0, ended as"
    assert one == f"{lost.format(5)} failed {where}:4): Out of memory."
    assert other == f"{lost.format(1)} interrupted {where}:5)."
    assert note.startswith("Note: lost networks are in no number above")


def test_the_scale_of_a_table_is_said(tmp_path):
    (grid,) = ablation_study.grids(tmp_path, ablation_study.runs(*ONE))
    assert ablation_notes.facts(grid) == (
        "Normalised: 0 is random play (10), 1 the mean return of the data (20); the "
        "best tenth of its episodes are at 1.5."
    )
    rows = ablation_study.runs(*ONE, random_score="")
    (grid,) = ablation_study.grids(tmp_path, rows)
    assert ablation_notes.facts(grid) == (
        "Raw scores only, since 2 of 2 networks have no random_score."
    )
