"""Looks: each target with each way to act, and no search where none is needed."""

import dataclasses
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import line_mdp
import numpy as np
import pytest

from scaling import config, looking, types
from scaling.search import mcts

SETTINGS = config.Settings(
    search=config.Search(simulations=32, dirichlet_fraction=0.0),
    learner=config.Learner(discount=line_mdp.DISCOUNT),
)


def settings_of(target: Any, acting: Any = "mcts", **changes: float):
    learner = dataclasses.replace(SETTINGS.learner, target=target)
    acts = config.Acting(action=acting, **changes)
    return dataclasses.replace(SETTINGS, learner=learner, acting=acts)


def look(settings, model, *states, acts=True):
    keys = jax.random.split(jax.random.key(0), len(states))
    see = jax.jit(looking.make(model, settings, acts))
    return see({}, line_mdp.history(*states), keys, jnp.ones(()))


MODEL = line_mdp.model(prior=(math.log(3), 0.0), values=line_mdp.BEST_VALUES)


@pytest.mark.parametrize("target", ["supervised", "crr"])
def test_the_network_s_own_value_is_bootstrapped_from(target):
    found = look(settings_of(target, "value"), MODEL, 0, 1, 2)
    np.testing.assert_allclose(found.value, line_mdp.BEST_VALUES)


def test_actions_of_highest_value_are_taken():
    for target in ("supervised", "crr", "reanalyse"):
        found = look(settings_of(target, "value"), MODEL, 0, 1)
        np.testing.assert_array_equal(found.action, 1)


def test_actions_of_the_policy_are_drawn_from_it():
    found = look(settings_of("supervised", "policy"), MODEL, *[0] * 2000)
    share = np.mean(np.asarray(found.action) == 0)
    assert share == pytest.approx(0.75, abs=4 * math.sqrt(0.75 * 0.25 / 2000))


@pytest.mark.parametrize("acting", ["policy", "value"])
def test_a_search_for_the_target_alone_is_the_same_search(acting):
    searched = look(settings_of("reanalyse"), MODEL, 0, 1)
    found = look(settings_of("reanalyse", acting), MODEL, 0, 1)
    np.testing.assert_array_equal(found.policy, searched.policy)
    np.testing.assert_array_equal(found.value, searched.value)


def test_a_search_for_acting_alone_changes_no_target():
    found = look(settings_of("supervised", "mcts"), MODEL, 0, 1)
    searched = look(settings_of("reanalyse"), MODEL, 0, 1)
    np.testing.assert_array_equal(found.action, searched.action)
    np.testing.assert_allclose(found.policy, [[0.75, 0.25]] * 2, rtol=1e-6)


def test_random_actions_have_their_share():
    explores = settings_of("supervised", "value", epsilon=0.4)
    found = look(explores, MODEL, *[0] * 2000)
    share = np.mean(np.asarray(found.action) == 0)
    assert share == pytest.approx(0.2, abs=4 * math.sqrt(0.2 * 0.8 / 2000))


def test_offline_nothing_explores():
    states = [0] * 50
    told = look(settings_of("supervised", "value", epsilon=1.0), MODEL, *states)
    still = look(settings_of("supervised", "value"), MODEL, *states)
    assert np.any(np.asarray(told.action) != np.asarray(still.action))
    for target in ("reanalyse", "supervised"):
        explores = settings_of(target, "value", epsilon=1.0)
        found = look(explores, MODEL, *states, acts=False)
        same = look(settings_of(target, "mcts"), MODEL, *states, acts=False)
        np.testing.assert_array_equal(found.action, same.action)


NO_SEARCH = [
    (target, acting, acts)
    for target, acting, acts in itertools.product(
        ("supervised", "crr"), ("mcts", "policy", "value"), (True, False)
    )
    if not (acts and acting == "mcts")
]


@pytest.mark.parametrize(("target", "acting", "acts"), NO_SEARCH)
def test_no_search_is_made_where_none_is_needed(target, acting, acts, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("a search was made")

    monkeypatch.setattr(mcts, "make_search", refuse)
    look(settings_of(target, acting), MODEL, 0, acts=acts)
    # So a network without a model can do it too.
    look(settings_of(target, acting), line_mdp.without_dynamics(), 0, acts=acts)


@pytest.mark.parametrize(
    ("target", "acting"), [("reanalyse", "policy"), ("crr", "mcts")]
)
def test_a_search_without_a_model_is_refused(target, acting):
    with pytest.raises(ValueError, match="no model to search in"):
        look(settings_of(target, acting), line_mdp.without_dynamics(), 0)


def test_policy_targets_are_the_search_the_logged_action_or_its_weight():
    weights = jnp.array([[0.25, 0.75], [0.5, 3.0]])
    nothing = jnp.zeros(2, jnp.int32)
    found = types.Searched(nothing, nothing, weights, jnp.zeros(2))
    action = jnp.array([0, 1])
    expected = {
        "reanalyse": weights,
        "supervised": [[1, 0], [0, 1]],
        "crr": [[0.25, 0], [0, 3.0]],
    }
    for target, policy in expected.items():
        got = looking.policy_target(found, action, target)
        np.testing.assert_allclose(got, policy)
