"""What a network says without a search, against loops and an MDP that is known."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import line_mdp
import numpy as np
import pytest

from scaling import config, types
from scaling.agent import judgement
from scaling.agent import model as models


def judged(model, *states):
    return judgement.judge(model, {}, line_mdp.history(*states))


def test_one_model_step_finds_the_known_best_action():
    model = line_mdp.model(values=line_mdp.BEST_VALUES)
    found = judgement.action_values(model, {}, judged(model, 0, 1, 2), 0.9)
    np.testing.assert_allclose(found, [[1, 9], [0, 10], [0, 0]], rtol=1e-6)
    np.testing.assert_array_equal(judgement.best_action(found), [1, 1, 0])


def test_without_values_one_step_sees_the_reward_alone():
    """Where it matters that values are learned, and not the reward alone."""
    model = line_mdp.model()
    found = judgement.action_values(model, {}, judged(model, 0), 0.9)
    assert judgement.best_action(found) == 0  # 1 now, not 9 later


def test_without_a_model_the_head_says_it():
    model = line_mdp.without_dynamics(prior=(0.0, math.log(3)))
    seen = judged(model, 0, 1)
    found = judgement.action_values(model, {}, seen, 0.9)
    np.testing.assert_allclose(found, [[1, 9], [0, 10]])
    value = judgement.state_value(model, seen.prediction)
    np.testing.assert_allclose(value, [0.25 * 1 + 0.75 * 9, 0.75 * 10], rtol=1e-6)


SPEC = types.EnvSpec("v", 3, (4,), np.float32, 1.0, 1)
SETTINGS = config.Settings(
    network=config.Network(kind="mlp", units=8, blocks=1, head_units=8),
    value=config.Value(bins=11, limit=5.0),
    protocol=config.Protocol(stack=1, past_actions=0),
)


def noisy(model):
    params = model.init(jax.random.key(0))
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(1)
    changed = [x + 0.3 * rng.normal(size=x.shape).astype(np.float32) for x in leaves]
    return jax.tree.unflatten(tree, changed)


def test_action_values_are_those_of_a_loop_over_rows_and_actions():
    model = models.make_model(SPEC, SETTINGS)
    params, step = noisy(model), models.dynamics_of(model)
    seen = np.random.default_rng(2).normal(size=(5, 1, 4)).astype(np.float32)
    history = types.History(jnp.asarray(seen), jnp.zeros((5, 0), jnp.int32))
    look = judgement.judge(model, params, history)
    found = judgement.action_values(model, params, look, 0.7)
    for row in range(5):
        for action in range(3):
            hidden = step(params, look.hidden[row : row + 1], jnp.array([action]))
            reward = model.reward(params, hidden)
            value = model.decode(model.predict(params, hidden).value_logits)
            expected = model.decode(reward) + 0.7 * value
            assert found[row, action] == pytest.approx(float(expected[0]), abs=1e-5)


def test_without_unrolling_there_are_action_values_and_no_dynamics():
    learner = dataclasses.replace(SETTINGS.learner, unroll_steps=0)
    model = models.make_model(SPEC, dataclasses.replace(SETTINGS, learner=learner))
    params = model.init(jax.random.key(0))
    assert model.dynamics is None
    assert "dynamics" not in params
    history = types.History(jnp.zeros((2, 1, 4)), jnp.zeros((2, 0), jnp.int32))
    prediction = judgement.judge(model, params, history).prediction
    assert prediction.policy_logits.shape == (2, 3)
    assert prediction.value_logits.shape == (2, 3, 11)


@pytest.mark.parametrize("weight", ["exponential", "binary"])
def test_crr_weights_are_those_of_the_formula(weight):
    rng = np.random.default_rng(0)
    logits, values = rng.normal(size=(6, 4)), 30 * rng.normal(size=(6, 4))
    settings = config.Crr(weight=weight, temperature=0.5, limit=20.0)
    single = [jnp.asarray(x, jnp.float32) for x in (logits, values)]
    found = judgement.crr_weights(single[0], single[1], settings, 0.1)
    limited = 0
    for row in range(6):
        policy = np.exp(logits[row]) / np.exp(logits[row]).sum()
        mean = sum(p * 0.1 * q for p, q in zip(policy, values[row], strict=True))
        for action in range(4):
            advantage = 0.1 * values[row, action] - mean
            expected = float(advantage > 0)
            if weight == "exponential":
                expected = min(math.exp(advantage / 0.5), 20.0)
                limited += expected == 20.0
            assert found[row, action] == pytest.approx(expected, rel=1e-4)
    assert limited > 0 or weight == "binary"


def test_exploration_takes_its_share_of_the_actions():
    keys = jax.random.split(jax.random.key(0), 4000)
    chosen = jnp.full(4000, 2, jnp.int32)
    found = np.asarray(judgement.explore(keys, chosen, 0.3, 5))
    others = (found != 2).mean()  # four fifths of what explores
    assert others == pytest.approx(0.3 * 4 / 5, abs=4 * math.sqrt(0.24 * 0.76 / 4000))
    assert set(found.tolist()) == {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(judgement.explore(keys, chosen, 0.0, 5), 2)
