"""Without a model: the loss by definition, and a tabular problem that is learned."""

import jax
import jax.numpy as jnp
import line_mdp
import numpy as np
import pytest

from scaling import config, types
from scaling.agent import judgement
from scaling.agent import model as models
from scaling.learner import loss, targets, update

SPEC = types.EnvSpec("line", 2, (3,), np.float32, 1.0, 1)
SETTINGS = config.Settings(
    network=config.Network(kind="mlp", units=16, blocks=1, head_units=16),
    value=config.Value(bins=31, limit=3.0),
    protocol=config.Protocol(stack=1, past_actions=0),
    learner=config.Learner(
        unroll_steps=0,
        target="supervised",
        learning_rate=1e-2,
        weight_decay=0.0,
        discount=line_mdp.DISCOUNT,
    ),
)
MODEL = models.make_model(SPEC, SETTINGS)


def history(states):
    seen = jnp.eye(3)[jnp.asarray(states)][:, None]
    return types.History(seen, jnp.zeros((len(states), 0), jnp.int32))


def batch(states, action, value, mask=None):
    """Roots at states, in which an action was taken; the policy learns it."""
    rows = len(states)
    one = jnp.ones((rows, 1))
    goal = targets.Targets(
        value=value[:, None],
        policy=jax.nn.one_hot(action, 2)[:, None],
        reward=jnp.zeros((rows, 0)),
        value_mask=one if mask is None else mask,
        policy_mask=one,
        reward_mask=jnp.zeros((rows, 0)),
    )
    return loss.Batch(history(states), action[:, None], goal, jnp.ones(rows))


def test_the_value_of_the_action_taken_is_what_is_learned():
    params = MODEL.init(jax.random.key(0))
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(0)
    noisy = [x + 0.3 * rng.normal(size=x.shape).astype(np.float32) for x in leaves]
    params = jax.tree.unflatten(tree, noisy)
    states, action = [0, 1, 2], jnp.array([1, 0, 1])
    value, mask = jnp.array([2.0, -1.0, 5.0]), jnp.array([[1.0], [1.0], [0.0]])
    _, found = loss.loss(
        params, batch(states, action, value, mask), MODEL, SETTINGS.learner
    )
    prediction = judgement.judge(MODEL, params, history(states)).prediction
    of_value = of_policy = 0.0
    for row in range(3):
        taken = int(action[row])
        code = np.asarray(MODEL.encode(value[row]))
        log_value = jax.nn.log_softmax(prediction.value_logits[row, taken])
        of_value -= float(mask[row, 0]) * float(np.sum(code * np.asarray(log_value)))
        of_policy -= float(jax.nn.log_softmax(prediction.policy_logits[row])[taken])
    assert float(found.value) == pytest.approx(of_value / 3, rel=1e-5)
    assert float(found.policy) == pytest.approx(of_policy / 3, rel=1e-5)
    assert float(found.reward) == 0


def test_one_step_targets_teach_the_values_of_the_policy_that_acted():
    """Both actions are logged equally often, so the policy is the uniform one.

    Then q(1, 1) = 10, v(1) = 5 and q(0, 1) = 0.9 v(1) = 4.5, against q(0, 0) = 1.
    """
    states = jnp.array([0, 0, 1, 1, 2, 2])
    action = jnp.array([0, 1, 0, 1, 0, 1])
    reward = line_mdp.REWARD[states, action]
    following = line_mdp.FOLLOWING[states, action]
    ends = following == 2

    @jax.jit
    def step(index, learner):
        after = judgement.judge(MODEL, learner.params, history(following)).prediction
        value = judgement.state_value(MODEL, after)
        goal = reward + jnp.where(ends, 0.0, line_mdp.DISCOUNT * value)
        made = batch(states, action, goal)
        return update.update(learner, made, index / 600, MODEL, SETTINGS.learner)[0]

    learner = update.initial(jax.random.key(1), MODEL, SETTINGS.learner)
    learner = jax.lax.fori_loop(0, 600, step, learner)
    look = judgement.judge(MODEL, learner.params, history([0, 1, 2]))
    found = judgement.action_values(MODEL, learner.params, look, 0.0)
    expected = [[1, 4.5], [0, 10], [0, 0]]
    np.testing.assert_allclose(found, expected, atol=0.1)
    np.testing.assert_array_equal(judgement.best_action(found)[:2], [1, 1])
