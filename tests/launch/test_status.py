"""Where a study stands: read from its directory alone, shown and written as a page."""

import contextlib
import dataclasses
import json

import pytest

from launch import standing, status, status_page, status_words, study, wanted
from scaling import config, lease, ledger, presets, results
from scaling.buckets import keeping

SETTINGS = presets.preset("demo").settings
CELLS = [config.Cell(frames=4000, fraction=0.5, seed=seed) for seed in range(5)]


def place(out, cell):
    return out / "runs" / config.run_id(SETTINGS, cell)


def begin(out, cell, lines=()):
    directory = place(out, cell)
    number = ledger.begin(directory)
    values = {"settings": config.as_dict(SETTINGS), "cell": config.as_dict(cell)}
    (directory / "config.json").write_text(json.dumps(values))
    text = "".join(json.dumps({"kind": "train", **line}) + "\n" for line in lines)
    (directory / "metrics.jsonl").write_text(text)
    return directory, number


def finish(out, cell, status="ok", **row):
    directory, number = begin(out, cell)
    identity = results.identity(SETTINGS, cell, "factorial")
    results.write_row(directory, {**identity, "status": status, **row})
    ledger.end(directory, number, "finished" if status == "ok" else "failed")


@pytest.fixture
def out(tmp_path):
    """A study: finished, failed, running, stopped, and one that nobody has begun."""
    study.claim(tmp_path, SETTINGS)
    wanted.note(tmp_path, CELLS)
    finish(tmp_path, CELLS[0], score=317.4)
    finish(tmp_path, CELLS[1], "failed", note="out of <luck>")
    lines = [
        {"searched": 1000, "seconds": 60.0},
        {"searched": 4000, "seconds": 90.0},
    ]
    directory, _ = begin(tmp_path, CELLS[2], lines)
    held = lease.acquire(directory)
    directory, number = begin(tmp_path, CELLS[3], lines[:1])
    ledger.end(directory, number, "interrupted", "It was asked to stop.")
    yield tmp_path
    held.release()


def test_every_state_is_told_from_the_files(out):
    found = standing.of_study(out, lease.Observer())
    states = [run.state for run in found.runs]
    assert states == ["finished", "failed", "running", "stopped", "to run"]
    finished, failed, running, stopped, _ = found.runs
    assert finished.score == 317.4
    assert failed.note == "out of <luck>"
    assert running.rate == 100.0
    assert running.total == 8000
    assert running.share == 0.5
    assert running.seconds_left == 40.0
    assert str(stopped.share) == "0.125"
    assert found.rate == 100.0
    # 4 000 of the one at work, 7 000 of the stopped one, 8 000 of the new one.
    assert found.seconds_left == 190.0


def test_a_run_whose_process_died_here_is_stopped(out):
    directory = place(out, CELLS[2])
    (path,) = (directory / "lease").iterdir()
    gone = json.loads(path.read_text())
    path.write_text(json.dumps({**gone, "pid": 2**22 + 1}))
    state = standing.of_run(out, SETTINGS, CELLS[2], lease.Observer()).state
    assert state == "stopped"


def test_a_damaged_run_is_one_cell_and_no_end(out):
    (place(out, CELLS[0]) / "result.json").write_text("{")
    found = standing.of_study(out, lease.Observer())
    assert found.runs[0].state == "damaged"
    assert "result.json" in found.runs[0].note
    assert found.count("running") == 1


def test_runs_are_found_where_nothing_says_what_was_wanted(out):
    (out / wanted.NAME).unlink()
    found = standing.of_study(out, lease.Observer())
    assert [run.cell for run in found.runs] == CELLS[:4]


def test_what_was_wanted_is_noted_once_and_survives_a_torn_line(tmp_path):
    wanted.note(tmp_path, CELLS[:2])
    wanted.note(tmp_path, CELLS[:3])
    wanted.note(tmp_path, CELLS[:3])
    lines = (tmp_path / wanted.NAME).read_text().splitlines()
    assert [len(json.loads(line)["cells"]) for line in lines] == [2, 1]
    assert wanted.cells_of(tmp_path) == CELLS[:3]
    with (tmp_path / wanted.NAME).open("a") as file:
        file.write('{"cells": [{"fra')
    assert wanted.cells_of(tmp_path) == CELLS[:3]


def test_the_command_shows_it_and_writes_the_page(out, capsys):
    assert status.status([str(out)]) == 1  # a run has failed
    shown = capsys.readouterr().out
    assert "317.4" in shown
    assert "50%, 40 s" in shown
    assert "stopped, 12%" in shown
    assert "out of <luck>" in shown
    assert "5 runs: 1 finished, 1 running, 1 stopped, 1 to run, 1 failed" in shown
    page = (out / "status.html").read_text()
    assert "out of &lt;luck&gt;" in page
    assert "<luck>" not in page
    assert "refresh" not in page
    assert "http://" not in page
    assert "https://" not in page


def test_the_page_loads_itself_again_while_it_is_watched(out):
    page = status_page.page(standing.of_study(out, lease.Observer()), 5.0)
    assert '<meta http-equiv="refresh" content="5">' in page


def test_watching_ends_when_all_is_done(tmp_path):
    study.claim(tmp_path, SETTINGS)
    finish(tmp_path, CELLS[0], score=1.0)
    assert status.status([str(tmp_path), "--watch", "0.01"]) == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["no/such/study"], "is not the directory of a study"),
        (["--watch", "0"], "--watch is a number of seconds"),
    ],
)
def test_bad_input_is_a_sentence(flags, message):
    with pytest.raises(ValueError, match=message) as caught:
        status.status(flags)
    assert str(caught.value).endswith(".")


def test_a_study_of_another_version_is_refused(tmp_path):
    study.claim(tmp_path, SETTINGS)
    values = json.loads((tmp_path / "study.json").read_text())
    values["settings"]["unheard_of"] = 1
    (tmp_path / "study.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match="of another version"):
        standing.of_study(tmp_path, lease.Observer())


def test_a_study_with_nothing_at_work_has_no_end(out):
    found = standing.of_study(out, lease.Observer())
    still = found.runs[2]._replace(state="stopped", rate=None)
    runs = [*found.runs[:2], still, *found.runs[3:]]
    words = status_words.summary(found._replace(runs=runs))
    assert "expected" not in words


def test_controls_have_rows_of_their_own(tmp_path):
    control = dataclasses.replace(CELLS[0], fraction=0.0, control_for=0.5)
    study.claim(tmp_path, SETTINGS)
    wanted.note(tmp_path, [CELLS[0], control])
    rows = status_words.rows(standing.of_study(tmp_path, lease.Observer()))
    assert [row[1] for row in rows] == ["0.5", "0 (control of 0.5)"]


def test_a_study_in_a_bucket_is_looked_at_in_a_copy(tmp_path, monkeypatch, capsys):
    study.claim(tmp_path / "study", SETTINGS)
    wanted.note(tmp_path / "study", CELLS[:1])
    begin(tmp_path / "study", CELLS[0])

    class Visit:
        directory = tmp_path / "study"

        def owner(self):
            return "host pid 7"

    @contextlib.contextmanager
    def visiting(directory, without):
        assert str(directory) == "gs:/bucket/study"
        assert without.fullmatch("runs/x/checkpoints/1/manifest.json")
        yield Visit()

    monkeypatch.setattr(keeping, "visiting", visiting)
    assert status.status(["gs://bucket/study"]) == 0
    out = capsys.readouterr().out
    assert "As last copied by host pid 7, which has not said that it ended" in out
    assert "4,000" in out
    assert (tmp_path / "study/status.html").exists()
