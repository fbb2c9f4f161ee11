"""Networks of ablations are read, put in tables and, where wrong, refused by name."""

import ablation_study
import pandas as pd
import pytest

from analysis import ablation_cells, ablation_runs
from scaling import results

ONE = ("supervised-5", [1.0, 2.0], [3.0, 4.0], [5.0, 6.0])
COLUMN = ablation_cells.Column("supervised", 5)


def refused(folder, *parts):
    with pytest.raises(ValueError, match=r"\.$") as error:
        ablation_study.read(folder, *parts)
    return str(error.value)


def test_required_columns_alone_make_a_table_of_raw_scores(tmp_path):
    rows = ablation_study.runs(*ONE)[list(ablation_runs.REQUIRED)]
    (grid,) = ablation_study.grids(tmp_path, rows)
    assert grid.task == ablation_cells.Task("e:Plain", "", 0.0, 1.0)
    assert grid.reason == "2 of 2 networks have no behaviour_score"
    assert grid.cells[COLUMN, "mcts"].raw.tolist() == [5.0, 6.0]
    assert grid.cells[COLUMN, "mcts"].normalised is None


def test_scores_are_normalised_by_each_networks_own_data(tmp_path):
    rows = ablation_study.runs(*ONE)
    rows["behaviour_score"], rows["random_score"] = [2.0, 4.0], [0.0, 1.0]
    rows["dataset_best_tenth"] = [4.0, 4.0]
    (grid,) = ablation_study.grids(tmp_path, rows)
    assert ablation_cells.shown(grid.cells[COLUMN, "value"]).tolist() == [1.5, 1.0]
    assert (grid.behaviour, grid.random, grid.best_tenth) == (3.0, 0.5, 1.5)


def test_all_networks_of_a_table_are_normalised_or_none(tmp_path):
    rows = ablation_study.table(
        ablation_study.runs(*ONE),
        ablation_study.runs("crr-5", [1.0], behaviour_score=10.0),
    )
    (grid,) = ablation_study.grids(tmp_path, rows)
    assert "(10) is not above that of random play (10)" in grid.reason
    assert all(cell.normalised is None for cell in grid.cells.values())


def test_columns_are_in_the_papers_order_and_seeds_as_numbers(tmp_path):
    names = ["reanalyse-5", "supervised-10", "crr-5", "supervised-2", "supervised-0"]
    rows = [ablation_study.runs(name, [1.0] * 11) for name in names]
    (grid,) = ablation_study.grids(tmp_path, *rows)
    assert [column.name for column in grid.columns] == [
        *("supervised-0", "supervised-2", "supervised-10", "crr-5", "reanalyse-5")
    ]
    cell = grid.cells[grid.columns[0], "policy"]
    assert cell.seeds == tuple(map(str, range(11)))


def test_data_sets_that_differ_by_seed_alone_are_one(tmp_path):
    rows = ablation_study.runs(*ONE)
    rows["dataset_frames"] = [39_990, 40_000]
    (grid,) = ablation_study.grids(tmp_path, rows)
    assert grid.task.frames == 40_000


def test_other_sizes_environments_and_fractions_have_tables_of_their_own(tmp_path):
    online = {"fraction": 0.9, "frames": 5000, "dataset": "", "dataset_frames": 0}
    tables = ablation_study.grids(
        tmp_path,
        ablation_study.runs(*ONE),
        ablation_study.runs(*ONE, dataset_frames=80_000),
        ablation_study.runs(*ONE, env="e:Other"),
        ablation_study.runs(*ONE, **online, behaviour_score="", random_score=""),
    )
    assert [grid.task for grid in tables] == [
        ablation_cells.Task("e:Other", "rollout@1a2b3c4d", 40_000, 1.0),
        ablation_cells.Task("e:Plain", "", 5000, 0.9),
        ablation_cells.Task("e:Plain", "rollout@1a2b3c4d", 40_000, 1.0),
        ablation_cells.Task("e:Plain", "rollout@1a2b3c4d", 80_000, 1.0),
    ]
    assert [grid.normalised for grid in tables] == [True, False, True, True]


def test_learning_curves_and_controls_are_ignored_in_words(tmp_path):
    found = ablation_study.read(
        tmp_path,
        ablation_study.runs(*ONE),
        ablation_study.runs(*ONE, curve_of="run"),
        ablation_study.runs("crr-5", [1.0], control=0.9),
    )
    assert len(found.runs) == 2
    assert found.ignored == [
        "2 rows are of learning curves (curve_of): ignored.",
        "1 row is of controls (control): ignored.",
    ]


