"""The command: what it writes, prints and refuses."""

import json
import math
import pathlib
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from analysis import fit_scaling, records, table, terminal
from analysis import study as study_of
from scaling import results

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = ROOT / "analysis" / "fit_scaling.py"
FIGURES = ["score_vs_frames", "residuals", "lambda_profile", "extrapolation"]
FIGURES += ["heat_map", "frames_to_score", "score_vs_compute", "iso_score"]
ENDS = ("svg", "png", "csv")
WRITTEN = ["cells.csv", "fit.json", "report.html"]
WRITTEN += [f"figures/{name}.{end}" for name in FIGURES for end in ENDS]


def study(budgets=5, seeds=4, fractions=(0.0, 0.95), **columns):
    rng = np.random.default_rng(11)
    rows = []
    for fraction in fractions:
        for frames in np.geomspace(1e4, 1e6, budgets).round():
            for seed in range(seeds):
                score = 200 + (10 + 90 * fraction) * math.log10(frames / 1e4)
                cell = {"frames": frames, "fraction": fraction, "seed": seed}
                rows.append(cell | {"score": score + 5 * rng.normal()} | columns)
    return pd.DataFrame(rows)


def run(folder: pathlib.Path, rows: pd.DataFrame) -> None:
    rows.to_csv(folder / "0.csv", index=False)
    out = folder / "out"
    fit_scaling.main(fit_scaling.Settings(table=(folder / "0.csv",), out=out))


@pytest.fixture(scope="module")
def harness(tmp_path_factory):
    """A study as the harness leaves it, analysed once."""
    folder = tmp_path_factory.mktemp("study")
    rows = study(env="jumanji:PacMan-v1", status="ok", design="factorial")
    for number, row in enumerate(rows.to_dict("records")):
        states = round(row["frames"] / (1 - row["fraction"]))
        whole = row | {"run_id": str(number), "searched_states": states}
        results.write_row(folder / "runs" / str(number), whole)
    results.write_table(folder)
    fit_scaling.main(fit_scaling.Settings(results=folder))
    return folder


def analysed(folder: pathlib.Path, rows: pd.DataFrame) -> dict:
    """What `run` returns of one environment, printed but not drawn or written."""
    rows.to_csv(folder / "0.csv", index=False)
    settings = fit_scaling.Settings(table=(folder / "0.csv",))
    runs = table.read_tables(settings.table)
    here = study_of.analyse(runs, study_of.Options())
    terminal.show(here)
    return json.loads(records.as_json([here], None, settings.table))["environments"][0]


def test_a_known_study_is_recovered(tmp_path, capsys):
    here = analysed(tmp_path, study(env="jumanji:PacMan-v1"))
    assert (here["env"], here["design"]) == ("jumanji:PacMan-v1", "factorial")
    plain, best = here["fits"]
    assert (plain["curve"], best["curve"]) == ("0", "0.95")
    assert best["slope_per_decade"] == pytest.approx(95.5, rel=0.1)
    low, high = best["slope_interval"]["low"], best["slope_interval"]["high"]
    assert low < best["slope_per_decade"] < high
    assert high - low < 20
    assert best["verdict"] == "consistent"
    assert best["seeds_per_budget"]["10000"] == 4
    assert [law["law"] for law in best["laws"]][:2] == ["constant", "log-linear"]
    assert here["equal_slopes"]["p"] < 1e-6
    assert here["multipliers"][0]["of"] == "0.95"
    assert here["flags"] == []
    assert "At fraction 0.95, the score rises with frames" in capsys.readouterr().out


def test_a_study_is_written_whole(harness):
    files = {p.relative_to(harness).as_posix() for p in harness.rglob("*.*")}
    written = {name for name in files if not name.startswith((".", "runs", "results"))}
    assert written == set(WRITTEN)
    found = json.loads((harness / "fit.json").read_text())
    assert (found["schema"], found["schema_version"]) == ("scaling-unplugged/fit", 2)
    cells = pd.read_csv(harness / "cells.csv")
    assert len(cells) == 10
    assert {"mean", "median", "sd", "runs"} <= set(cells)


def test_a_second_run_writes_the_same_bytes(harness):
    first = {name: (harness / name).read_bytes() for name in WRITTEN}
    fit_scaling.main(fit_scaling.Settings(results=harness))
    for name, content in first.items():
        assert (harness / name).read_bytes() == content, name


def test_every_printed_formula_equals_the_stored_prediction(harness):
    found = json.loads((harness / "fit.json").read_text())
    names = {name: getattr(math, name) for name in ("log10", "log", "exp", "expm1")}
    stored = [
        (law["formula"], law["prediction"])
        for fit in found["environments"][0]["fits"]
        for law in fit["laws"]
    ]
    assert len(stored) == 8
    for formula, prediction in stored:
        printed = [eval(formula, names, {"frames": n}) for n in prediction["frames"]]
        assert printed == pytest.approx(prediction["score"], rel=1e-8)


