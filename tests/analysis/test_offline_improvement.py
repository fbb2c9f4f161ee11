"""The command: what it writes, prints, draws and refuses."""

import io
import json
import pathlib
import subprocess
import sys
import time

import numpy as np
import offline_table
import pandas as pd
import pytest
from PIL import Image

from analysis import (
    offline_bars,
    offline_improvement,
    offline_levels,
    offline_plots,
    offline_runs,
    offline_scores,
    offline_sentences,
)

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = ROOT / "analysis" / "offline_improvement.py"
WRITTEN = ["offline_improvement.csv", "offline_improvement.json"]
WRITTEN += [f"figures/offline_improvement.{end}" for end in ("svg", "png", "csv")]
PACMAN = {"env": "atari:MsPacman", "dataset": "dqn@00ff00ff", "dataset_frames": 2e6}
CLONING = {"target": "supervised", "action": "policy"}


def study():
    return offline_table.table(
        offline_table.runs([34.0, 36.0, 38.0], score_sd=9.0, eval_episodes=64),
        offline_table.runs([19.0, 20.5, 21.5], **CLONING),
        offline_table.runs([60.0, 64.0, 70.0], **PACMAN),
        offline_table.runs([""], **CLONING, **PACMAN, status="diverged"),
        offline_table.runs([11.0], env="e:Bad", behaviour_score=10.0),
        offline_table.runs([5.0], fraction=0.5),
    )


def improvements(folder, *parts):
    offline = offline_runs.read([offline_table.written(folder, *parts)])
    return offline_scores.improvements(offline)