def test_lost_networks_are_counted_where_they_belong(tmp_path):
    lost = {"status": "diverged", "dataset": "data/rollout"}
    tables = ablation_study.grids(
        tmp_path,
        ablation_study.runs(*ONE),
        ablation_study.runs("supervised-5", [""], **lost, dataset_frames=40_900),
        ablation_study.runs("crr-5", ["", ""], **lost, dataset_frames=""),
        ablation_study.runs("crr-5", ["nan"], **lost, env="e:Other"),
    )
    (grid,) = tables  # an environment whose networks are all lost has no table
    assert {column.name: count for column, count in grid.lost.items()} == {
        "supervised-5": 1,
        "crr-5": 2,
    }
    assert {column.name: count for column, count in grid.seeds.items()} == {
        "supervised-5": 2,
        "crr-5": 0,
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"score_value": "nan"}, "row 2 has a value of score_value that is no finite"),
        ({"random_score": "much"}, "row 2 has a value of random_score that is no"),
        ({"unroll_steps": 1.5}, "has unroll_steps that are no count"),
        ({"unroll_steps": -1}, "has unroll_steps that are no count"),
        ({"unroll_steps": ""}, "has no unroll_steps"),
        ({"unroll_steps": 0}, "has a score_mcts at unroll_steps 0, where there is no"),
        ({"target": "cloning"}, "has an unknown target; use one of supervised, crr"),
        ({"status": "fine"}, "has an unknown status; use one of ok, failed"),
        ({"fraction": 1.5}, "has a fraction outside [0, 1]; give a share (got 1.5)"),
        ({"seed": ""}, "has no seed"),
        ({"env": ""}, "has no env"),
        ({"dataset_frames": -1}, "has negative dataset_frames"),
        (
            dict.fromkeys(ablation_runs.SCORES.values(), ""),
            "is ok but has none of score_policy, score_value, score_mcts",
        ),
        ({"seed": 0}, "row 3 is a second network of the same environment, data, col"),
    ],
)
def test_what_is_wrong_in_a_row_is_named(tmp_path, changed, message):
    rows = ablation_study.runs(*ONE)
    assert message in refused(tmp_path, rows.assign(**changed))


def test_a_table_without_the_columns_says_what_makes_them(tmp_path):
    rows = ablation_study.runs(*ONE).drop(columns=["score_mcts", "unroll_steps"])
    assert "has no column unroll_steps, score_mcts in its row 1" in refused(
        tmp_path, rows
    )


def test_an_empty_table_is_refused(tmp_path):
    assert "has a header but no runs" in refused(
        tmp_path, ablation_study.runs(*ONE).iloc[:0]
    )


def test_a_table_of_curves_alone_has_no_network(tmp_path):
    message = refused(tmp_path, ablation_study.runs(*ONE, curve_of="run"))
    assert "has no network: train the columns with launch/ablation.py" in message
    assert "2 rows are of learning curves" in message


def test_columns_of_different_data_sets_are_no_table(tmp_path):
    message = refused(
        tmp_path,
        ablation_study.runs(*ONE),
        ablation_study.runs("crr-5", [1.0], dataset="other@00ff00ff"),
    )
    assert "e:Plain has networks on two data sets, and no column and seed" in message
    assert "crr-5 seed 0 on other@00ff00ff, supervised-5 seed 0 on rollout" in message


def test_seeds_of_different_data_sets_are_no_column(tmp_path):
    rows = ablation_study.runs(*ONE)
    rows["dataset"] = ["a@1", "b@2"]
    assert "supervised-5 seed 0 on a@1, supervised-5 seed 1 on b@2" in refused(
        tmp_path, rows
    )


def test_columns_crossed_with_data_sets_are_two_tables(tmp_path):
    tables = ablation_study.grids(
        tmp_path,
        ablation_study.runs(*ONE),
        ablation_study.runs(*ONE, dataset="other@00ff00ff"),
    )
    assert [grid.task.dataset for grid in tables] == [
        "other@00ff00ff",
        "rollout@1a2b3c4d",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("eval_episodes", "evaluated over different numbers of episodes"),
        ("frames_per_step", "made with different numbers of frames a step"),
    ],
)
def test_mixed_protocols_are_refused(tmp_path, name, message):
    rows = ablation_study.table(
        ablation_study.runs(*ONE, **{name: 4}),
        ablation_study.runs("crr-5", [1.0], **{name: 2}),
    )
    said = refused(tmp_path, rows)
    assert f"{message} ({name}: 2 of crr-5, 4 of supervised-5)" in said


def test_a_column_of_two_studies_is_refused(tmp_path):
    rows = ablation_study.runs(*ONE)
    rows["study"] = ["abc", "def"]
    message = refused(tmp_path, rows)
    assert "Column supervised-5 of e:Plain has networks of 2 studies (abc, def)" in (
        message
    )


def test_an_ablations_directory_has_a_table_a_column(tmp_path):
    rows = ablation_study.table(
        ablation_study.runs(*ONE), ablation_study.runs("crr-5", [1.0])
    )
    ablation_study.study(tmp_path, rows)
    (tmp_path / "reanalyse-5").mkdir()
    (tmp_path / "figures").mkdir()
    found = ablation_runs.tables(tmp_path)
    assert [path.parent.name for path in found] == ["crr-5", "supervised-5"]
    (said,) = ablation_runs.unmade([tmp_path])
    assert "reanalyse-5 has no results.csv yet: its column is not here." in said
    assert ablation_runs.read(found, [said]).ignored == [said]


def test_a_plain_study_has_one_table(tmp_path):
    ablation_study.runs(*ONE).to_csv(tmp_path / "results.csv", index=False)
    assert ablation_runs.tables(tmp_path) == [tmp_path / "results.csv"]


def test_directories_without_tables_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has no results\.csv, nor has any folder"):
        ablation_runs.tables(tmp_path)
    with pytest.raises(ValueError, match="is no directory; train the columns with"):
        ablation_runs.tables(tmp_path / "none")


def test_a_table_that_is_named_twice_is_read_once(tmp_path):
    path = ablation_study.written(tmp_path, ablation_study.runs(*ONE))
    assert len(ablation_runs.read([path, path]).runs) == 2


def test_the_programs_own_rows_have_every_column_that_is_read():
    read = {*ablation_runs.REQUIRED, *ablation_runs.NUMBERS, *ablation_runs.WORDS}
    assert read <= set(results.COLUMNS)


def test_the_columns_of_the_paper_are_known_columns():
    columns = pd.Series([column.target for column in ablation_study.COLUMNS])
    assert columns.isin(ablation_runs.TARGETS).all()
