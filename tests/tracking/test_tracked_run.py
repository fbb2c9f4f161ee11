"""A real run, interrupted and not: their event files."""

import dataclasses
import json

import event_files
import pytest
import test_interrupted
import test_run

from scaling import execution, run

HOW = execution.Execution(checkpoint_calls=3, track=("tensorboard",))
CLOCKED = ("train/seconds", "train/searched_per_second", "train/updates_per_second")


def points(directory):
    """The events of a run but for its clock; its numbers by the clock are there."""
    events = event_files.events(directory / "tensorboard")
    for event in events[1:]:
        if "train/seconds" in event.scalars:
            assert event.scalars.keys() >= set(CLOCKED)
    times = [event.wall_time for event in events]
    assert times == sorted(times)
    return [
        (event.step, {k: v for k, v in event.scalars.items() if k not in CLOCKED})
        for event in events
    ]


@pytest.mark.slow
def test_an_interrupted_run_leaves_the_events_of_one_that_was_not(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run.run(test_run.SETTINGS, test_run.cell(), whole, how=HOW)
    test_interrupted.broken(test_run.SETTINGS, parts, [1, 3, 0, 4], HOW)
    assert points(parts) == points(whole)
    lines = (whole / "metrics.jsonl").read_text().splitlines()
    assert len(points(whole)) == len(lines)
    last = json.loads(lines[-1])
    assert points(whole)[-1][1]["train/realised_fraction"] == pytest.approx(
        last["realised_fraction"]
    )


@pytest.mark.slow
def test_tracking_changes_nothing_in_a_run(tmp_path):
    tracked = run.run(test_run.SETTINGS, test_run.cell(), tmp_path / "a", how=HOW)
    without = dataclasses.replace(HOW, track=())
    plain = run.run(test_run.SETTINGS, test_run.cell(), tmp_path / "b", how=without)
    assert tracked["digest"] == plain["digest"]
    lines = [test_interrupted.journal(tmp_path / name) for name in "ab"]
    assert lines[0] == lines[1]
    assert not (tmp_path / "b" / "tensorboard").exists()
