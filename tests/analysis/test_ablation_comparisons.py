"""Which cells are compared, what is decided, and whether the paper's orders hold."""

import collections

import ablation_study
import numpy as np
import pytest

from analysis import (
    ablation_across,
    ablation_cells,
    ablation_comparisons,
    ablation_differences,
    ablation_orderings,
    ablation_paper,
    ablation_sentences,
)


def found_in(folder, *parts):
    (grid,) = ablation_study.grids(folder, *parts)
    return ablation_comparisons.compared(grid)


def by_words(found):
    return {ablation_sentences.comparison(each.comparison): each for each in found}


def comparisons_by_loops(cells):
    """Every pair of cells that differ in one thing, counted kind by kind."""
    counts = collections.Counter()
    for (one, first), (other, second) in ((a, b) for a in cells for b in cells):
        same_target, same_unroll = (
            one.target == other.target,
            one.unroll == other.unroll,
        )
        if first == second and same_target and one.unroll > other.unroll:
            counts["unroll"] += 1
        if one == other and first > second:
            counts["action"] += 1
        if first == second and same_unroll and one.target > other.target:
            counts["target"] += 1
    return counts


def test_every_pair_that_differs_in_one_thing_is_compared():
    grid = ablation_study.null_grid(ablation_study.generator())
    made = ablation_comparisons.planned(grid)
    assert len(set(made)) == len(made) == 29
    counts = collections.Counter(each.kind for each in made)
    assert counts == comparisons_by_loops(list(grid.cells))
    assert counts == {"unroll": 7, "action": 13, "target": 9}


def test_the_side_with_more_of_it_comes_first(tmp_path):
    rows = ablation_study.medians(1.0, 0.1, ablation_study.generator())
    words = by_words(found_in(tmp_path, rows))
    for expected in (
        "unroll 5 against 0 (supervised, one-step value)",
        "MCTS against policy head (Reanalyse, unroll 5)",
        "one-step value against policy head (supervised, unroll 0)",
        "Reanalyse against CRR (unroll 5, MCTS)",
        "CRR against supervised (unroll 5, policy head)",
    ):
        assert expected in words


def test_columns_are_compared_by_welch_and_acting_in_pairs(tmp_path):
    rows = ablation_study.table(
        ablation_study.runs("supervised-5", [11.0, 15.0, 13.0], [12.0, 16.5, 14.0]),
        ablation_study.runs("crr-5", [18.0, 16.0]),
    )
    words = by_words(found_in(tmp_path, rows))
    paired = words["one-step value against policy head (supervised, unroll 5)"]
    assert paired.difference == ablation_differences.paired(
        np.array([0.2, 0.65, 0.4]), np.array([0.1, 0.5, 0.3])
    )
    assert paired.raw == pytest.approx(3.5 / 3)
    welch = words["CRR against supervised (unroll 5, policy head)"]
    assert welch.difference == ablation_differences.welch(
        np.array([0.8, 0.6]), np.array([0.1, 0.5, 0.3])
    )
    assert welch.raw == pytest.approx(4.0)


def test_only_networks_evaluated_both_ways_are_pairs(tmp_path):
    rows = ablation_study.runs("crr-5", [11.0, 99.0, 14.0], [12.0, "", 14.5])
    (found,) = found_in(tmp_path, rows)
    assert found.difference.seeds == (2,)
    assert found.raw == pytest.approx(0.75)
    rows = ablation_study.runs("crr-5", [11.0, ""], ["", 12.0])
    assert found_in(tmp_path, rows) == []


def test_a_study_that_follows_the_paper_holds_all_its_orders(tmp_path):
    rows = ablation_study.medians(1.0, 0.01, ablation_study.generator())
    found = found_in(tmp_path, rows)
    sorted_out = ablation_orderings.sorted_out(found)
    assert [len(items) for items in sorted_out.values()] == [29, 0, 0]
    said = ablation_orderings.lines(found, 1.0)
    assert said[0].startswith("Of 29 orderings of the paper, 29 hold here: ")
    for ordering in (
        "supervised-5 > supervised-0 (value)",
        "supervised-0 > supervised-5 (policy)",
        "supervised-1 > supervised-0 (policy, near tie)",
        "policy > value (crr-5, near tie)",
        "mcts > value (reanalyse-5)",
        "reanalyse-5 > crr-5 (mcts)",
    ):
        assert ordering in sorted_out["holds"]
    assert said[-1] == (
        "With Holm-adjusted p values below 0.05 alone, 29 would hold and 0 not."
    )


