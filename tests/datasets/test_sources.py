"""Layouts are told apart by what lies there; games and actions by names and ROMs."""

import json

import numpy as np
import pytest
import recorded

from scaling.datasets import atari_actions, dqn_replay, rlu_atari, sources


def rlu(folder):
    features = recorded.rlu_features(np.zeros((3, 84, 84), np.uint8), [0, 8], [0, 1])
    shard = folder / "run_1-00000-of-00050"
    return recorded.rlu_shard(shard, [recorded.example(features)])


def dqn(folder):
    frames = np.ones((4, 84, 84), np.uint8)
    return recorded.dqn_folder(folder, [(frames, [0, 1, 2, 5], [0, 0, 0, 1])], 8)


def test_rl_unplugged_is_found_by_file_and_by_folder(tmp_path):
    shard = rlu(tmp_path / "MsPacman")
    for path in (shard, shard.parent):
        layout = sources.find(str(path))
        assert layout == ("rl_unplugged", path, "atari:MsPacman")


def test_dqn_replay_is_found_by_run_and_by_logs(tmp_path):
    logs = tmp_path / "Pong" / "1" / "replay_logs"
    dqn(logs)
    for path in (logs, logs.parent):
        assert sources.find(str(path)) == ("dqn_replay", logs, "atari:Pong")


def test_minari_is_found_by_its_metadata(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "metadata.json").write_text("{}")
    assert sources.find(str(tmp_path)) == ("minari", tmp_path / "data", None)


def test_what_is_nothing_is_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="has none of the layouts that are known"):
        sources.find(str(tmp_path))
    with pytest.raises(ValueError, match=r"There is no .*nowhere.* download it first"):
        sources.find(str(tmp_path / "nowhere"))


def test_minimal_actions_are_mapped_among_all(tmp_path):
    """The ALE's manual: Ms. Pac-Man has no-op and the eight directions, no fire."""
    rlu(tmp_path / "MsPacman")
    layout = sources.find(str(tmp_path / "MsPacman"))
    opened = sources.open_source(layout, None, None, "refuse")
    assert isinstance(opened, rlu_atari.RluAtari)
    assert list(opened.header.action_map.items()) == list(
        enumerate([0, 2, 3, 4, 5, 6, 7, 8, 9])
    )
    (read,) = opened.episodes(0)
    assert read.episode.actions.tolist() == [0, 9]


def test_a_game_and_actions_of_the_user(tmp_path):
    dqn(tmp_path / "logs")
    layout = sources.find(str(tmp_path / "logs"))
    assert layout.env is None
    with pytest.raises(ValueError, match="do not name the game; give it with --env"):
        sources.open_source(layout, None, None, "refuse")
    opened = sources.open_source(layout, "atari:Pong", "0,1,3,4,11,17", "refuse")
    assert isinstance(opened, dqn_replay.DqnReplay)
    assert opened.header.action_map == {0: 0, 1: 1, 2: 3, 3: 4, 4: 11, 5: 17}
    (read,) = opened.episodes(0)
    assert read.episode.actions.tolist() == [0, 1, 3, 17]


def test_actions_beyond_the_game_s_are_named(tmp_path):
    dqn(tmp_path / "logs")  # with action 5
    layout = sources.find(str(tmp_path / "logs"))
    opened = sources.open_source(layout, "atari:Breakout", None, "refuse")
    with pytest.raises(ValueError, match=r"episode 0, has the action 5, .* --actions"):
        list(opened.episodes(0))


def test_a_game_with_fewer_legal_actions():
    """Skiing has no fire: its full set has 9 (ALE, issue 691)."""
    sets = atari_actions.action_sets("atari:Skiing")
    assert sets.full == (0, 2, 3, 4, 5, 6, 7, 8, 9)
    assert atari_actions.minimal_to_full(sets) == {0: 0, 1: 2, 2: 3}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "numbers with commas"),
        ("0,1,", "numbers with commas"),
        ("0,-1", "numbers with commas"),
        ("0,1,1", "different actions from 0 to 17"),
        ("0,18", "different actions from 0 to 17"),
    ],
)
def test_maps_that_are_none_are_refused(text, why):
    with pytest.raises(ValueError, match=why):
        atari_actions.parse_map(text, 18)


def test_games_that_are_none_are_refused():
    for name in ("atari:Nothing", "gymnasium:Pong", "atari:pong"):
        with pytest.raises(ValueError, match=r"is no game of ale-py"):
            atari_actions.action_sets(name)


def test_minari_without_h5py_says_what_to_install(tmp_path, monkeypatch):
    space = {"type": "Box", "shape": [2]}
    action = {"type": "Discrete", "n": 3, "start": 0}
    metadata = {
        "total_episodes": 1,
        "data_format": "hdf5",
        "observation_space": json.dumps(space),
        "action_space": json.dumps(action),
    }
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    layout = sources.find(str(tmp_path))
    with pytest.raises(ValueError, match=r"need h5py; run: pip install"):
        sources.open_source(layout, None, None, "refuse")
    with pytest.raises(ValueError, match=r"--actions is for Atari"):
        sources.open_source(layout, None, "0,1", "refuse")
