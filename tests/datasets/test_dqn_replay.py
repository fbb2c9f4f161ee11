"""DQN Replay's dumps, written by a plain ring as Dopamine's, are read back exactly."""

import numpy as np
import pytest
import recorded

from scaling.datasets import dqn_dumps, dqn_replay, episodes, importing

MAP = {0: 0, 1: 3, 2: 4}


def play(rng, steps):
    """Returns frames [T, 84, 84], actions and rewards [T]."""
    frames = rng.integers(0, 256, (steps, 84, 84)).astype(np.uint8)
    return frames, rng.integers(0, 3, steps), rng.integers(-1, 2, steps) * 1.0


@pytest.fixture
def played():
    rng = np.random.default_rng(0)
    return [play(rng, int(steps)) for steps in rng.integers(1, 15, 14)]


def source(folder):
    return dqn_replay.DqnReplay(folder, "atari:Pong", 18, MAP)


def expected(frames, actions, rewards):
    return episodes.Episode(
        observations=frames[..., None],
        actions=np.array([MAP[a] for a in actions], np.int32),
        rewards=rewards.astype(np.float32),
        terminated=True,
    )


def rows_of(played):
    return sum(3 + len(actions) for _, actions, _ in played)


def test_dumps_are_joined_and_read_back_exactly(tmp_path, played):
    """Episodes that a dump's end cuts are whole again; what was never dumped is not."""
    dumps = recorded.dqn_folder(tmp_path / "logs", played, capacity=30)
    assert dumps > 2
    opened = source(tmp_path / "logs")
    store = importing.import_source(opened, tmp_path / "store")
    dumped = 30 * dumps - 1  # rows
    whole = [p for i, p in enumerate(played) if rows_of(played[: i + 1]) <= dumped]
    assert len(store) == len(whole) > 5
    for read, wrote in zip(store, whole, strict=True):
        recorded.assert_equal(read, expected(*wrote))
        assert not read.has_last_observation
    assert opened.left_out == dumped - rows_of(whole)


def test_one_dump_of_a_ring_that_is_not_full(tmp_path, played):
    rows = rows_of(played)
    assert recorded.dqn_folder(tmp_path / "logs", played, capacity=rows + 1) == 1
    store = importing.import_source(source(tmp_path / "logs"), tmp_path / "store")
    assert len(store) == len(played)
    for read, wrote in zip(store, played, strict=True):
        recorded.assert_equal(read, expected(*wrote))


def test_later_dumps_alone_begin_with_the_first_whole_episode(tmp_path, played):
    recorded.dqn_folder(tmp_path / "logs", played, capacity=30)
    for path in (tmp_path / "logs").glob("*_ckpt.0.gz"):
        path.unlink()
    opened = source(tmp_path / "logs")
    store = importing.import_source(opened, tmp_path / "store")
    begun = [i for i in range(len(played)) if rows_of(played[:i]) >= 29]
    recorded.assert_equal(store[0], expected(*played[begun[0]]))
    assert opened.left_out > 0


@pytest.mark.parametrize("capacity", [17, 23, 30])
def test_dumps_that_do_not_follow_are_not_joined(tmp_path, played, capacity):
    """Nor is an episode that the first ends with joined to one that the next begins."""
    recorded.dqn_folder(tmp_path / "logs", played, capacity)
    for path in (tmp_path / "logs").glob("*_ckpt.1.gz"):
        path.unlink()
    store = importing.import_source(source(tmp_path / "logs"), tmp_path / "store")
    all_played = {expected(*p).observations.tobytes() for p in played}
    assert len(store) < len(played)
    assert all(read.observations.tobytes() in all_played for read in store)


def test_an_episode_that_begins_with_a_dump_after_an_end(tmp_path):
    """Without zeros before it, only the end in the dump before tells its beginning."""
    first = write(tmp_path / "logs", added=5)
    recorded.dump(tmp_path / "logs", 1, first, 10)
    store = importing.import_source(source(tmp_path / "logs"), tmp_path / "store")
    assert store.index.length.tolist() == [3, 2, 3, 2]


def test_without_counts_no_episode_is_mixed_up(tmp_path, played):
    recorded.dqn_folder(tmp_path / "logs", played, capacity=30, counted=False)
    store = importing.import_source(source(tmp_path / "logs"), tmp_path / "store")
    all_played = {expected(*p).observations.tobytes() for p in played}
    assert len(store) > 3
    assert all(read.observations.tobytes() in all_played for read in store)


