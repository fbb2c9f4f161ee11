"""Borrowed data on the command line: what is planned, what is refused."""

import pathlib
import re

import numpy as np
import pytest

from launch import borrowing, running, sweep, train
from scaling import config
from scaling.datasets import episodes, identity, manifest, writer

DEMO = ["--preset", "demo"]
OFFLINE = ["--fraction", "1", "--dataset", "DATA"]
MIXED = "recent:0.5,demonstrations:0.5"


def store(path: pathlib.Path, env="jumanji:PacMan-v1", lengths=(30, 50, 20), **known):
    head = manifest.Header(
        observation_shape=(2,),
        observation_dtype="|u1",
        protocol=manifest.Recording(
            env=env,
            num_actions=5,
            action_set="own",
            frame_skip=1,
            reward_kind="raw",
            **known,
        ),
        action_map={i: i for i in range(5)},
        provenance={"kind": "test"},
    )
    with writer.EpisodeWriter(path, head) as out:
        for length in lengths:
            facts = np.zeros(length, np.int32), np.ones(length, np.float32)
            seen = np.zeros((length + 1, 2), np.uint8)
            out.append(episodes.Episode(seen, *facts, True))
        out.finish()
    return path


@pytest.fixture
def planned(monkeypatch):
    """What `carry_out` is asked for, instead of carrying it out."""
    found = []

    def carry_out(asked, how, execute, parallel, *apart):
        found.append(asked)
        return 0

    monkeypatch.setattr(running, "carry_out", carry_out)
    return found


def test_a_run_of_fraction_1_takes_all_of_its_data_set(tmp_path, planned):
    data = store(tmp_path / "data")
    flags = ["--fraction", "1", "--dataset", str(data), "--searches", "6e5"]
    assert train.train([*DEMO, *flags]) == 0
    (asked,) = planned
    (cell,) = asked.cells
    assert (cell.frames, cell.fraction, cell.searches) == (100, 1.0, 600_000)
    assert asked.bound.settings.data == config.Data(dataset=identity.identity(data))


def test_budgets_of_fraction_1_are_sizes_of_the_data_set(tmp_path, planned):
    data = store(tmp_path / "data")
    flags = ["--budgets", "30,100", "--fractions", "0.5,1", "--searches", "5000"]
    sweep.sweep([*DEMO, *flags, "--seeds", "1", "--dataset", str(data)])
    found = [(c.frames, c.fraction, c.searches) for c in planned[0].cells]
    assert found == [
        (30, 0.5, None),
        (100, 0.5, None),
        (30, 1.0, 5000),
        (100, 1.0, 5000),
    ]


def test_what_is_in_the_data_names_the_study_and_not_where_it_lies(tmp_path, planned):
    flags = ["--fraction", "1", "--searches", "5000", "--dataset"]
    for path in ("a/data", "b/data"):
        train.train([*DEMO, *flags, str(store(tmp_path / path))])
    train.train([*DEMO, *flags, str(store(tmp_path / "c/data", lengths=(100,)))])
    hashes = [config.study_hash(asked.bound.settings) for asked in planned]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--fraction", "1"], "give one with --dataset PATH"),
        (["--fraction", "1", "--dataset", "DATA"], "give the number of searched"),
        (["--fraction", "0.5", "--frames", "100", "--dataset", "DATA"], "no fraction"),
        (["--fraction", "0.5"], "give --frames"),
        (["--fraction", "0.5", "--frames", "9", "--searches", "9"], "is for fraction"),
        (
            [
                "--fraction",
                "1",
                "--dataset",
                "DATA",
                "--searches",
                "9",
                "--frames",
                "101",
            ],
            "101 frames of a data set that has 100",
        ),
        (
            ["--fraction", "1", "--dataset", "OTHER", "--searches", "9"],
            "has the environment jumanji:Maze-v0",
        ),
        (["--fraction", "1", "--dataset", "NOWHERE"], "is not a store of episodes"),
        (["--fraction", "1", "--dataset", "hdfs://x/y"], "is an address"),
        (
            [
                "--fraction",
                "0.5",
                "--frames",
                "100",
                "--sources",
                "recent:0.5,demonstrations:0.5",
            ],
            "--demonstrations PATH",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, planned, flags, words):
    places: dict[str, str] = {
        "DATA": str(store(tmp_path / "data")),
        "OTHER": str(store(tmp_path / "other", "jumanji:Maze-v0")),
        "NOWHERE": str(tmp_path / "nowhere"),
    }
    with pytest.raises(ValueError, match=re.escape(words)):
        train.train([*DEMO, *(places.get(flag) or flag for flag in flags)])
    assert planned == []


@pytest.mark.parametrize(
    ("env", "sticky", "words"),
    [
        ("atari:MsPacman", None, "sticky actions of 0.25"),
        ("gymnasium:CartPole-v1", 0.1, "sticky actions of 0.1"),
        ("jumanji:Snake-v1", None, "may be random"),
        ("gymnasium:CartPole-v1", None, None),
    ],
)
def test_the_best_of_random_episodes_comes_with_the_paper_s_warning(env, sticky, words):
    settings = config.Settings(
        env=env,
        sources="recent:0.5,best:0.5",
        protocol=config.Protocol(sticky=sticky),
    )
    found = borrowing.bind(settings, borrowing.NO_DATA, [0.5]).warnings
    assert [words in warning and "biases" in warning for warning in found] == (
        [True] if words else []
    )


def test_differences_of_protocol_are_told(tmp_path):
    data = store(tmp_path / "data", sticky=0.0)
    settings = config.Settings(
        env="jumanji:PacMan-v1", protocol=config.Protocol(sticky=0.25)
    )
    bound = borrowing.bind(settings, borrowing.Data(dataset=data), [1.0])
    assert ["sticky 0.0" in warning for warning in bound.warnings] == [True]