def test_a_study_that_contradicts_the_paper_holds_none(tmp_path):
    rows = ablation_study.medians(-1.0, 0.01, ablation_study.generator())
    found = found_in(tmp_path, rows)
    assert [len(x) for x in ablation_orderings.sorted_out(found).values()] == [0, 29, 0]
    assert "29 do not hold here: " in ablation_orderings.lines(found, 1.0)[1]
    for each in found:
        said = ablation_sentences.sentence(each, normalised=True)
        assert said.endswith(": its order does not hold here.")
        assert ": 0 is excluded" in said
        assert "undecided" not in said


def test_a_study_without_differences_decides_little():
    """Of sixty null studies: one interval in twenty leaves out 0, few after Holm."""
    generator, decided, tests, alarms = ablation_study.generator(1), 0, 0, 0
    for _ in range(60):
        found = ablation_comparisons.compared(ablation_study.null_grid(generator))
        excluded = [ablation_comparisons.excludes_0(each.difference) for each in found]
        assert [each.agreement == "undecided" for each in found] == [
            not each for each in excluded
        ]
        decided, tests = decided + excluded.count(True), tests + len(found)
        alarms += any(each.holm is not None and each.holm < 0.05 for each in found)
    assert 0.02 < decided / tests < 0.075
    assert alarms <= 6


def test_one_seed_decides_nothing_and_says_why(tmp_path):
    rows = ablation_study.medians(1.0, 0.1, ablation_study.generator(), seeds=1)
    found = found_in(tmp_path, rows)
    assert {each.agreement for each in found} == {"undecided"}
    said = ablation_sentences.sentence(found[0], normalised=True)
    assert "interval" not in said
    assert "undecided: one seed leaves nothing to judge an error by" in said
    assert "with an interval: 0." in ablation_sentences.multiplicity(found)


def test_a_bound_of_the_score_decides_nothing_and_says_why(tmp_path):
    rows = ablation_study.runs("crr-5", [500.0, 500.0], [500.0, 500.0])
    (found,) = found_in(tmp_path, rows)
    said = ablation_sentences.sentence(found, normalised=True)
    assert said.startswith("One-step value against policy head (CRR, unroll 5): 0, und")
    assert "all seeds agree exactly" in said


def test_the_sentence_of_a_difference(tmp_path):
    rows = ablation_study.runs("reanalyse-5", (), [11.0, 12.0, 13.0], [12.0, 14, 16])
    (found,) = found_in(tmp_path, rows)
    assert ablation_sentences.sentence(found, normalised=True) == (
        "MCTS against one-step value (Reanalyse, unroll 5): +0.2 (95 % paired t "
        "interval -0.0484 to +0.448, p 0.074, Holm-adjusted 0.074; 3 pairs), "
        "undecided: 0 is not excluded; the paper has 265.3 against 239.9: its order "
        "is undecided here."
    )


def test_raw_differences_are_points_of_return_and_other_unrolls_not_the_papers(
    tmp_path,
):
    rows = ablation_study.table(
        ablation_study.runs("crr-2", [10.0, 10.5, 11.0], random_score=""),
        ablation_study.runs("crr-3", [20.0, 20.5, 21.0], random_score=""),
    )
    (found,) = found_in(tmp_path, rows)
    said = ablation_sentences.sentence(found, normalised=False)
    assert said.startswith(
        "Unroll 3 against 2 (CRR, policy head): +10 points of return"
    )
    assert said.endswith("better: 0 is excluded; the paper has no such pair.")
    assert found.agreement == "not in the paper"


def test_chance_and_holm_are_counted():
    grid = ablation_study.null_grid(ablation_study.generator(5))
    found = ablation_comparisons.compared(grid)
    count = sum(bool(ablation_comparisons.excludes_0(f.difference)) for f in found)
    assert ablation_sentences.multiplicity(found) == (
        "Differences looked at: 29, with an interval: 29. Intervals that exclude 0: "
        f"{count}, where chance alone would make about 1.5 if nothing differed; after "
        "Holm's correction for all 29: 0."
    )


def two(folder, **other):
    first = ablation_study.medians(1.0, 5.0, ablation_study.generator(1))
    second = ablation_study.medians(
        0.5, 2.0, ablation_study.generator(2), **{"env": "e:Other", **other}
    )
    return ablation_study.grids(folder, first, second)


