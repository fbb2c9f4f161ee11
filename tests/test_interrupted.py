"""A run that was interrupted, any number of times, ends with the same numbers."""

import dataclasses
import functools
import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import test_run

from scaling import (
    checkpoint,
    execution,
    ledger,
    rings,
    run,
    saving,
    snapshots,
    training,
)
from scaling.agent import model as models
from scaling.envs import registry

CARTPOLE = dataclasses.replace(test_run.SETTINGS, env="gymnasium:CartPole-v1")
OFTEN = execution.Execution(checkpoint_calls=3)
GAMES = {"device": test_run.SETTINGS, "gymnasium": CARTPOLE}


class StopAfter:
    """Asks to stop at a given poll."""

    def __init__(self, polls):
        self.polls = polls

    def __call__(self):
        self.polls -= 1
        return self.polls < 0


def journal(directory: pathlib.Path) -> list[dict]:
    """The lines of a run's log but for its clock."""
    lines = map(json.loads, (directory / "metrics.jsonl").read_text().splitlines())
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def parameters(settings, directory) -> list[np.ndarray]:
    if registry.is_device(settings.env):
        spec = registry.make_device(settings.env, settings.protocol).spec
    else:
        spec = registry.make_host(settings.env, settings.protocol, 1).spec
    shape = jax.eval_shape(models.make_model(spec, settings).init, jax.random.key(0))
    return jax.tree.leaves(checkpoint.load_params(directory, shape))


def broken(settings, directory, polls, how=OFTEN):
    """Makes a run that is stopped after each number of polls; returns row, events."""
    events = []
    for number in polls:
        with pytest.raises(ledger.Interrupted, match="goes on from there"):
            run.run(
                settings,
                test_run.cell(),
                directory,
                how=how,
                stop=StopAfter(number),
                report=events.append,
            )
    row = run.run(settings, test_run.cell(), directory, how=how, report=events.append)
    return row, events


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """Returns the row and the directory of a run that nothing interrupted."""

    @functools.cache
    def make(name):
        directory = tmp_path_factory.mktemp(name)
        return run.run(GAMES[name], test_run.cell(), directory), directory

    return make


@pytest.mark.parametrize(
    "name", ["device", pytest.param("gymnasium", marks=pytest.mark.slow)]
)
def test_an_interrupted_run_ends_with_the_same_numbers(name, unbroken, tmp_path):
    expected, directory = unbroken(name)
    settings = GAMES[name]
    row, events = broken(settings, tmp_path, [1, 3, 0, 2, 4])
    for column in ("digest", "score", "score_sd", "searched_states", "note"):
        assert row[column] == expected[column]
    assert journal(tmp_path) == journal(directory)
    pairs = zip(
        parameters(settings, tmp_path), parameters(settings, directory), strict=True
    )
    for ours, theirs in pairs:
        np.testing.assert_array_equal(ours, theirs)
    resumed = [event["call"] for event in events if event["event"] == "resumed"]
    assert len(resumed) == 5
    assert resumed == sorted(resumed)
    assert resumed[-1] > resumed[0] > 0
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.slow
def test_an_environment_that_cannot_be_put_back_is_said_in_the_row(tmp_path):
    row, _ = broken(test_run.HOST, tmp_path, [2])
    assert "resumed_at_episode_boundary" in row["note"]
    assert row["searched_states"] == 1200


def interrupted(directory) -> pathlib.Path:
    """The checkpoints of a run that was stopped after several of them."""
    with pytest.raises(ledger.Interrupted):
        run.run(
            test_run.SETTINGS,
            test_run.cell(),
            directory,
            how=OFTEN,
            stop=StopAfter(5),
        )
    return directory / "checkpoints"


def damage(file: pathlib.Path, how: str) -> None:
    content = bytearray(file.read_bytes())
    if how == "truncated":
        content = content[: len(content) // 2]
    elif how == "flipped":
        content[len(content) // 2] ^= 1
    if how == "deleted":
        file.unlink()
    else:
        file.write_bytes(bytes(content))


def test_a_checkpoint_with_any_damaged_file_is_skipped(tmp_path):
    root = interrupted(tmp_path)
    store = snapshots.Store(root, keep=2)
    newest, skipped = store.newest()
    assert newest is not None
    assert not skipped
    older = max(
        int(p.name)
        for p in root.iterdir()
        if p.name.isdigit() and int(p.name) < newest.call
    )
    named = json.loads(
        json.loads((newest.directory / "manifest.json").read_text())["body"]
    )
    only_here = json.loads(
        json.loads((root / f"{older:012d}" / "manifest.json").read_text())["body"]
    )["files"]
    files = [newest.directory / "manifest.json"]
    for name in named["files"]:
        if not name.startswith("chunks/"):
            files.append(newest.directory / name)
        elif name not in only_here:
            files.append(root / name)
    assert len(files) > 5
    copy = tmp_path / "copy"
    for file in files:
        if not file.stat().st_size:
            continue
        for how in ("truncated", "flipped", "deleted"):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(root, copy)
            damage(copy / file.relative_to(root), how)
            found, skipped = snapshots.Store(copy, keep=2).newest()
            assert found is not None, (file, how)
            assert found.call == older, (file, how)
            assert len(skipped) == 1
            assert skipped[0].endswith(".")


def test_a_run_whose_newest_checkpoint_is_torn_goes_on_from_the_one_before(
    unbroken, tmp_path
):
    root = interrupted(tmp_path)
    newest = max(int(path.name) for path in root.iterdir() if path.name.isdigit())
    damage(root / f"{newest:012d}" / "rest-0000.bin", "flipped")
    events = []
    how = dataclasses.replace(OFTEN, keep_replay=True)
    row = run.run(
        test_run.SETTINGS, test_run.cell(), tmp_path, how=how, report=events.append
    )
    assert row["digest"] == unbroken("device")[0]["digest"]
    kept, _ = snapshots.Store(root, keep=2).newest()
    assert kept is not None
    assert (
        kept.call
        == json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])["call"]
    )
    (resumed,) = [event for event in events if event["event"] == "resumed"]
    assert 0 < resumed["call"] < newest
    assert "is damaged" in resumed["skipped"][0]


