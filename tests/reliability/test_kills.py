"""Runs that are killed end as if nothing had happened, and differences are seen."""

import itertools
import json
import random

import kills
import leftovers
import numpy as np
import pytest

from scaling import checkpoint, results, snapshots

KILLS = 7  # of each game, so 21 over the three


@pytest.mark.slow
@pytest.mark.parametrize("game", kills.GAMES)
def test_killed_runs_end_as_if_nothing_had_happened(game, tmp_path):
    report = kills.kill_runs(game, KILLS, tmp_path)
    print(kills.table([report]))
    assert report.differences == []
    assert report.lost == 0
    assert report.kills == KILLS
    assert report.resumes > 0
    assert len(report.places) > 1


SOUND = {
    "score": 1.5,
    "attempts": 1,
    "seconds": 2.0,
    "loss": 0.25,
    "params": 1.0,
    "whole": 2.0,
    "environments": 3,
    "rest": b"rest",
    "chunk": b"c" * 200,
    "written": 4,  # the call in which the chunk was written
    "call": 8,
}


def fake_run(directory, **changed):
    """Writes what a finished run leaves; returns its directory."""
    facts = {**SOUND, **changed}
    row = {"status": "ok", "wall_clock_s": facts["seconds"]}
    row |= {name: facts[name] for name in ("score", "attempts")}
    results.write_row(directory, row)
    line = {"kind": "train", "seconds": facts["seconds"], "loss": facts["loss"]}
    (directory / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    checkpoint.save_arrays(directory / "params", {"w": np.full(3, facts["params"])})
    store = snapshots.Store(directory / "checkpoints", keep=2)
    unfinished = store.begin(facts["call"])
    checkpoint.save_arrays(unfinished / "whole", {"0000": np.full(2, facts["whole"])})
    np.savez_compressed(unfinished / "environments-0.npz", at=facts["environments"])
    (unfinished / "rest-0000.bin").write_bytes(facts["rest"])
    chunk = store.chunks / f"steps-0000-00000-{facts['written']:012d}.bin"
    chunk.write_bytes(facts["chunk"])
    files = [file for file in unfinished.rglob("*") if file.is_file()]
    meta = {"notes": [], "journal_bytes": len(str(facts["seconds"]))}
    store.commit(facts["call"], [*files, chunk], meta)
    return directory


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return leftovers.contents(fake_run(tmp_path_factory.mktemp("sound")))


def test_clocks_and_attempts_are_no_differences(expected, tmp_path):
    run = fake_run(tmp_path, attempts=9, seconds=77.25, written=7)
    assert leftovers.differences(leftovers.contents(run), expected) == []


@pytest.mark.parametrize(
    ("fact", "value", "named"),
    [
        ("score", 1.5000000000000002, "result.json, score is b'1.5000000000000002'"),
        ("loss", 0.2500001, "metrics.jsonl, line 1 is"),
        ("params", np.nextafter(1.0, 2), "params['w'] is"),
        ("whole", -2.0, "checkpoint, whole['0000'] is"),
        ("environments", 4, "checkpoint, environments-0.npz['at'] is"),
        ("rest", b"Rest", "checkpoint, rest-0000.bin is b'Rest' instead of b'rest'"),
        (
            "chunk",
            b"c" * 150 + b"C" + b"c" * 49,
            "checkpoint, chunks/steps-0000-00000 differs from byte 150 of 200 on, in "
            "1 of them, and has 200",
        ),
        ("call", 9, "checkpoint, meta is"),
    ],
)
def test_any_other_difference_is_reported(expected, tmp_path, fact, value, named):
    run = fake_run(tmp_path, **{fact: value})
    (found,) = leftovers.differences(leftovers.contents(run), expected)
    assert found.startswith(named)


def test_a_damaged_checkpoint_is_reported(expected, tmp_path):
    run = fake_run(tmp_path)
    (chunk,) = (run / "checkpoints" / "chunks").iterdir()
    chunk.write_bytes(b"C" + chunk.read_bytes()[1:])
    found = "\n".join(leftovers.differences(leftovers.contents(run), expected))
    assert "steps-0000-00000-000000000004.bin is not what was written" in found
    assert "checkpoint, rest-0000.bin is missing" in found


@pytest.mark.parametrize(
    ("new", "place"),
    [
        ([], "before its first checkpoint"),
        (["checkpoints/.000000000002.unfinished"], "writing a checkpoint"),
        (["checkpoints/000000000002"], "between checkpoints"),
        (["checkpoints/000000000002", "checkpoints/000000000003"], "deleting old ones"),
        (["checkpoints/000000000002", "params"], "final evaluation"),
        (["params", "result.json"], "after its row"),
    ],
)
def test_the_place_of_a_kill_is_read_from_the_disk(tmp_path, new, place):
    run = tmp_path / "runs" / "run"
    (run / "checkpoints" / "000000000001").mkdir(parents=True)
    (run / "checkpoints" / ".000000000001.unfinished").mkdir()  # of a kill before
    sights = kills.Sights(tmp_path)
    for name in new:
        (run / name).mkdir()
    assert sights.place() == place


def test_moments_are_of_all_kinds_and_decided_by_the_seed():
    def some(seed):
        return list(itertools.islice(kills.draw(random.Random(seed)), 100))

    assert some("0 atari") == some("0 atari")
    assert some("0 atari") != some("1 atari")
    every = {"start", "checkpoint", "committed", "unfinished", "params"}
    assert {moment.sight for moment in some("0 atari")} == every


def test_a_moment_comes_after_so_many_checkpoints_although_few_are_kept(tmp_path):
    root = tmp_path / "runs" / "run" / "checkpoints"
    root.mkdir(parents=True)
    sights, third = kills.Sights(tmp_path), kills.Moment("checkpoint", 3, 0.0)
    seen = []
    for call in ("000000000001", "000000000002", "000000000003"):
        for old in root.iterdir():
            old.rmdir()
        (root / call).mkdir()
        seen.append(sights.sees(third))
    assert seen == [False, False, True]


def test_many_differences_of_one_kind_do_not_hide_the_others():
    theirs = {f"metrics.jsonl, line {n}": b"1" for n in range(30)} | {
        "params['w']": b""
    }
    ours = dict.fromkeys(theirs, b"2") | {"result.json, new": b""}
    found = leftovers.differences(ours, theirs, most=3)
    assert [each.split()[0] for each in found] == [
        *["metrics.jsonl,"] * 3,
        "params['w']",
        "result.json,",
    ]
