"""Search finds the best action of small MDPs whose best action is known."""

import dataclasses

import jax
import jax.numpy as jnp
import line_mdp
import numpy as np
import pytest

from scaling import config
from scaling.search import mcts


def search_from(state, rows, settings, make=mcts.make_search, seed=0, model=None):
    search = make(model or line_mdp.model(), settings, line_mdp.DISCOUNT)
    keys = jax.random.split(jax.random.key(seed), rows)
    history = line_mdp.history(*[state] * rows)
    return jax.jit(search)({}, history, keys, jnp.ones(()))


@pytest.mark.parametrize("policy", ["muzero", "gumbel"])
def test_search_prefers_the_delayed_reward(policy):
    # pUCT tries the branch that pays late only when its bonus has grown.
    settings = config.Search(policy=policy, simulations=128)
    found = search_from(0, 8, settings, mcts.make_greedy_search)
    np.testing.assert_array_equal(found.best_action, 1)
    assert float(found.policy[:, 1].min()) > 0.6


@pytest.mark.parametrize("policy", ["muzero", "gumbel"])
def test_the_policy_target_is_a_distribution(policy):
    found = search_from(0, 4, config.Search(policy=policy, simulations=8))
    np.testing.assert_allclose(found.policy.sum(axis=1), 1, rtol=1e-5)
    assert np.isin(found.action, [0, 1]).all()


def test_the_root_value_is_the_mean_of_the_simulated_returns():
    # In state 1 with one simulation for each action the root value averages the
    # prior value 0 and the two returns 0 and 10.
    settings = config.Search(simulations=2, dirichlet_fraction=0.0)
    found = search_from(1, 1, settings)
    np.testing.assert_allclose(found.value, (0 + 0 + 10) / 3, rtol=1e-6)


@pytest.mark.parametrize("policy", ["muzero", "gumbel"])
def test_a_row_depends_on_its_own_key_only(policy):
    settings = config.Search(policy=policy, simulations=8)
    search = jax.jit(mcts.make_search(line_mdp.model(), settings, line_mdp.DISCOUNT))
    keys = jax.random.split(jax.random.key(1), 6)
    history = line_mdp.history(*[0] * 6)
    together = search({}, history, keys, jnp.ones(()))
    for first in (0, 3):
        part = jax.tree.map(lambda x, start=first: x[start : start + 3], history)
        apart = search({}, part, keys[first : first + 3], jnp.ones(()))
        np.testing.assert_array_equal(together.action[first : first + 3], apart.action)
        np.testing.assert_array_equal(together.policy[first : first + 3], apart.policy)


def test_rows_draw_different_noise():
    settings = config.Search(simulations=4, dirichlet_fraction=1.0)
    found = search_from(2, 64, settings)
    assert len(np.unique(np.asarray(found.action))) == 2


def test_temperature_sharpens_the_choice_of_the_action():
    # One-sided visits: at temperature 1 the rarer action is still taken sometimes.
    settings = config.Search(simulations=8, dirichlet_fraction=0.0)
    unequal = line_mdp.model((1.5, 0.0))
    search = jax.jit(mcts.make_search(unequal, settings, line_mdp.DISCOUNT))
    rows = 256
    history = line_mdp.history(*[2] * rows)
    keys = jax.random.split(jax.random.key(0), rows)
    warm = search({}, history, keys, jnp.array(1.0)).action
    cold = search({}, history, keys, jnp.array(0.05)).action
    assert 0 < np.mean(np.asarray(warm)) < 0.5
    assert np.mean(np.asarray(cold)) == 0


def test_evaluation_adds_no_noise():
    for policy in ("muzero", "gumbel"):
        settings = config.Search(policy=policy, simulations=8)
        settings = dataclasses.replace(settings, dirichlet_fraction=0.9)
        first = search_from(0, 4, settings, mcts.make_greedy_search, seed=0)
        second = search_from(0, 4, settings, mcts.make_greedy_search, seed=1)
        np.testing.assert_allclose(first.policy, second.policy, atol=1e-6)


def test_nothing_is_searched_without_a_model():
    with pytest.raises(ValueError, match="unrolls 0 steps"):
        search_from(0, 1, config.Search(), model=line_mdp.without_dynamics())
