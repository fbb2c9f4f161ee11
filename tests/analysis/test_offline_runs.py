"""Rows of fraction 1 are read, told apart and, where wrong, refused by name."""

import hypothesis
import hypothesis.strategies as st
import offline_table
import pandas as pd
import pytest

from analysis import offline_runs
from scaling import results

REQUIRED = ["env", "fraction", "seed", "score", "behaviour_score", "random_score"]


def read(folder, *parts):
    return offline_runs.read([offline_table.written(folder, *parts)])


def test_columns_that_a_table_may_lack_have_defaults(tmp_path):
    offline = read(tmp_path, offline_table.runs([1.0])[REQUIRED])
    row = offline.runs.iloc[0]
    assert (row["target"], row["action"], row["status"]) == ("reanalyse", "mcts", "ok")
    assert (row["dataset"], row["data_frames"]) == ("e:Plain", 0)
    assert offline.ignored == []


def test_empty_cells_have_the_same_defaults_as_missing_columns(tmp_path):
    blank = {"target": "", "action": "", "status": "", "dataset": ""}
    row = read(tmp_path, offline_table.runs([1.0], **blank)).runs.iloc[0]
    assert (row["target"], row["action"], row["status"]) == ("reanalyse", "mcts", "ok")
    assert row["dataset"] == "e:Plain"


def test_rows_of_other_fractions_and_checkpoints_are_ignored_in_words(tmp_path):
    offline = read(
        tmp_path,
        offline_table.runs([1.0, 2.0]),
        offline_table.runs([7.0], fraction=0.95, behaviour_score="", random_score=""),
        offline_table.runs([8.0, 9.0], curve_of="run"),
    )
    assert offline.runs["score"].tolist() == [1.0, 2.0]
    assert offline.ignored == [
        "1 row is of a fraction other than 1: ignored.",
        "2 rows are of learning curves (curve_of): ignored.",
    ]


def test_a_table_without_offline_runs_says_how_to_make_some(tmp_path):
    with pytest.raises(ValueError, match=r"has no run of fraction 1") as error:
        read(tmp_path, offline_table.runs([1.0, 2.0], fraction=0.5))
    assert "launch/collect.py" in str(error.value)
    assert "--fraction 1 --dataset PATH --searches S" in str(error.value)
    assert "2 rows are of a fraction other than 1" in str(error.value)


