"""Exploration is what it says, and costs the policy none of its own draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scaling import evaluate, playing, types


def history(rows):
    return types.History(jnp.zeros((rows, 1, 1)), jnp.zeros((rows, 0), jnp.int32))


def always_two(params, history, keys):
    del params, keys
    return jnp.full(len(history.observations), 2, jnp.int32)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_an_action_is_uniform_with_the_probability_asked_for(epsilon):
    choose = playing.exploring(always_two, epsilon, 4)
    keys, dice = jax.random.split(jax.random.key(0), (2, 8000))
    action = np.asarray(choose({}, history(8000), keys, dice))
    expected = np.full(4, epsilon / 4)
    expected[2] += 1 - epsilon
    np.testing.assert_allclose(
        np.bincount(action, minlength=4) / 8000, expected, atol=0.02
    )
    assert not expected[0] or len(np.unique(action)) == 4


def test_the_policy_draws_what_it_draws_without_exploration():
    random = evaluate.random_policy(1000)
    keys, dice = jax.random.split(jax.random.key(1), (2, 500))
    plain = random({}, history(500), keys)
    mixed = playing.exploring(random, 0.2, 1000)({}, history(500), keys, dice)
    np.testing.assert_allclose(
        np.mean(np.asarray(plain) == np.asarray(mixed)), 0.8, atol=0.05
    )
    still = playing.exploring(random, 0.0, 1000)({}, history(500), keys, dice)
    np.testing.assert_array_equal(plain, still)
