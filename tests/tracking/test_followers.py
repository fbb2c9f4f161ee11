"""However often a run is interrupted, what it leaves is that of one that was not."""

import contextlib
import json
import pathlib
import tempfile
import time

import event_files
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scaling import config, log, presets
from scaling.tracking import followers

SETTINGS = presets.preset("demo").settings
CELL = config.Cell(frames=4000, fraction=0.5, seed=0)
CALLS = 8


def lines_after(call: int) -> list[dict]:
    """What a run writes after a call: the same whenever it makes that call."""
    counts = {"call": call, "searched": 64 * call, "updates": 3 * call}
    line = {"kind": "train", **counts, "seconds": call**1.5, "loss": 1 / call}
    curve = {"kind": "curve", **counts, "score": float(call), "note": ""}
    return [line, curve] if call % 3 == 0 else [line]


def attempt(directory, position, first, stop, save_at, names=("tensorboard",)):
    """Makes the calls from `first` to before `stop`; returns the last checkpoint."""
    directory.mkdir(parents=True, exist_ok=True)
    follow = followers.of_run(names, directory, SETTINGS, CELL)
    saved = position, first
    with contextlib.closing(
        log.Journal(directory / "metrics.jsonl", follow)
    ) as journal:
        journal.go_on(position)
        for call in range(first, stop):
            for line in lines_after(call):
                journal.write(line)
            if call in save_at:
                saved = journal.position(), call + 1
    return saved


def run(directory, interruptions=(), save_at=(), names=("tensorboard",)):
    """Makes a run that is interrupted after calls; returns its directory."""
    position, first = {}, 1
    for stop in interruptions:
        stop = max(first, stop)
        position, first = attempt(directory, position, first, stop, save_at, names)
    attempt(directory, position, first, CALLS + 1, save_at, names)
    return directory


def check_equal(ours: pathlib.Path, theirs: pathlib.Path) -> None:
    our_events, their_events = (
        event_files.events(path / "tensorboard") for path in (ours, theirs)
    )
    assert [e.step for e in our_events] == [e.step for e in their_events]
    assert [e.scalars for e in our_events] == [e.scalars for e in their_events]
    our_times, their_times = (
        np.diff([e.wall_time for e in each]) for each in (our_events, their_events)
    )
    np.testing.assert_allclose(our_times, their_times, atol=1e-5)  # seconds since 1970


@given(
    interruptions=st.lists(st.integers(1, CALLS + 1), max_size=4),
    save_at=st.sets(st.integers(1, CALLS)),
)
@example(interruptions=[5, 5, 5], save_at=set())
@example(interruptions=[4, 9], save_at={3, 8})
def test_events_are_those_of_a_run_that_nothing_interrupted(interruptions, save_at):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        unbroken = run(folder / "unbroken")
        check_equal(run(folder / "broken", interruptions, save_at), unbroken)


def test_an_event_has_the_names_and_numbers_of_its_line(tmp_path):
    events = event_files.events(run(tmp_path / "run") / "tensorboard")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    for event, line in zip(events, map(json.loads, lines), strict=True):
        assert event.step == line["searched"]
        rates = {name for name in event.scalars if name.endswith("_per_second")}
        assert len(rates) == (2 if line["kind"] == "train" and line["call"] > 1 else 0)
        numbers = {k: v for k, v in line.items() if isinstance(v, int | float)}
        expected = {f"{line['kind']}/{k}": np.float32(v) for k, v in numbers.items()}
        assert {k: v for k, v in event.scalars.items() if k not in rates} == expected


def test_a_file_grows_at_the_place_where_it_was_cut(tmp_path):
    """TensorBoard, looking on, reads on from the byte where it was."""
    directory = tmp_path / "run"
    saved = attempt(directory, {}, 1, 6, {3})
    (path,) = (directory / "tensorboard").iterdir()
    before, same = path.read_bytes(), path.stat().st_ino
    attempt(directory, *saved, 4, ())
    cut = path.read_bytes()
    assert len(cut) < len(before)
    assert before.startswith(cut)
    attempt(directory, *saved, CALLS + 1, ())
    assert path.read_bytes().startswith(before)  # this run's clock repeats itself too
    assert path.stat().st_ino == same


@pytest.mark.parametrize("content", [b"", b"\x18", b"\x18" + bytes(50)])
def test_a_file_that_is_damaged_is_written_anew(content, tmp_path):
    folder = run(tmp_path / "run") / "tensorboard"
    (path,) = folder.iterdir()
    path.write_bytes(content)
    check_equal(run(tmp_path / "run"), run(tmp_path / "other"))
    whole = path.read_bytes()
    path.write_bytes(whole[:90] + b"x" + whole[91:])
    check_equal(run(tmp_path / "run"), run(tmp_path / "other"))


def test_time_in_a_file_is_that_of_the_run(tmp_path, monkeypatch):
    """A night between two attempts is not seen."""
    monkeypatch.setattr(time, "time", lambda: 1e9)
    saved = attempt(tmp_path / "run", {}, 1, 6, {3})
    monkeypatch.setattr(time, "time", lambda: 2e9)
    attempt(tmp_path / "run", *saved, CALLS + 1, ())
    events = event_files.events(tmp_path / "run" / "tensorboard")
    assert events[-1].wall_time == pytest.approx(1e9 + CALLS**1.5, abs=1)


def test_without_a_tracker_there_is_the_journal_alone(tmp_path):
    directory = run(tmp_path / "run", names=())
    assert [path.name for path in directory.iterdir()] == ["metrics.jsonl"]


def test_a_file_is_small(tmp_path):
    """A line of 20 numbers takes about as much as in the journal."""
    directory = tmp_path / "run"
    directory.mkdir()
    follow = followers.of_run(["tensorboard"], directory, SETTINGS, CELL)
    journal = log.Journal(directory / "metrics.jsonl", follow)
    journal.go_on({})
    numbers = {f"a_number_of_this_name_{n}": n / 3 for n in range(20)}
    for call in range(1, 101):
        journal.write({**lines_after(call)[0], **numbers})
    journal.close()
    (path,) = (directory / "tensorboard").iterdir()
    assert path.stat().st_size < 1.2 * (directory / "metrics.jsonl").stat().st_size


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_follower_that_never_began_closes(name, tmp_path):
    for follower in followers.of_run([name], tmp_path, SETTINGS, CELL):
        follower.close()
    assert not list(tmp_path.iterdir())
