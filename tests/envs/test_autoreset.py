"""Same-step autoreset agrees with a plain loop, for both kinds of environment."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scaling import types
from scaling.envs import autoreset, interface

SPEC = types.EnvSpec("toy", 2, (2,), np.float32, 1.0, 1)
STEPS = 40


class ToyState(NamedTuple):
    length: jax.Array
    clock: jax.Array


def outcome_of(clock, length):
    """An episode lasts `length` steps; of odd length it terminates, else truncates."""
    ended = clock >= length
    return ended & (length % 2 == 1), ended & (length % 2 == 0)


class ToyDevice:
    """Observes (length, clock); the length, 1 to 6, is drawn from the key."""

    spec = SPEC

    def __init__(self):
        self.resets = []

    def reset(self, keys):
        length = jax.vmap(lambda key: jax.random.randint(key, (), 1, 7))(keys)
        jax.debug.callback(lambda n: self.resets.append(n), keys.shape[0])
        state = ToyState(length, jnp.zeros_like(length))
        return state, self.observe(state)

    def step(self, state, action):
        state = state._replace(clock=state.clock + 1)
        terminated, truncated = outcome_of(state.clock, state.length)
        return state, interface.Transition(
            self.observe(state), action.astype(jnp.float32), terminated, truncated
        )

    def observe(self, state):
        return jnp.stack(state, axis=-1).astype(jnp.float32)


class ToyHost:
    """The same on the host; the length is drawn from the seed."""

    spec = SPEC

    def __init__(self, size):
        self.size = size
        self.length = np.zeros(size, int)
        self.clock = np.zeros(size, int)
        self.seeds = []

    def reset(self, rows, seeds):
        self.seeds += list(zip(rows, seeds, strict=True))
        self.length[rows] = [1 + seed % 6 for seed in seeds]
        self.clock[rows] = 0
        return self.observe(rows)

    def step(self, rows, action):
        self.clock[rows] += 1
        terminated, truncated = outcome_of(self.clock[rows], self.length[rows])
        reward = action.astype(np.float32)
        return interface.Transition(self.observe(rows), reward, terminated, truncated)

    def observe(self, rows):
        return np.stack([self.length[rows], self.clock[rows]], -1).astype(np.float32)

    def close(self):
        pass


def expected_row(lengths, steps):
    """Yields (observation, last, terminated, truncated) of one row, by a loop."""
    episode, clock = 0, 0
    for _ in range(steps):
        clock += 1
        length = lengths(episode)
        last, ended = (length, clock), clock == length
        terminated, truncated = ended and length % 2 == 1, ended and length % 2 == 0
        if ended:
            episode, clock = episode + 1, 0
        yield (lengths(episode), clock), last, terminated, truncated


def assert_rows(outcomes, lengths_of_row, rows):
    outcomes = jax.tree.map(np.asarray, outcomes)
    for row in range(rows):
        expected = expected_row(lengths_of_row(row), STEPS)
        for t, (observation, last, terminated, truncated) in enumerate(expected):
            actual = types.Outcome(*(field[t, row] for field in outcomes))
            np.testing.assert_array_equal(actual.observation, observation)
            np.testing.assert_array_equal(actual.last_observation, last)
            assert (actual.terminated, actual.truncated) == (terminated, truncated)
            assert actual.discount == (0.0 if terminated else 1.0)
            assert actual.reward == t


@pytest.mark.parametrize("size", [1, 3, 11])
def test_device_rows_agree_with_a_plain_loop(size):
    env = ToyDevice()
    keys = jax.random.split(jax.random.key(0), size)
    rows, first = jax.jit(functools.partial(autoreset.reset, env))(keys)
    step = jax.jit(lambda rows, action: autoreset.step(env, rows, action))

    outcomes = []
    for t in range(STEPS):
        rows, outcome = step(rows, jnp.full(size, t))
        outcomes.append(outcome)

    def lengths(row):
        return lambda episode: length_of(row, episode)

    @functools.cache
    def length_of(row, episode):
        key = jax.random.fold_in(keys[row], episode)
        return int(jax.random.randint(key, (), 1, 7))

    np.testing.assert_array_equal(first[:, 0], [lengths(r)(0) for r in range(size)])
    assert_rows(jax.tree.map(lambda *x: np.stack(x), *outcomes), lengths, size)


def test_device_rows_reset_nothing_while_no_episode_ends():
    env = ToyDevice()
    start = jax.jit(functools.partial(autoreset.reset, env))
    rows, _ = start(jax.random.split(jax.random.key(0), 5))
    endless = rows._replace(state=rows.state._replace(length=jnp.full(5, 1000)))
    jax.effects_barrier()
    env.resets.clear()

    rows, _ = jax.jit(lambda r: autoreset.step(env, r, jnp.arange(5)))(endless)
    jax.block_until_ready(rows)
    jax.effects_barrier()

    assert env.resets == []
    np.testing.assert_array_equal(rows.episode, 0)


def test_host_rows_agree_with_a_plain_loop():
    size = 4
    env = ToyHost(size)
    rows = autoreset.HostRows(env, base_seed=7)
    rows.reset(range(size))

    outcomes = [rows.step(range(size), np.full(size, t)) for t in range(STEPS)]

    def lengths(row):
        return lambda episode: 1 + autoreset.episode_seed(7, row, episode) % 6

    assert_rows(jax.tree.map(lambda *x: np.stack(x), *outcomes), lengths, size)


def test_host_rows_seed_each_episode_by_its_name_whatever_the_order():
    together, apart = ToyHost(2), ToyHost(2)
    rows = autoreset.HostRows(together, base_seed=1)
    rows.reset([0, 1])
    for _ in range(10):
        rows.step([0, 1], np.zeros(2))

    rows = autoreset.HostRows(apart, base_seed=1)
    for row in (1, 0):
        rows.reset([row])
        for _ in range(10):
            rows.step([row], np.zeros(1))

    assert sorted(together.seeds) == sorted(apart.seeds)
    assert len(set(together.seeds)) == len(together.seeds)


def test_host_rows_leave_the_environments_own_array_alone():
    env = ToyHost(1)
    kept = np.zeros((1, 2), np.float32)
    env.step = lambda rows, action: interface.Transition(
        kept, np.zeros(1, np.float32), np.array([True]), np.array([False])
    )
    rows = autoreset.HostRows(env, base_seed=0)
    rows.reset([0])

    outcome = rows.step([0], np.zeros(1))

    assert outcome.observation[0, 0] > 0
    np.testing.assert_array_equal(outcome.last_observation, 0)