def write(folder, added=None, **changes):
    """Writes dump 0 of 5 rows in order, without zeros before its episodes."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    ring = {
        "observation": rng.integers(1, 256, (5, 84, 84)).astype(np.uint8),
        "action": np.array([0, 1, 2, 1, 0], np.int32),
        "reward": np.array([0, 1, 0, -1, 0.5], np.float32),
        "terminal": np.array([0, 0, 1, 0, 1], np.uint8),
    } | changes
    recorded.dump(folder, 0, ring, added)
    return ring


def test_a_folder_without_padding_is_read_as_it_lies(tmp_path):
    ring = write(tmp_path / "logs")
    store = importing.import_source(source(tmp_path / "logs"), tmp_path / "store")
    bounds = [(0, 3), (3, 5)]
    for read, (start, stop) in zip(store, bounds, strict=True):
        rows = (ring[n][start:stop] for n in ("observation", "action", "reward"))
        recorded.assert_equal(read, expected(*rows))


def test_the_limit_of_steps_is_a_truncation(tmp_path, monkeypatch):
    monkeypatch.setattr(dqn_dumps, "MOST_STEPS", 3)
    write(tmp_path / "logs")
    store = importing.import_source(source(tmp_path / "logs"), tmp_path / "store")
    assert [read.terminated for read in store] == [False, True]


def test_rows_without_an_end_are_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(dqn_dumps, "MOST_STEPS", 1)
    write(tmp_path / "logs", terminal=np.zeros(5, np.uint8))
    why = r"terminal_ckpt.0.gz has 5 rows without an end, but no episode has more"
    with pytest.raises(ValueError, match=why):
        importing.import_source(source(tmp_path / "logs"), tmp_path / "store")


@pytest.mark.parametrize("kept", [1, 4])
def test_the_ones_before_are_skipped(tmp_path, played, kept):
    recorded.dqn_folder(tmp_path / "logs", played, capacity=30)
    opened = source(tmp_path / "logs")
    whole = [read.origin for read in opened.episodes(0)]
    left_out = opened.left_out
    assert [read.origin for read in opened.episodes(kept)] == whole[kept:]
    assert opened.left_out == left_out


WRONG = {
    "no end": ({"terminal": np.zeros(5, np.uint8)}, "has none that is whole"),
    "terminal 2": ({"terminal": np.array([0, 0, 2, 0, 1], np.uint8)}, "holds 2, but"),
    "rewards of another type": (
        {"reward": np.zeros(5)},
        r"reward_ckpt.0.gz holds float64 of shape \(5,\)",
    ),
    "fewer rewards": ({"reward": np.zeros(4, np.float32)}, "'reward': 4"),
    "NaN": (
        {"reward": np.array([0, 1, 2, np.nan, 0], np.float32)},
        r"observation_ckpt.0.gz, episode 1, has a NaN .* rewards at step 0",
    ),
    "action": (
        {"action": np.array([0, 1, 2, 7, 0], np.int32)},
        r"episode 1, has the action 7, but only 0, 1, 2 map",
    ),
    "shape": (
        {"observation": np.zeros((5, 84, 80), np.uint8)},
        r"uint8 of shape \(5, 84, 80\)",
    ),
    "a number": ({"terminal": np.zeros((), np.uint8)}, "one number instead of rows"),
}


@pytest.mark.parametrize(("changes", "why"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named_and_nothing_is_left(tmp_path, changes, why):
    write(tmp_path / "logs", **changes)
    with pytest.raises(ValueError, match=rf"{why}.*\.$"):
        importing.import_source(source(tmp_path / "logs"), tmp_path / "store")
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def test_missing_rewards_are_named(tmp_path):
    write(tmp_path / "logs")
    (tmp_path / "logs" / "$store$_reward_ckpt.0.gz").unlink()
    with pytest.raises(ValueError, match=r"reward_ckpt.0.gz is missing; dump 0 needs"):
        source(tmp_path / "logs")


@pytest.mark.parametrize("array", ["observation", "reward"])
def test_a_cut_file_is_named(tmp_path, array):
    write(tmp_path / "logs")
    path = tmp_path / "logs" / f"$store$_{array}_ckpt.0.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(ValueError, match=rf"{array}_ckpt.0.gz .* fetch it again"):
        importing.import_source(source(tmp_path / "logs"), tmp_path / "store")


def test_a_pickled_array_is_never_loaded(tmp_path):
    write(tmp_path / "logs")
    path = tmp_path / "logs" / "$store$_action_ckpt.0.gz"
    recorded.save(path, np.array([{}] * 5, object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"action_ckpt.0.gz .* no pickled objects"):
        source(tmp_path / "logs")


def test_no_dump_is_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="has no files"):
        source(tmp_path)