def test_several_tables_make_several_environments(tmp_path):
    study(env="a").to_csv(tmp_path / "a.csv", index=False)
    study(env="b", budgets=1, seeds=1).to_csv(tmp_path / "b.csv", index=False)
    runs = table.read_tables([tmp_path / "a.csv", tmp_path / "b.csv"])
    found = [
        study_of.analyse(part, study_of.Options()) for _, part in runs.groupby("env")
    ]
    assert [here.env for here in found] == ["a", "b"]
    small = records.fit_record(found[1].findings[1])
    assert small["verdict"] == "underpowered"
    assert small["slope_per_decade"] is None
    assert "needs at least 2 distinct budgets" in small["sentence"]


def test_controls_are_curves_of_their_own(tmp_path, capsys):
    control = study(fractions=(0.0,)).assign(control=0.95)
    rows = pd.concat([study(), control])
    here = analysed(tmp_path, rows)
    assert [fit["curve"] for fit in here["fits"]] == ["0", "0.95", "control for 0.95"]
    bases = [multiplier["base"] for multiplier in here["multipliers"]]
    assert bases == ["0", "control for 0.95"]
    assert "in frames of the control for 0.95" in capsys.readouterr().out


def test_a_path_refuses_slopes_of_fractions_by_name(tmp_path, capsys):
    rows = study(fractions=(0.0,))
    rows["fraction"] = 1 - rows["frames"] / 1e6
    here = analysed(tmp_path, rows)
    assert here["design"] == "path"
    assert [fit["curve"] for fit in here["fits"]] == ["path"]
    assert here["refusals"][0]["model"] == "slope at fraction 0"
    assert "Refused (slope at fraction 0," in capsys.readouterr().out


def test_lost_runs_are_shown(tmp_path, capsys):
    rows = study().assign(status="ok")
    rows.loc[0, ["status", "score"]] = ["failed", None]
    here = analysed(tmp_path, rows)
    assert here["fits"][0]["not_ok"] == 1
    assert here["statuses"] == {"failed": 1, "ok": 39}
    assert "runs: 1 failed, 39 ok" in capsys.readouterr().out


def test_a_study_whose_runs_all_failed_is_no_crash(tmp_path, capsys):
    rows = study(budgets=2, seeds=1).assign(status="failed", score="")
    run(tmp_path, rows)
    assert "nothing is fitted" in capsys.readouterr().out
    assert "nothing is fitted" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reference": ("9",)}, "--reference takes ENV=SCORE"),
        ({"reference": ("a=b",)}, "--reference takes ENV=SCORE"),
        ({"power": (0.0,)}, "--power takes differences"),
    ],
)
def test_bad_options_are_one_sentence(tmp_path, capsys, change, message):
    study().to_csv(tmp_path / "0.csv", index=False)
    settings = fit_scaling.Settings(table=(tmp_path / "0.csv",), **change)
    with pytest.raises(SystemExit, match="2"):
        fit_scaling.main(settings)
    assert message in capsys.readouterr().err


def test_checkpoints_of_one_run_are_never_consistent(tmp_path):
    here = analysed(tmp_path, study(curve_of="run-1"))
    assert here["fits"][1]["verdict"] == "underpowered"
    assert "checkpoints" in here["fits"][1]["sentence"]


def test_a_falling_score_and_a_poor_bend_are_said_in_words(tmp_path, capsys):
    rows = study(budgets=6)
    rows["score"] = -50 * (rows["frames"] > 3e5) - 5 * (rows["frames"] > 2e4)
    rows["score"] += np.random.default_rng(0).normal(size=len(rows))
    best = analysed(tmp_path, rows)["fits"][1]
    assert best["verdict"] == "accelerating"
    assert "the score falls with frames, by " in best["sentence"]
    assert "A steady bend does not fit either" in best["sentence"]
    assert "interval -" not in best["sentence"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (study().drop(columns="seed"), "no column seed"),
        (pd.concat([study(), study()]), "is a second run"),
        (study().assign(fraction=2), "outside [0, 1]"),
        (study().assign(frames=0), "learned from 0 frames"),
    ],
)
def test_bad_input_is_one_sentence_status_2_and_no_file(
    tmp_path, capsys, rows, message
):
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path, rows)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert "0.csv" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_refused(tmp_path, capsys):
    study().to_csv(tmp_path / "runs.csv", index=False)
    settings = fit_scaling.Settings(
        table=(tmp_path / "runs.csv",), out=tmp_path / "runs.csv" / "deep"
    )
    with pytest.raises(SystemExit, match="2"):
        fit_scaling.main(settings)
    assert "runs.csv is a file" in capsys.readouterr().err


def test_every_column_of_the_table_that_is_read_is_registered():
    read = {*table.REQUIRED, *table.NUMBERS, *table.WORDS} - {"compute"}
    assert read <= set(results.COLUMNS)


def test_the_script_runs_from_elsewhere_and_help_is_quick(tmp_path):
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--help"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0
    assert b"--results" in done.stdout
    assert time.perf_counter() - start < 3  # under 1 s on an idle machine
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "There is no table results/results.csv" in done.stderr
    assert list(tmp_path.iterdir()) == []
