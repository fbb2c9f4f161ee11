"""The command: one line when it is done, resumable, and sentences for bad input."""

import dataclasses
import importlib
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from launch import import_dataset
from scaling.datasets import episodes, sources

ROOT = pathlib.Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "datasets"))
recorded: Any = importlib.import_module("recorded")


@pytest.fixture
def game(tmp_path):
    rng = np.random.default_rng(0)
    for shard in range(2):
        examples = []
        for steps in (2, 3):
            frames = rng.integers(0, 256, (steps + 1, 84, 84)).astype(np.uint8)
            rewards = rng.integers(0, 50, steps) * 10.0
            actions = rng.integers(0, 9, steps)
            features = recorded.rlu_features(frames, actions, rewards)
            examples.append(recorded.example(features))
        name = f"run_1-{shard:05d}-of-00002"
        recorded.rlu_shard(tmp_path / "MsPacman" / name, examples)
    return tmp_path / "MsPacman"


def run(*flags):
    return import_dataset.import_dataset([str(flag) for flag in flags])


def test_importing_and_verifying(game, tmp_path, capsys):
    assert run(game, "--out", tmp_path / "store", "--verify") == 0
    out = capsys.readouterr().out
    assert "store: 4 episodes of atari:MsPacman, 10 steps, 40 frames, raw" in out
    assert out.rstrip().endswith("every checksum verified")
    header = episodes.open_store(tmp_path / "store").header
    assert header.provenance["command"].startswith("import_dataset.py ")
    assert str(game) in header.provenance["command"]


def test_a_finished_store_is_left_as_it_is(game, tmp_path, capsys):
    run(game, "--out", tmp_path / "store")
    before = recorded.tree(tmp_path / "store")
    assert run(game, "--out", tmp_path / "store", "--verify") == 0
    assert recorded.tree(tmp_path / "store") == before
    assert capsys.readouterr().out.count("4 episodes") == 2


def test_a_store_of_another_source_is_not_taken_for_this_one(game, tmp_path):
    run(game, "--out", tmp_path / "store")
    with pytest.raises(ValueError, match="holds another data set, or this one by"):
        run(game, "--out", tmp_path / "store", "--actions", "0,1,2,3,4,5,6,7,8")
    with pytest.raises(ValueError, match="holds another data set"):
        run(game / "run_1-00000-of-00002", "--out", tmp_path / "store")


def test_verifying_finds_what_was_damaged_since(game, tmp_path):
    run(game, "--out", tmp_path / "store")
    path = tmp_path / "store" / "rewards-00000.npy"
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"rewards-00000.npy .* episodes 0 to 3 are"):
        run(game, "--out", tmp_path / "store", "--verify")


def in_small_chunks(*args, open_source=sources.open_source):
    source = open_source(*args)
    source.header = dataclasses.replace(source.header, chunk_bytes=1)
    return source


def test_an_interrupted_import_goes_on(game, tmp_path, monkeypatch):
    """With other words for the source: the command that began it is recorded."""
    monkeypatch.setattr(sources, "open_source", in_small_chunks)
    words = [str(game), "--out", str(tmp_path / "store")]
    report = import_dataset.Bar.imported

    def interrupt(self, progress):
        report(self, progress)
        if progress.episodes == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(import_dataset.Bar, "imported", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(*words)
    assert not (tmp_path / "store").exists()
    monkeypatch.setattr(import_dataset.Bar, "imported", report)
    monkeypatch.chdir(tmp_path)
    run("MsPacman", "--out", "store")
    command = episodes.open_store(tmp_path / "store").header.provenance["command"]
    assert str(game) in command


def test_bad_input_is_one_sentence_and_leaves_nothing(game, tmp_path):
    shard = game / "run_1-00001-of-00002"
    shard.write_bytes(shard.read_bytes()[:-20])
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "launch" / "import_dataset.py"),
            str(game),
            "--out",
            str(tmp_path / "store"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")
    assert "run_1-00001-of-00002" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["MsPacman"]


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--env", "atari:Pacmann"], "ale-py has no environment"),
        (["--env", "atari:Combat"], "two players"),
        (["--actions", "x"], "--actions must be numbers"),
    ],
)
def test_flags_that_do_not_fit_are_sentences(game, tmp_path, flags, why):
    with pytest.raises(ValueError, match=rf"{why}.*\.$"):
        run(game, "--out", tmp_path / "store", *flags)
    assert not (tmp_path / "store").exists()


def test_what_the_disk_refuses_is_a_sentence(game, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"file.* cannot be read or written .*\.$"):
        run(game, "--out", tmp_path / "file" / "store")


def test_steps_of_cut_episodes_are_counted(tmp_path, capsys):
    logs = tmp_path / "Pong" / "1" / "replay_logs"
    frames = np.ones((9, 84, 84), np.uint8)
    played = [(frames[:n], [1] * n, [0.0] * n) for n in (4, 9)]
    recorded.dqn_folder(logs, played, capacity=12)
    run(logs.parent, "--out", tmp_path / "store")
    out = capsys.readouterr().out
    assert "Left out: 4 steps of cut episodes." in out
    assert "1 episodes of atari:Pong, 4 steps, 16 frames, clipped rewards" in out


def test_help_says_what_can_be_imported(capsys):
    with pytest.raises(SystemExit) as stop:
        run("--help")
    assert stop.value.code == 0
    out = capsys.readouterr().out
    for word in ("Minari", "RL", "DQN", "--allow-lossy", "--verify", "--actions"):
        assert word in out