def test_over_environments_differences_are_means_of_those_of_each(tmp_path):
    tables = two(tmp_path)
    overs = ablation_across.over(tables, 0)[1.0]
    assert len(overs) == 29
    each = [ablation_comparisons.compared(grid) for grid in tables]
    for over, one, other in zip(overs, *each, strict=True):
        assert over.found.comparison == one.comparison == other.comparison
        pair = (one.difference.value, other.difference.value)
        assert over.values == pytest.approx(pair)
        assert over.found.difference.value == pytest.approx(sum(pair) / 2)
        low, high = over.found.difference.interval
        assert low < over.found.difference.value < high
        # Short, since three seeds show a third less spread, but about the same place.
        assert over.bootstrap.half_width < over.found.difference.interval.half_width
        assert over.bootstrap.contains(over.found.difference.value)


def test_over_environments_a_bootstrap_is_the_same_for_the_same_seed(tmp_path):
    tables = two(tmp_path)
    first, second = (ablation_across.over(tables, 7)[1.0] for _ in range(2))
    assert [over.bootstrap for over in first] == [over.bootstrap for over in second]
    other = ablation_across.over(tables, 8)[1.0]
    assert [over.bootstrap for over in first] != [over.bootstrap for over in other]


def test_raw_scores_are_never_taken_together(tmp_path):
    assert ablation_across.over(two(tmp_path, random_score=""), 0) == {}


def test_one_environment_is_not_several(tmp_path):
    assert ablation_across.over(two(tmp_path, env="e:Plain", dataset="b@2"), 0) == {}


def test_only_the_largest_size_of_a_data_set_is_taken(tmp_path):
    tables = ablation_study.grids(
        tmp_path,
        *(
            ablation_study.medians(
                1.0, 1.0, ablation_study.generator(), env=env, dataset_frames=frames
            )
            for env, frames in (("e:A", 1000), ("e:A", 9000), ("e:B", 500))
        ),
    )
    for over in ablation_across.over(tables, 0)[1.0]:
        assert [(task.env, task.frames) for task in over.tasks] == [
            ("e:A", 9000),
            ("e:B", 500),
        ]


def test_levels_over_environments_are_means_of_cells(tmp_path):
    tables = two(tmp_path)
    side = ablation_comparisons.Side(ablation_cells.Column("crr", 5), "mcts")
    mean = ablation_across.levels(tables)[side]
    means = [ablation_cells.shown(grid.cells[side]).mean() for grid in tables]
    assert mean.value == pytest.approx(sum(means) / 2)
    assert mean.seeds == (3, 3)


def test_orders_stand_side_by_side_and_are_counted_where_they_are_many(tmp_path):
    rows = ablation_study.medians(1.0, 0.01, ablation_study.generator())
    found = found_in(tmp_path, rows)
    contrary = [each._replace(agreement="does not hold") for each in found]
    few = ablation_orderings.beside({"A": found, "B": contrary[1:]})
    assert few.heads == ("better > worse in the paper", "A", "B")
    assert few.rows[0] == [
        "supervised-1 > supervised-0 (policy, near tie)",
        "holds",
        "",
    ]
    assert few.rows[1][1:] == ["holds", "does not hold"]
    many = {str(number): found if number else contrary for number in range(7)}
    sheet = ablation_orderings.beside(many)
    assert sheet.heads[1:] == ("holds", "does not hold", "undecided")
    assert len(sheet.rows) == 29
    assert all(row[1:] == ["6", "1", "0"] for row in sheet.rows)


def test_online_orders_say_that_the_paper_is_offline(tmp_path):
    rows = ablation_study.medians(1.0, 0.1, ablation_study.generator())
    found = found_in(tmp_path, rows)
    assert ablation_orderings.lines(found, 0.9)[-1].startswith("The paper's table is")
    assert not ablation_orderings.lines(found, 1.0)[-1].startswith("The paper's table")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (("supervised", 0, "policy"), 60.6),
        (("supervised", 0, "mcts"), None),
        (("supervised", 1, "mcts"), 137.3),
        (("supervised", 5, "value"), 159.2),
        (("crr", 5, "policy"), 155.6),
        (("reanalyse", 5, "mcts"), 265.3),
        (("reanalyse", 1, "mcts"), None),
    ],
)
def test_the_papers_medians(cell, expected):
    assert ablation_paper.median(*cell) == expected


def test_near_ties_of_the_paper():
    assert ablation_paper.near_tie(60.6, 61.4)
    assert ablation_paper.near_tie(155.6, 153.0)
    assert not ablation_paper.near_tie(105.0, 92.2)