def refused(folder, capsys, **flags):
    with pytest.raises(SystemExit, match="2"):
        offline_improvement.main(offline_improvement.Settings(**flags))
    assert not (folder / "out").exists()
    return capsys.readouterr().err


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study with all that can happen, analysed once: its files and its words."""
    folder = tmp_path_factory.mktemp("offline")
    study().to_csv(folder / "results.csv", index=False)
    command = [sys.executable, str(SCRIPT), "--results", str(folder), "--compare"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_all_files_are_written_and_named(made):
    folder, printed = made
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*.*")}
    assert files == {*WRITTEN, "results.csv"}
    for name in WRITTEN:
        assert str(folder / name) in printed.splitlines()[-1]


def test_the_terminal_says_what_was_found_in_words(made):
    words = made[1]
    assert "e:Plain, rollout@1a2b3c4d, 40k frames" in words
    assert (
        "- Reanalyse, MCTS: better than the policy that made the data on 2 of 3 data "
        "sets, not normalised on 1; above the best tenth of its episodes on 2 of 2."
    ) in words
    assert "- Reanalyse, MCTS over 2 data sets of 2 environments: median 4.03" in words
    assert "bootstrap intervals of as few as 3 seeds are too short." in words
    assert (
        "- behaviour cloning on e:Plain, rollout@1a2b3c4d, 40k frames: normalised "
        "score 1.03 (95 % t interval 0.721 to 1.35, 2 of 3 seeds above 1), not to be "
        "told from the policy that made the data: add seeds; not above the best tenth "
        "of the data's episodes (1.5)."
    ) in words
    assert "Cannot be normalised: Reanalyse, MCTS on e:Bad, rollout@1a2b" in words
    assert "Lost: behaviour cloning on atari:MsPacman, dqn@00ff00ff, 2M" in words
    assert "ended as diverged (row " in words
    assert "1 row is of a fraction other than 1: ignored." in words
    assert "behaviour cloning 53.3 / 48.5" in words
    assert "MuZero Unplugged 265.3 / 595.5" in words


def test_the_json_has_every_method_every_lost_run_and_nothing_that_is_no_json(made):
    found = json.loads((made[0] / WRITTEN[1]).read_text())
    assert found["schema"] == "scaling-unplugged/offline-improvement"
    assert found["schema_version"] == 1
    plain = found["improvements"][-2]
    assert (plain["env"], plain["method"]) == ("e:Plain", "Reanalyse, MCTS")
    assert plain["normalised_scores"] == [2.4, 2.6, 2.8]
    assert plain["normalised"] == pytest.approx(2.6)
    half = 4.302652729911275 * 0.2 / np.sqrt(3)  # t of 2 degrees of freedom
    assert plain["low"] == pytest.approx(2.6 - half)
    assert plain["high"] == pytest.approx(2.6 + half)
    assert plain["excludes_1"] is True
    assert plain["above_best_tenth"] is True
    assert plain["share_of_seeds_above_1"] == 1.0
    bad = next(each for each in found["improvements"] if each["env"] == "e:Bad")
    assert (bad["normalised"], bad["verdict"]) == (None, "not normalised")
    assert [lost["status"] for lost in found["lost"]] == ["diverged"]
    assert found["published"]["games"] == 46
    assert [level["runs"] for level in found["over_data_sets"]] == [6]


def test_the_tables_on_disk_agree_with_the_json(made):
    folder, _ = made
    rows = pd.read_csv(folder / WRITTEN[0])
    found = json.loads((folder / WRITTEN[1]).read_text())["improvements"]
    assert rows["normalised"].tolist() == pytest.approx(
        [
            np.nan if each["normalised"] is None else each["normalised"]
            for each in found
        ],
        nan_ok=True,
    )
    assert rows["verdict"].tolist() == [each["verdict"] for each in found]
    drawn = pd.read_csv(folder / "figures" / "offline_improvement.csv")
    assert drawn["mark"].value_counts().to_dict() == {
        **{"seed": 9, "published": 4, "mean": 3},
        "best tenth": 2,
    }


def test_the_figure_is_text_and_pixels(made):
    folder, _ = made
    svg = (folder / WRITTEN[2]).read_text()
    for text in ("behaviour = 1", "rollout@1a2b3c4d, 40k frames", "CRR, published"):
        assert f">{text}<" in svg
    with Image.open(folder / WRITTEN[3]) as image:
        assert image.width == 1280
        assert np.ptp(np.asarray(image.convert("L"))) > 200


def test_a_second_run_writes_the_same_bytes_in_whatever_order_rows_are(made, tmp_path):
    folder, _ = made
    rows = study().iloc[::-1]
    rows.to_csv(tmp_path / "results.csv", index=False)
    out = tmp_path / "out"
    settings = {"results": (tmp_path,), "out": out, "compare": True}
    offline_improvement.main(offline_improvement.Settings(**settings))
    first = {name: (out / name).read_bytes() for name in WRITTEN}
    for name in (WRITTEN[0], *WRITTEN[2:]):  # the JSON names files and rows
        assert first[name] == (folder / name).read_bytes(), name
    offline_improvement.main(offline_improvement.Settings(**settings))
    assert first == {name: (out / name).read_bytes() for name in WRITTEN}


def test_results_and_tables_are_read_together_and_results_are_the_default():
    path = pathlib.Path
    both = offline_improvement.Settings(results=(path("a"),), table=(path("b.csv"),))
    expected = (path("a/results.csv"), path("b.csv"))
    assert offline_improvement.sources(both) == expected
    alone = offline_improvement.Settings(table=(path("b.csv"),))
    assert offline_improvement.sources(alone) == (path("b.csv"),)
    plain = offline_improvement.sources(offline_improvement.Settings())
    assert plain == (path("results/results.csv"),)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (offline_table.runs([1.0], fraction=0), "has no run of fraction 1"),
        (offline_table.runs(["nan"]), "row 2 has a value of score"),
        (offline_table.runs([1.0]).drop(columns="seed"), "has no column seed"),
    ],
)
def test_bad_input_is_one_sentence_status_2_and_no_file(
    tmp_path, capsys, rows, message
):
    path = offline_table.written(tmp_path, rows)
    error = refused(tmp_path, capsys, table=(path,), out=tmp_path / "out")
    assert message in error
    assert error.count("\n") == 1


def test_an_output_that_is_a_file_is_refused(tmp_path, capsys):
    path = offline_table.written(tmp_path, offline_table.runs([1.0]))
    error = refused(tmp_path, capsys, table=(path,), out=path)
    assert "runs.csv is a file; give --out a directory." in error


def test_runs_that_all_failed_make_tables_without_a_figure(tmp_path, capsys):
    rows = offline_table.runs(["", ""], status="failed")
    path = offline_table.written(tmp_path, rows)
    offline_improvement.main(offline_improvement.Settings(table=(path,)))
    words = capsys.readouterr().out
    assert words.count("Lost: ") == 2
    assert "Nothing can be normalised, so there is no figure." in words
    assert not (tmp_path / "figures").exists()
    assert json.loads((tmp_path / WRITTEN[1]).read_text())["improvements"] == []
    assert (tmp_path / WRITTEN[0]).read_text().startswith("env,dataset,")


def test_a_single_seed_has_no_interval_and_says_so(tmp_path):
    found = improvements(tmp_path, offline_table.runs([30.0]))
    (said,) = offline_sentences.conclusions(found, [])
    assert "no interval" in said
    assert "one seed, which leaves nothing to judge its error by" in said


def test_methods_on_different_data_sets_are_not_to_be_compared(tmp_path):
    found = improvements(
        tmp_path,
        *(offline_table.runs([30.0, 31.0], env=f"e:{k}") for k in range(3)),
        *(offline_table.runs([20.0, 21.0], env=f"e:{k}", **CLONING) for k in range(2)),
    )
    levels = offline_levels.levels(found, 0)
    said = " ".join(offline_sentences.conclusions(found, levels))
    assert "The methods were not run on the same data sets" in said


def test_doubtful_runs_are_flagged(tmp_path):
    rows = offline_table.runs([30.0, 40.0], score_sd=0.1, eval_episodes=64)
    offline = offline_runs.read([offline_table.written(tmp_path, rows)])
    (said,) = offline_sentences.doubts(offline.runs)
    assert "one path repeated, not many episodes" in said


@pytest.mark.parametrize(("top", "scale"), [(100.0, "linear"), (200.0, "symlog")])
def test_the_axis_is_chosen_by_the_largest_score(tmp_path, top, scale):
    found = improvements(tmp_path, offline_table.runs([20.0, top]))
    drawn = offline_plots.improvement(found, compare=False)
    assert drawn is not None
    assert drawn.figure.axes[0].get_xscale() == scale


def test_one_wide_interval_does_not_flatten_the_rest(tmp_path):
    found = improvements(
        tmp_path,
        offline_table.runs([20.0, 30.0, 80.0]),
        offline_table.runs([19.0, 21.0], **CLONING),
    )
    drawn = offline_plots.improvement(found, compare=False)
    assert drawn is not None
    left, right = drawn.figure.axes[0].get_xlim()
    wide = found[0].interval
    assert wide is not None
    assert (wide.low, wide.high) < (left, right)
    assert right == pytest.approx(7 + 3.5, rel=0.05)
    assert left == pytest.approx(-3.5, rel=0.2)


def test_ways_of_acting_are_shades_of_one_hue_and_bars_keep_theirs(tmp_path):
    found = improvements(
        tmp_path,
        offline_table.runs([30.0]),
        offline_table.runs([28.0], action="policy"),
        offline_table.runs([20.0], **CLONING),
    )
    (group,) = offline_bars.groups(found, compare=True)
    first, second, cloned = (bar.colour.upper() for bar in group.bars)
    assert (first, cloned) == ("#0072B2", "#E69F00")
    assert second not in (first, cloned)


def test_published_bars_stand_once_beside_each_game(tmp_path):
    found = improvements(
        tmp_path,
        offline_table.runs([30.0], **PACMAN),
        offline_table.runs([31.0], **{**PACMAN, "dataset_frames": 4e6}),
    )
    groups = offline_bars.groups(found, compare=True)
    assert [len(group.bars) for group in groups] == [5, 1]
    assert [len(g.bars) for g in offline_bars.groups(found, compare=False)] == [1, 1]


def test_names_with_dollars_are_drawn_as_they_are(tmp_path):
    found = improvements(tmp_path, offline_table.runs([30.0], dataset="a$b$c_{"))
    drawn = offline_plots.improvement(found, compare=False)
    assert drawn is not None
    stream = io.BytesIO()
    drawn.figure.savefig(stream, format="svg")
    assert b"a$b$c_{, 40k frames" in stream.getvalue()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 25.0, [0, 0.5, 1, 2, 5, 10, 20]),
        (-3.0, 12.0, [-2, -1, -0.5, 0, 0.5, 1, 2, 5, 10]),
        (-0.2, 5000.0, [0, 1, 10, 100, 1000]),
    ],
)
def test_logarithmic_axes_have_round_ticks(low, high, expected):
    assert offline_plots.log_ticks(low, high).tolist() == expected


def test_help_is_quick(tmp_path):
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--help"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0
    assert b"--compare" in done.stdout
    assert time.perf_counter() - start < 3  # under 1 s on an idle machine


def test_a_directory_without_results_says_how_to_make_some(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    error = refused(tmp_path, capsys)
    assert "There is no table results/results.csv; make a data set with" in error
    assert list(tmp_path.iterdir()) == []
