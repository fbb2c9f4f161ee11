"""Evaluation counts every episode, whatever its length and wherever it runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scaling import config, evaluate, types
from scaling.envs import interface, registry

PROTOCOL = config.Protocol(stack=1, past_actions=0)
SPEC = types.EnvSpec("countdown", 2, (1,), np.float32, 1.0, 1)


class Countdown:
    """An episode lasts as many steps as its seed says and pays 1 for each."""

    spec = SPEC

    def __init__(self, size):
        self.size = size
        self.left = np.zeros(size, int)
        self.lengths = []

    def reset(self, rows, seeds):
        lengths = [1 + seed % 7 for seed in seeds]
        self.left[list(rows)] = lengths
        self.lengths += lengths
        return np.zeros((len(seeds), 1), np.float32)

    def step(self, rows, action):
        self.left[list(rows)] -= 1
        ended = self.left[list(rows)] == 0
        ones = np.ones(len(rows), np.float32)
        return interface.Transition(ones[:, None], ones, ended, np.zeros_like(ended))

    def close(self):
        pass


@pytest.mark.parametrize("size", [1, 3, 16])
def test_every_episode_is_counted_once_whatever_runs_beside_it(size):
    env = Countdown(size)
    play = evaluate.on_host(env, evaluate.random_policy(2), PROTOCOL)
    returns = play({}, 5, 16)
    np.testing.assert_array_equal(returns, env.lengths)
    alone = evaluate.on_host(Countdown(1), evaluate.random_policy(2), PROTOCOL)
    np.testing.assert_array_equal(returns, alone({}, 5, 16))


def test_device_episodes_do_not_depend_on_the_lanes():
    protocol = config.Protocol(stack=1, past_actions=0, view="egocentric", view_size=3)
    env = registry.make_device("jumanji:PacMan-v1", protocol)
    policy = evaluate.random_policy(env.spec.num_actions)
    few = evaluate.on_device(env, policy, protocol, lanes=4)({}, 3, 6)
    many = evaluate.on_device(env, policy, protocol, lanes=8)({}, 3, 6)
    np.testing.assert_array_equal(few, many)
    assert len(np.unique(few)) > 1


@pytest.mark.parametrize(
    ("returns", "notes"), [([5.0, 5.0, 5.0], True), ([0.0, 5.0, 9.0], False)]
)
def test_a_score_without_spread_is_noted(returns, notes):
    summary = evaluate.summary(np.array(returns))
    assert bool(summary["note"]) == notes
    assert summary["score"] == pytest.approx(np.mean(returns))
    assert summary["score_sd"] == pytest.approx(np.std(returns, ddof=1))


def test_one_episode_has_a_score_and_no_spread():
    summary = evaluate.summary(np.array([3.0]))
    assert (summary["score"], summary["score_sd"]) == (3.0, 0.0)
    assert summary["note"]


@pytest.mark.slow
def test_a_random_policy_scores_on_ms_pacman_what_it_must():
    """257.0 ± 13.8 (sem) was measured with ale-py's own vector environment."""
    protocol = config.Protocol(image_size=8, colour="gray", stack=1, past_actions=0)
    env = registry.make_host("atari:MsPacman", protocol, 32)
    play = evaluate.on_host(env, evaluate.random_policy(18), protocol)
    returns = play({}, 0, 96)
    env.close()
    assert len(returns) == 96
    assert abs(returns.mean() - 257) <= 40


def test_the_random_policy_is_uniform():
    keys = jax.random.split(jax.random.key(0), 3000)
    history = types.History(jnp.zeros((3000, 1, 1)), jnp.zeros((3000, 0), jnp.int32))
    action = np.asarray(evaluate.random_policy(3)({}, history, keys))
    np.testing.assert_allclose(np.bincount(action) / 3000, 1 / 3, atol=0.05)
