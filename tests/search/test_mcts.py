"""Search finds the best action of small MDPs whose best action is known."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scaling import config, types
from scaling.agent import model as models
from scaling.search import mcts

DISCOUNT = 0.9

# Three states on a line. Action 0 in state 0 pays 1 and ends in the dead state 2;
# action 1 pays nothing but leads to state 1, where action 1 pays 10: worth 9 > 1.
REWARD = jnp.array([[1.0, 0.0], [0.0, 10.0], [0.0, 0.0]])
FOLLOWING = jnp.array([[2, 1], [2, 2], [2, 2]])


def known_mdp(prior=(0.0, 0.0)):
    """A model that is the MDP itself: the hidden state is the state's number."""

    def dynamics(params, hidden, action):
        state = hidden[:, 0].astype(jnp.int32)
        return (
            FOLLOWING[state, action][:, None].astype(jnp.float32),
            REWARD[state, action][:, None],
        )

    def predict(params, hidden):
        rows = hidden.shape[0]
        logits = jnp.broadcast_to(jnp.array(prior), (rows, 2))
        return models.Prediction(logits, jnp.zeros((rows, 1)))

    return models.Model(
        init=lambda key: {},
        represent=lambda params, history: history.observations[:, -1],
        dynamics=dynamics,
        predict=predict,
        decode=lambda logits: logits[..., 0],
        encode=lambda x: x[..., None],
    )


def search_from(state, rows, settings, make=mcts.make_search, seed=0, model=None):
    search = make(model or known_mdp(), settings, DISCOUNT)
    observations = jnp.full((rows, 1, 1), float(state))
    history = types.History(observations, jnp.zeros((rows, 0), jnp.int32))
    keys = jax.random.split(jax.random.key(seed), rows)
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
    search = jax.jit(mcts.make_search(known_mdp(), settings, DISCOUNT))
    keys = jax.random.split(jax.random.key(1), 6)
    history = types.History(jnp.zeros((6, 1, 1)), jnp.zeros((6, 0), jnp.int32))
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
    search = jax.jit(mcts.make_search(known_mdp((1.5, 0.0)), settings, DISCOUNT))
    rows = 256
    history = types.History(jnp.full((rows, 1, 1), 2.0), jnp.zeros((rows, 0), int))
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
