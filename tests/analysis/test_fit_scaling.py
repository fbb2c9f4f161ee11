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

from analysis import efficiency, fit_scaling, records, report, table
from scaling import results

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = ROOT / "analysis" / "fit_scaling.py"
WRITTEN = [
    *("cells.csv", "figures/score_vs_frames.png", "figures/score_vs_frames.svg"),
    "fit.json",
]


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


def run(folder: pathlib.Path, *tables: pd.DataFrame) -> dict:
    paths = [folder / f"{number}.csv" for number in range(len(tables))]
    for path, rows in zip(paths, tables, strict=True):
        rows.to_csv(path, index=False)
    out = folder / "out"
    fit_scaling.main(fit_scaling.Settings(table=tuple(paths), out=out))
    files = sorted(p.relative_to(out).as_posix() for p in out.rglob("*.*"))
    assert files == sorted(WRITTEN)
    return json.loads((out / "fit.json").read_text())


def analysed(folder: pathlib.Path, rows: pd.DataFrame) -> dict:
    """What `run` returns of one environment, printed but not drawn or written."""
    rows.to_csv(folder / "0.csv", index=False)
    settings = fit_scaling.Settings(table=(folder / "0.csv",))
    runs = table.read_tables(settings.table)
    here = fit_scaling.analyse_environment(runs)
    report.show(here, efficiency.cells(runs))
    return json.loads(records.as_json([here], settings.table))["environments"][0]


def test_a_known_study_is_recovered_and_written_whole(tmp_path, capsys):
    found = run(tmp_path, study(env="jumanji:PacMan-v1"))
    assert (found["schema"], found["schema_version"]) == ("scaling-unplugged/fit", 1)
    (here,) = found["environments"]
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
    printed = capsys.readouterr().out
    assert "At fraction 0.95, the score rises with frames" in printed
    assert f"wrote {tmp_path / 'out' / 'fit.json'}" in printed
    cells = pd.read_csv(tmp_path / "out" / "cells.csv")
    assert len(cells) == 10
    assert {"mean", "median", "sd", "runs"} <= set(cells)


def test_a_second_run_writes_the_same_bytes(tmp_path):
    run(tmp_path, study())
    first = {name: (tmp_path / "out" / name).read_bytes() for name in WRITTEN}
    run(tmp_path, study())
    for name, content in first.items():
        assert (tmp_path / "out" / name).read_bytes() == content, name


def test_several_tables_make_several_environments(tmp_path):
    found = run(tmp_path, study(env="a"), study(env="b", budgets=1, seeds=1))
    small = found["environments"][1]["fits"][1]
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
    (here,) = run(tmp_path, rows)["environments"]
    assert here["fits"][0]["verdict"] == "underpowered"
    assert "nothing is fitted" in capsys.readouterr().out


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


def test_the_table_of_the_harness_is_read(tmp_path):
    for number, row in enumerate(study(seeds=2).to_dict("records")):
        whole = row | {"run_id": str(number), "env": "e", "status": "ok"}
        results.write_row(tmp_path / "runs" / str(number), whole)
    results.write_table(tmp_path)
    fit_scaling.main(fit_scaling.Settings(results=tmp_path))
    assert (tmp_path / "fit.json").exists()


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
