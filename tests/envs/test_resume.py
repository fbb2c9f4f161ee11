"""Rows saved at any step and restored anywhere go on as if nothing had happened."""

import pathlib
import subprocess
import sys
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from scaling import config, types
from scaling.envs import autoreset, interface, registry
from scaling.envs.gymnasium import GymnasiumEnvironment

SEED = 3


class Walk:
    """Observes (place, clock); the seed gives the first place and the length."""

    size: int
    spec = types.EnvSpec("walk", 2, (2,), np.float32, 1.0, 1)

    def __init__(self, size):
        self.size = size
        self.place, self.clock, self.length = np.zeros((3, size), np.int64)

    def reset(self, rows, seeds):
        self.place[rows] = [seed % 100 for seed in seeds]
        self.length[rows] = [1 + seed % 7 for seed in seeds]
        self.clock[rows] = 0
        return self.observe(rows)

    def step(self, rows, action):
        self.place[rows] = 3 * self.place[rows] % 101 + action
        self.clock[rows] += 1
        ended = self.clock[rows] >= self.length[rows]
        reward = self.place[rows].astype(np.float32)
        return interface.Transition(self.observe(rows), reward, ended, ended & False)

    def observe(self, rows):
        return np.stack([self.place[rows], self.clock[rows]], -1).astype(np.float32)

    def close(self):
        pass


class SavedWalk(Walk):
    """The same, restorable but for the places that are multiples of seven."""

    def save(self, rows):
        numbers = np.stack([self.place, self.clock, self.length], axis=-1)
        return [{"numbers": numbers[row].copy()} for row in rows]

    def restore(self, rows, records):
        for row, record in zip(rows, records, strict=True):
            self.place[row], self.clock[row], self.length[row] = record["numbers"]
        return self.place[list(rows)] % 7 != 0


def play(rows, actions):
    """Returns the fields of the outcomes of `actions` [steps, rows], stacked."""
    every = range(rows.env.size)
    outcomes = [rows.step(every, action) for action in actions]
    return [np.stack(field) for field in zip(*outcomes, strict=True)]


def assert_same(actual, expected):
    for field, other in zip(actual, expected, strict=True):
        assert field.dtype == other.dtype
        np.testing.assert_array_equal(field, other)


@hypothesis.given(
    size=st.integers(2, 5), split=st.integers(1, 4), steps=st.integers(0, 30)
)
def test_rows_go_on_in_another_split_over_processes(size, split, steps):
    """Those that cannot begin their next episode, by its own seed."""
    split = min(split, size - 1)
    walk = SavedWalk(size)
    whole = autoreset.HostRows(walk, SEED)
    whole.reset(range(size))
    actions = np.random.default_rng(steps).integers(2, size=(steps + 25, size))
    for action in actions[:steps]:
        whole.step(range(size), action)

    saved = whole.save()
    first = autoreset.HostRows(SavedWalk(split), SEED)
    second = autoreset.HostRows(SavedWalk(size - split), SEED, first_row=split)
    parts = [part.restore(saved) for part in (first, second)]

    exact = np.concatenate([part.exact for part in parts])
    np.testing.assert_array_equal(exact, walk.place % 7 != 0)
    observation = np.concatenate([part.observation for part in parts])
    others = np.flatnonzero(~exact).tolist()
    np.testing.assert_array_equal(observation[exact], 0)
    if others:
        np.testing.assert_array_equal(observation[others], whole.reset(others))
    expected = play(whole, actions[steps:])
    actual = [
        play(part, actions[steps:, rows])
        for part, rows in ((first, slice(split)), (second, slice(split, None)))
    ]
    assert_same(
        [np.concatenate(fields, 1) for fields in zip(*actual, strict=True)], expected
    )
    np.testing.assert_array_equal(
        np.concatenate([first.episode, second.episode]), whole.episode
    )


def test_an_environment_that_saves_nothing_begins_its_next_episodes():
    rows = autoreset.HostRows(Walk(3), SEED)
    rows.reset(range(3))
    episodes = rows.episode.copy()
    saved = rows.save()
    assert sorted(saved) == ["row0/episode", "row1/episode", "row2/episode"]

    again = autoreset.HostRows(Walk(3), SEED)
    restored = again.restore(saved)

    assert not restored.exact.any()
    np.testing.assert_array_equal(again.episode, episodes + 1)
    np.testing.assert_array_equal(restored.observation, rows.reset(range(3)))


def test_rows_that_have_not_begun_begin():
    saved = autoreset.HostRows(SavedWalk(2), SEED).save()
    rows, fresh = (autoreset.HostRows(SavedWalk(2), SEED) for _ in range(2))
    restored = rows.restore(saved)
    np.testing.assert_array_equal(restored.observation, fresh.reset(range(2)))
    np.testing.assert_array_equal(rows.episode, 0)


