"""Rows and the table: every run once, never a torn file."""

import csv
import json
import multiprocessing
import os
import stat

import pytest

from scaling import config, results

SETTINGS = config.Settings(env="jumanji:PacMan-v1")


def write_run(directory, seed, **columns):
    cell = config.Cell(frames=1000, fraction=0.5, seed=seed)
    row = results.identity(SETTINGS, cell, "factorial") | columns
    results.write_row(directory / "runs" / row["run_id"], row)
    return row


def read_table(directory):
    with (directory / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_row_has_the_columns_of_the_contract():
    contract = """run_id, study, env, frames, agent_steps, frames_per_step,
    dataset_frames, demonstration_frames, fraction, realised_fraction, seed, score,
    score_sd, eval_episodes, searched_states, learner_updates, samples,
    samples_per_search, environments, lanes, sources, flops, wall_clock_s, hardware,
    status, attempts, resumes, design, control, score_kind, curve_of,
    behaviour_score, random_score, digest, config_hash, code_version"""
    assert set(contract.replace(",", " ").split()) <= set(results.COLUMNS)


def test_a_row_is_read_as_written(tmp_path):
    row = write_run(tmp_path, 0, score=12.5, status="ok")
    again = results.read_row(tmp_path / "runs" / row["run_id"])
    assert again is not None
    assert list(again) == list(results.COLUMNS)
    assert {name: again[name] for name in row} == row
    assert again["score_sd"] is None


def test_there_is_no_row_before_the_run(tmp_path):
    assert results.read_row(tmp_path) is None
    assert not results.remove_row(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff"])
def test_a_damaged_row_is_refused_with_what_to_do(tmp_path, text):
    (tmp_path / "result.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match="delete it to run the cell again"):
        results.read_row(tmp_path)


def test_a_row_of_another_version_is_refused_with_what_to_do(tmp_path):
    row = write_run(tmp_path, 0, status="ok")
    path = tmp_path / "runs" / row["run_id"] / "result.json"
    path.write_text(json.dumps({"run_id": row["run_id"], "status": "ok"}))
    assert results.read_row(path.parent) is not None  # an older one has less
    path.write_text(json.dumps({**row, "elo": 1, "rank": 2}))
    with pytest.raises(ValueError, match=r"columns elo, rank are unknown") as caught:
        results.read_row(path.parent)
    assert str(caught.value).endswith("delete the file to run the cell again.")


def test_a_damaged_row_costs_no_other_row_its_place(tmp_path):
    rows = [write_run(tmp_path, seed, status="ok") for seed in range(3)]
    torn = tmp_path / "runs" / rows[1]["run_id"] / "result.json"
    torn.write_text("{")
    with pytest.raises(ValueError, match="is not valid JSON") as caught:
        results.write_table(tmp_path)
    assert str(torn) in str(caught.value)
    assert [row["seed"] for row in read_table(tmp_path)] == ["0", "2"]


def test_unregistered_columns_are_refused(tmp_path):
    with pytest.raises(ValueError, match="unregistered columns \\['scroe'\\]"):
        results.write_row(tmp_path, {"scroe": 1})


def test_a_score_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        results.write_row(tmp_path, {"score": float("nan")})
    assert not list(tmp_path.iterdir())


def test_the_table_has_every_run_once_in_order(tmp_path):
    for seed in (10, 2, 1):
        write_run(tmp_path, seed, score=seed / 2, status="ok")
    results.write_table(tmp_path)
    results.write_table(tmp_path)
    rows = read_table(tmp_path)
    assert [row["seed"] for row in rows] == ["1", "2", "10"]
    assert list(rows[0]) == list(results.COLUMNS)
    assert (rows[0]["score"], rows[0]["score_sd"]) == ("0.5", "")


def test_notes_keep_commas_and_quotes(tmp_path):
    note = 'worker said "no", twice'
    write_run(tmp_path, 0, note=note)
    results.write_table(tmp_path)
    assert read_table(tmp_path)[0]["note"] == note


def test_a_failed_row_says_why(tmp_path):
    known = results.identity(
        SETTINGS, config.Cell(frames=1, fraction=0.0, seed=0), "factorial"
    )
    row = results.failed_row(known, "failed", "out of memory", attempts=2, resumes=1)
    results.write_row(tmp_path, row)
    again = results.read_row(tmp_path)
    assert again is not None
    assert (again["status"], again["note"]) == ("failed", "out of memory")
    assert (again["attempts"], again["resumes"], again["score"]) == (2, 1, None)
    assert results.remove_row(tmp_path)
    assert results.read_row(tmp_path) is None


def test_files_are_replaced_whole_and_readable_by_others(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    results.write_atomically(path, "old")
    results.write_atomically(path, "new")
    assert path.read_text() == "new"
    assert [each.name for each in path.parent.iterdir()] == ["file.txt"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def _write_and_tabulate(directory, seeds):
    for seed in seeds:
        write_run(directory, seed, status="ok")
        results.write_table(directory)


def test_parallel_writers_lose_no_row(tmp_path):
    spawn = multiprocessing.get_context("spawn")  # a fork of threads is not safe
    writers = [
        spawn.Process(target=_write_and_tabulate, args=(tmp_path, range(i, 80, 8)))
        for i in range(8)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert sorted(int(row["seed"]) for row in read_table(tmp_path)) == list(range(80))
    assert {path.name for path in tmp_path.iterdir()} == {
        "runs",
        "results.csv",
        ".results.lock",
    }
