"""The command: what it writes, prints, draws and refuses."""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false

import json
import pathlib
import subprocess
import sys

import ablation_study
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis import (
    ablation_findings,
    ablation_markdown,
    ablation_panels,
    ablation_plots,
    ablation_table,
    inference,
    sheets,
)

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = ROOT / "analysis" / "ablation_table.py"
WRITTEN = ["ablation.csv", "ablation_differences.csv", "ablation.json", "ablation.md"]
WRITTEN += [f"figures/ablation.{end}" for end in ("svg", "png", "csv")]
OTHER = {"env": "gymnasium:Pi$l|e_v1", "dataset": "mediocre@00ff00ff"}
LOST = {"status": "diverged", "note": "The loss is nan at update 12."}


def rows():
    """Two environments, of one of which a network was lost."""
    first = ablation_study.medians(1.0, 4.0, ablation_study.generator(1))
    lost = ablation_study.runs("crr-5", [""], seed=3, **LOST)
    other = ablation_study.medians(0.1, 4.0, ablation_study.generator(2), **OTHER)
    return ablation_study.table(first, lost), other


def settings(**flags):
    return ablation_table.Settings(**flags)


def refused(folder, capsys, **flags):
    with pytest.raises(SystemExit, match="2"):
        ablation_table.main(settings(**flags))
    assert not (folder / "out").exists()
    return capsys.readouterr().err


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study of two environments, analysed once: its files and its words."""
    folder = tmp_path_factory.mktemp("ablation")
    names = [
        str(ablation_study.study(folder / name, part))
        for name, part in zip(("one", "two"), rows(), strict=True)
    ]
    command = [sys.executable, str(SCRIPT), "--results", *names, "--compare"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_all_files_are_written_and_named(made):
    folder, printed = made
    for name in WRITTEN:
        path = folder / "one" / name
        assert path.is_file()
        assert str(path) in printed.splitlines()[-1]
    assert not (folder / "two" / "figures").exists()


def test_the_terminal_says_what_was_found_in_words(made):
    words = made[1]
    assert "e:Plain, rollout@1a2b3c4d, 40k frames" in words
    assert "Normalised: 0 is random play (10), 1 the mean return of the data (20)" in (
        words
    )
    assert "- Reanalyse against supervised (unroll 5, MCTS): +" in words
    assert words.count("- Differences looked at: 29") == 3
    assert words.count("- Of 29 orderings of the paper, ") == 3
    assert "Over environments" in words
    assert "; above 0 on 2 of 2 data sets." in words
    assert "Published: median over 46 Atari games" in words
    assert "Lost: crr-5 on e:Plain, seed 3, ended as diverged (row " in words
    assert ": The loss is nan at update 12." in words
    assert "crr-5 3 (1 lost)" in words


def test_the_json_has_every_cell_difference_and_ordering(made):
    found = json.loads((made[0] / "one" / "ablation.json").read_text())
    assert found["schema"] == "scaling-unplugged/ablation"
    assert found["schema_version"] == 1
    plain, other = found["tasks"]
    assert (plain["env"], other["env"]) == ("e:Plain", OTHER["env"])
    assert len(plain["cells"]) == 14
    cell = plain["cells"][0]
    raw = rows()[0]
    mine = raw[(raw["target"] == "supervised") & (raw["unroll_steps"] == 0)]
    assert cell["scores"] == pytest.approx(mine["score_policy"].astype(float).tolist())
    assert cell["normalised"] == pytest.approx((cell["score"] - 10) / 10)
    assert len(plain["differences"]) == 29
    orders = plain["paper_orderings"]
    assert sorted(orders) == ["does not hold", "holds", "undecided"]
    assert sum(map(len, orders.values())) == 29
    assert len(orders["holds"]) > 15
    (over,) = found["over_environments"]
    assert len(over["differences"]) == 29
    assert over["differences"][0]["bootstrap"]["low"] is not None
    assert [lost["seed"] for lost in found["lost"]] == ["3"]
    assert found["published"]["medians"][-1]["mcts"] == 265.3


def test_the_csv_has_every_seed_and_every_lost_network(made):
    cells = pd.read_csv(made[0] / "one" / "ablation.csv")
    assert cells["mark"].value_counts().to_dict() == {
        **{"seed": 2 * 14 * 3, "mean": 2 * 14},
        "diverged": 1,
    }
    key = ["env", "target", "unroll_steps", "action"]
    means = cells[cells["mark"] == "mean"].set_index(key)["normalised"]
    seeds = cells[cells["mark"] == "seed"].groupby(key)["normalised"].mean()
    pd.testing.assert_series_equal(
        means.sort_index(), seeds.sort_index(), check_names=False
    )
    differences = pd.read_csv(made[0] / "one" / "ablation_differences.csv")
    assert len(differences) == 3 * 29
    assert (differences["holm_p"] >= differences["p"]).all()
    decided = (differences["low"] > 0) | (differences["high"] < 0)
    assert (differences["paper_order"].ne("undecided") == decided).all()


def test_the_page_has_a_table_a_data_set_and_the_lists(made):
    page = (made[0] / "one" / "ablation.md").read_text()
    heads = [line for line in page.splitlines() if line.startswith("## ")]
    assert heads == [
        "## e:Plain, rollout@1a2b3c4d, 40k frames",
        "## gymnasium:Pi$l\\|e\\_v1, mediocre@00ff00ff, 40k frames",
        "## Over environments",
        "## The paper's orderings",
        "## The paper's table",
        "## What to know of these runs",
    ]
    assert page.count("### Contributions") == 3
    assert page.count("### The paper's orderings") == 3
    for lines in page.split("\n\n"):
        if lines.startswith("| "):
            widths = {line.replace("\\|", "").count("|") for line in lines.split("\n")}
            assert len(widths) == 1
    assert str(made[0]) not in page.split("## What to know of these runs")[0]


def test_the_figure_is_text_and_pixels(made):
    svg = (made[0] / "one" / "figures" / "ablation.svg").read_text()
    for text in (
        "gymnasium:Pi$l|e_v1",
        "Published: Schrittwieser et al. 2021",
        "265.3",
        "CRR",
    ):
        assert f">{text}<" in svg
    with Image.open(made[0] / "one" / "figures" / "ablation.png") as image:
        assert image.width > 1500
        pixels = np.asarray(image.convert("L"))
        assert np.ptp(pixels) > 150
        # Nothing is cut: the edge is the colour of the paper.
        edges = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
        assert all((edge == 255).all() for edge in edges)


def test_the_numbers_of_the_figure_are_those_of_the_table(made):
    folder = made[0] / "one"
    drawn = pd.read_csv(folder / "figures" / "ablation.csv")
    assert drawn.groupby("panel").size().to_dict() == {
        **dict.fromkeys(["e:Plain", OTHER["env"]], 15),
        **dict.fromkeys(
            ["Mean over 2 data sets", "Published: Schrittwieser et al. 2021"], 15
        ),
    }
    cells = pd.read_csv(folder / "ablation.csv")
    means = cells[(cells["mark"] == "mean") & (cells["env"] == "e:Plain")]
    shown = drawn[(drawn["panel"] == "e:Plain") & drawn["value"].notna()]
    assert sorted(shown["value"]) == pytest.approx(sorted(means["normalised"]))


def test_a_second_run_writes_the_same_bytes_in_whatever_order_rows_are(made, tmp_path):
    parts = [part.iloc[::-1] for part in rows()]
    path = ablation_study.written(tmp_path, *reversed(parts))
    flags = {"table": (path,), "out": tmp_path / "out", "compare": True}
    ablation_table.main(settings(**flags))
    first = {name: (tmp_path / "out" / name).read_bytes() for name in WRITTEN}
    for name in ("ablation.csv", "ablation_differences.csv", *WRITTEN[4:]):
        # The other two name files and rows.
        assert first[name] == (made[0] / "one" / name).read_bytes(), name
    ablation_table.main(settings(**flags))
    assert first == {name: (tmp_path / "out" / name).read_bytes() for name in WRITTEN}


def test_one_environment_of_raw_scores_with_one_seed(tmp_path, capsys):
    parts = [
        ablation_study.runs("supervised-5", [1.0], [2.0], [3.0]),
        ablation_study.runs("reanalyse-5", [4.0], [5.0], [6.0]),
    ]
    raw = {"behaviour_score": "", "random_score": "", "fraction": 0.9, "frames": 7000}
    path = ablation_study.written(tmp_path, *(part.assign(**raw) for part in parts))
    ablation_table.main(settings(table=(path,)))
    words = capsys.readouterr().out
    assert "e:Plain, rollout@1a2b3c4d, 7k frames, fraction 0.9" in words
    assert "Raw scores only, since 2 of 2 networks have no behaviour_score." in words
    assert "Over environments" not in words
    assert "The paper's table is of offline data" in words
    assert (tmp_path / "figures" / "ablation.png").is_file()


def test_networks_that_were_all_lost_make_no_figure(tmp_path, capsys):
    path = ablation_study.written(
        tmp_path, ablation_study.runs("crr-5", ["", ""], **LOST)
    )
    ablation_table.main(settings(table=(path,)))
    assert capsys.readouterr().out.count("Lost: crr-5") == 2
    assert not (tmp_path / "figures").exists()
    assert json.loads((tmp_path / "ablation.json").read_text())["tasks"] == []


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (ablation_study.runs("crr-5", ["nan"]), "row 2 has a value of score_policy"),
        (
            ablation_study.runs("crr-5", [1.0]).drop(columns="score_mcts"),
            "has no column score_mcts",
        ),
        (ablation_study.runs("crr-5", [1.0, 2.0], seed=4), "is a second network of"),
    ],
)
def test_bad_input_is_one_sentence_status_2_and_no_file(
    tmp_path, capsys, part, message
):
    path = ablation_study.written(tmp_path, part)
    error = refused(tmp_path, capsys, table=(path,), out=tmp_path / "out")
    assert message in error
    assert error.count("\n") == 1


def test_directories_and_outputs_that_will_not_do_are_refused(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    error = refused(tmp_path, capsys)
    assert "results/ablation is no directory; train the columns" in error
    error = refused(tmp_path, capsys, results=(tmp_path,))
    assert "has no results.csv, nor has any folder in it" in error
    path = ablation_study.written(tmp_path, ablation_study.runs("crr-5", [1.0]))
    error = refused(tmp_path, capsys, table=(path,), out=path)
    assert "runs.csv is a file; give --out a directory." in error


def test_noise_does_not_look_like_a_pattern():
    tile = ablation_panels.Tile
    interval = inference.Interval(-2.0, 2.0)
    wide = [tile(0.0, "", "", interval), tile(1.0, "", "", interval)]
    assert ablation_plots.colour_ends(wide) == (-1.5, 2.5)
    apart = [tile(0.0, "", ""), tile(10.0, "", "")]
    assert ablation_plots.colour_ends(apart) == (0.0, 10.0)
    assert ablation_plots.colour_ends([tile(3.0, "", "")]) == (2.5, 3.5)


def contrast(one, other):
    """The contrast of WCAG 2 between two colours, channel by channel."""
    levels = []
    for colour in (one, other):
        channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in channels
        ]
        red, green, blue = linear
        levels.append(0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)
    return max(levels) / min(levels)


@pytest.mark.parametrize("share", np.linspace(0, 1, 21))
def test_numbers_can_be_read_on_every_colour(share):
    face = ablation_plots.colour(float(share))
    assert contrast(face, ablation_plots.text_colour(face)) >= 4


def test_many_data_sets_are_drawn_up_to_a_number(tmp_path, monkeypatch):
    monkeypatch.setattr(ablation_plots, "MOST_PANELS", 2)
    parts = [ablation_study.runs("crr-5", [1.0], env=f"e:{n}") for n in range(4)]
    found = ablation_findings.findings(ablation_study.read(tmp_path, *parts), 0)
    drawn = ablation_plots.heat_maps(found, compare=True)
    assert drawn is not None
    assert len(drawn.figure.axes) == 2
    assert "The first 2 of 5 panels" in drawn.caption
    assert drawn.data["panel"].nunique() == 2


def test_markup_in_names_is_text():
    sheet = sheets.Sheet("t", ("a|b", "<i>"), [["x*y_z", "`[q]`"]])
    assert ablation_markdown.table(sheet).splitlines() == [
        "| a\\|b | \\<i> |",
        "| --- | ---: |",
        "| x\\*y\\_z | \\`\\[q]\\` |",
    ]


def test_help_imports_nothing_slow(tmp_path):
    show = "import sys; print(*sys.modules)"
    command = (
        f"import runpy; sys.argv = ['x', '--help']; runpy.run_path({str(SCRIPT)!r}"
    )
    command = f"import sys\ntry:\n {command}, run_name='__main__')\nfinally:\n {show}"
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "--compare" in done.stdout
    modules = done.stdout.splitlines()[-1].split()
    assert "analysis.fit_scaling" in modules
    assert not {"pandas", "scipy", "matplotlib", "numpy"} & set(modules)