def test_only_what_changed_is_written_again(tmp_path):
    root = interrupted(tmp_path)
    whole = sum(file.stat().st_size for file in (root / "chunks").iterdir())
    calls = {file.name.split("-")[-1] for file in (root / "chunks").iterdir()}
    assert whole > 0
    assert len(calls) <= 2  # of the two that are kept


def test_a_manifest_cannot_lead_out_of_its_folder(tmp_path):
    root = interrupted(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("x")
    store = snapshots.Store(root, keep=2)
    for name in ("../../secret", "/etc/passwd", "chunks/../../secret"):
        with pytest.raises(ValueError, match="outside"):
            store._locate(root / "1", name)


def test_checkpoints_of_another_run_are_not_gone_on_from(tmp_path):
    interrupted(tmp_path)
    other = dataclasses.replace(test_run.SETTINGS, samples_per_search=0.5)
    events = []
    with pytest.raises(ledger.Interrupted):
        run.run(
            other,
            test_run.cell(),
            tmp_path,
            how=OFTEN,
            stop=StopAfter(0),
            report=events.append,
        )
    assert events[0]["call"] == 0
    assert "are of another run" in events[0]["skipped"][0]


@pytest.mark.slow
def test_every_checkpoint_holds_the_state_of_its_call(tmp_path, monkeypatch):
    """Chunks of a few slots, so that all borders are met; one call at a time."""
    monkeypatch.setattr(rings, "_LEAST", 8)
    monkeypatch.setattr(rings, "_MOST", 10**6)
    monkeypatch.setattr(training, "_next_number", lambda number, seconds: 1)
    save, checked = training._save, []

    def save_and_compare(run, now):
        now = save(run, now)
        run.saver.wait()
        root = tmp_path / "checkpoints"
        snapshot, skipped = snapshots.Store(root, 2).newest()
        assert snapshot is not None
        assert (snapshot.call, skipped) == (now.call, [])
        reader = saving.Saver(snapshots.Store(root, 2), [0, 1], 0, None)
        restored = reader.restore(now.state, snapshot).state
        pairs = zip(
            jax.tree_util.tree_leaves_with_path(restored),
            jax.tree.leaves(now.state),
            strict=True,
        )
        for (path, ours), theirs in pairs:
            if jnp.issubdtype(theirs.dtype, jax.dtypes.prng_key):
                ours, theirs = map(jax.random.key_data, (ours, theirs))
            np.testing.assert_array_equal(ours, theirs, jax.tree_util.keystr(path))
        checked.append(now.call)
        return now

    monkeypatch.setattr(training, "_save", save_and_compare)
    replay = dataclasses.replace(
        test_run.WRAPPING.replay, priority_exponent=1.0, importance_exponent=1.0
    )
    run.run(
        dataclasses.replace(test_run.WRAPPING, replay=replay),
        test_run.cell(),
        tmp_path,
        how=execution.Execution(checkpoint_calls=1, keep_checkpoints=1),
    )
    assert len(checked) > 100


def commit(store, call):
    directory = store.begin(call)
    files = [directory / "own.bin", store.chunks / f"steps-0000-00000-{call:012d}.bin"]
    for file in files:
        snapshots.write_bytes(file, bytes([call]))
    store.commit(call, files, {})


def test_damaged_newer_checkpoints_are_not_kept_instead_of_whole_ones(tmp_path):
    store = snapshots.Store(tmp_path, keep=1)
    commit(store, 9)
    damage(tmp_path / f"{9:012d}" / "own.bin", "flipped")
    for call in (3, 6):
        commit(store, call)
        newest, skipped = snapshots.Store(tmp_path, keep=1).newest()
        assert newest is not None
        assert (newest.call, skipped) == (call, [])


def test_a_call_that_comes_by_again_is_described_anew(tmp_path):
    store = snapshots.Store(tmp_path, keep=2)
    commit(store, 4)
    again = snapshots.Store(tmp_path, keep=2)
    assert again.newest()[0] is not None  # it knows the chunks that are there
    directory = again.begin(4)
    chunk = again.chunks / f"steps-0000-00000-{4:012d}.bin"
    snapshots.write_bytes(chunk, b"of another run")
    snapshots.write_bytes(directory / "own.bin", b"its own")
    again.commit(4, [directory / "own.bin", chunk], {})
    newest, skipped = snapshots.Store(tmp_path, keep=2).newest()
    assert newest is not None
    assert skipped == []