def test_a_row_has_its_global_number_in_its_seeds():
    whole, part = autoreset.HostRows(Walk(5), 9), autoreset.HostRows(Walk(2), 9, 3)
    np.testing.assert_array_equal(whole.reset(range(5))[3:], part.reset(range(2)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"row1/episode": np.array(1.0)}, r"row 1 .* 'episode' is float64"),
        ({"row1/episode": np.array([1])}, r"row 1 .* 'episode' is int64 \(1,\)"),
        ({"row0/episode": np.array(-2)}, "row 0 .* its episode number is -2"),
        ({"row0/episode": np.array(2**62)}, "row 0 .* its episode number is 4611"),
        ({"row0/other": np.array(0)}, "row 0 .* it has 'other'"),
    ],
)
def test_damaged_episode_numbers_are_refused(change, sentence):
    rows = autoreset.HostRows(SavedWalk(2), SEED)
    rows.reset(range(2))
    with pytest.raises(ValueError, match=sentence):
        rows.restore(rows.save() | change)


def test_a_row_that_was_not_saved_is_named():
    rows = autoreset.HostRows(SavedWalk(2), SEED)
    rows.reset(range(2))
    with pytest.raises(ValueError, match="have no row 2;"):
        autoreset.HostRows(SavedWalk(3), SEED).restore(rows.save())


@hypothesis.settings(max_examples=25)
@hypothesis.given(steps=st.integers(0, 60), sticky=st.sampled_from([0.0, 0.4]))
def test_cartpole_goes_on_from_any_step(steps, sticky):
    def make():
        env = GymnasiumEnvironment("CartPole-v1", config.Protocol(sticky=sticky), 2)
        return autoreset.HostRows(env, SEED)

    rows, again = make(), make()
    rows.reset(range(2))
    actions = np.random.default_rng(steps).integers(2, size=(steps + 40, 2))
    for action in actions[:steps]:
        rows.step(range(2), action)
    saved = {name: array.copy() for name, array in rows.save().items()}
    expected = play(rows, actions[steps:])

    assert again.restore(saved).exact.all()
    assert_same(play(again, actions[steps:]), expected)


ELSEWHERE = {
    "atari:MsPacman": 333,
    "atari:Breakout": 97,
    "atari:Qbert": 50,
    "gymnasium:CartPole-v1": 60,
}
"""Steps before the save."""
AFTER = 550


def host_rows(name):
    protocol = config.Protocol(image_size=84, colour="gray", sticky=0.25)
    return autoreset.HostRows(registry.make_host(name, protocol, 2), SEED)


def continue_here(folder):
    """What the other process does: goes on from files and writes what came."""
    for number, name in enumerate(ELSEWHERE):
        rows = host_rows(name)
        with np.load(f"{folder}/{number}.npz", allow_pickle=False) as saved:
            restored = rows.restore(dict(saved))
        outcomes = play(rows, np.load(f"{folder}/{number}.npy"))
        np.savez(f"{folder}/{number}_outcomes.npz", restored.exact, *outcomes)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Returns name -> (expected, exact, actual); one process does all, it is slow."""
    folder = tmp_path_factory.mktemp("elsewhere")
    expected = {}
    for number, (name, before) in enumerate(ELSEWHERE.items()):
        rows = host_rows(name)
        rows.reset(range(2))
        rng = np.random.default_rng(0)
        actions = rng.integers(rows.env.spec.num_actions, size=(before + AFTER, 2))
        play(rows, actions[:before])
        saved: Any = rows.save()
        np.savez(folder / f"{number}.npz", **saved)
        np.save(folder / f"{number}.npy", actions[before:])
        expected[name] = play(rows, actions[before:])
    code = f"import test_resume; test_resume.continue_here({str(folder)!r})"
    there = pathlib.Path(__file__).parent
    subprocess.run([sys.executable, "-c", code], cwd=there, check=True, timeout=120)
    found = {}
    for number, name in enumerate(ELSEWHERE):
        with np.load(folder / f"{number}_outcomes.npz", allow_pickle=False) as file:
            exact, *actual = file.values()
        found[name] = expected[name], exact, actual
    return found


@pytest.mark.parametrize("name", ELSEWHERE)
def test_another_process_goes_on_bit_for_bit(name, elsewhere):
    expected, exact, actual = elsewhere[name]
    assert exact.all()
    assert_same(actual, expected)
    outcome = types.Outcome(*expected)
    assert outcome.terminated.any(axis=0).all()  # each row crossed an episode's end
    assert outcome.reward.any()