def test_lost_runs_are_kept_apart_whatever_their_numbers_are(tmp_path):
    lost = offline_table.runs(["nan"], status="diverged", behaviour_score="")
    offline = read(tmp_path, offline_table.runs([1.0]), lost)
    assert offline.runs["score"].tolist() == [1.0]
    assert offline.lost["status"].tolist() == ["diverged"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": "nan"}, r"row 2 has a value of score that is no finite number"),
        ({"score": "inf"}, r"row 2 has a value of score .*got 'inf'"),
        ({"score": ""}, r"row 2 is ok but has no score"),
        ({"behaviour_score": "high"}, r"value of behaviour_score .*got 'high'"),
        ({"random_score": "nan"}, r"value of random_score"),
        ({"seed": ""}, r"row 2 has no seed"),
        ({"env": ""}, r"row 2 has no env"),
        ({"fraction": ""}, r"row 2 has no fraction"),
        ({"fraction": "all"}, r"value of fraction .*got 'all'"),
        ({"target": "bc"}, r"unknown target; use one of reanalyse, crr, supervised"),
        ({"action": "best"}, r"unknown action; use one of mcts, value, policy"),
        ({"status": "fine"}, r"unknown status; use one of ok, failed"),
        ({"dataset_frames": -1}, r"negative number of dataset_frames; .*got -1"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(tmp_path, change, message):
    with pytest.raises(ValueError, match=message) as error:
        read(tmp_path, offline_table.runs([1.0], **change))
    assert str(error.value).startswith(str(tmp_path / "runs.csv"))
    assert str(error.value).endswith(".")


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_column_is_named(tmp_path, name):
    with pytest.raises(ValueError, match=f"has no column {name} in its row 1"):
        read(tmp_path, offline_table.runs([1.0]).drop(columns=name))


def test_a_second_run_of_one_seed_is_refused(tmp_path):
    with pytest.raises(ValueError, match="row 3 is a second run of the same"):
        read(tmp_path, offline_table.runs([1.0]), offline_table.runs([2.0]))


def test_methods_sizes_and_searches_may_share_a_seed(tmp_path):
    parts = [
        offline_table.runs([1.0]),
        offline_table.runs([2.0], target="supervised", action="policy"),
        offline_table.runs([3.0], dataset_frames=80_000),
        offline_table.runs([4.0], searched_states=9_000),
    ]
    assert len(read(tmp_path, *parts).runs) == 4


def test_a_ragged_line_a_directory_and_a_missing_file_are_refused(tmp_path):
    path = offline_table.written(tmp_path, offline_table.runs([1.0]))
    path.write_text(path.read_text() + "1,2\n")
    with pytest.raises(ValueError, match="row 3 has 2 values for"):
        offline_runs.read([path])
    with pytest.raises(ValueError, match="cannot be read as a CSV table"):
        offline_runs.read([tmp_path])
    with pytest.raises(ValueError, match=r"There is no table .*launch/collect\.py"):
        offline_runs.read([tmp_path / "none.csv"])


def test_a_header_alone_and_an_empty_file_are_refused(tmp_path):
    path = offline_table.written(tmp_path, offline_table.runs([1.0]))
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(ValueError, match="has a header but no runs"):
        offline_runs.read([path])
    path.write_text("\n")
    with pytest.raises(ValueError, match="has no column env, fraction, seed"):
        offline_runs.read([path])


def test_every_column_that_is_read_is_registered():
    read = {*REQUIRED, *offline_runs.NUMBERS, *offline_runs.WORDS, "dataset"}
    assert {*read, *offline_runs.CHOICES} <= set(results.COLUMNS)


def test_the_order_of_the_rows_changes_nothing_but_where_they_are(tmp_path):
    rows = offline_table.table(
        offline_table.runs([3.0, 1.0, 2.0]),
        offline_table.runs([5.0, 4.0], target="crr", action="policy"),
    )
    there = read(tmp_path, rows).runs.drop(columns="where")
    back = read(tmp_path, rows[::-1]).runs.drop(columns="where")
    pd.testing.assert_frame_equal(there, back)


def test_sizes_of_one_budget_differ_by_seed_and_share_the_largest():
    sizes = [99_100, 99_900, 98_700, 198_500, 199_800, 0]
    seeds = ["0", "1", "2", "0", "1", "0"]
    expected = [99_900] * 3 + [199_800] * 2 + [0]
    assert offline_runs.budgets(sizes, seeds) == expected


def test_a_seed_that_comes_twice_is_of_two_budgets_however_near():
    sizes, seeds = [99_000, 99_500, 104_000, 105_000], ["0", "1", "0", "1"]
    assert offline_runs.budgets(sizes, seeds) == [99_500, 99_500, 105_000, 105_000]


@hypothesis.given(
    st.lists(st.tuples(st.integers(0, 300), st.sampled_from("abc")), min_size=1)
)
def test_budgets_are_near_hold_a_seed_once_and_ignore_the_order(pairs):
    sizes, seeds = [size for size, _ in pairs], [seed for _, seed in pairs]
    found = offline_runs.budgets(sizes, seeds)
    for size, seed, budget in zip(sizes, seeds, found, strict=True):
        assert size <= budget <= offline_runs.NEAR * size + 1e-9
        for other, other_seed, same in zip(sizes, seeds, found, strict=True):
            if same == budget and other_seed == seed:
                assert other == size
    back = offline_runs.budgets(sizes[::-1], seeds[::-1])
    assert back[::-1] == found
