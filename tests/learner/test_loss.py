"""The loss equals a plain loop over samples and steps; an update is golden."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scaling import config, types
from scaling.agent import model as models
from scaling.learner import loss, targets, update

SPEC = types.EnvSpec("v", 3, (4,), np.float32, 1.0, 1)
SETTINGS = config.Settings(
    network=config.Network(kind="mlp", units=8, blocks=1, head_units=8),
    value=config.Value(bins=11, limit=5.0),
    protocol=config.Protocol(stack=1, past_actions=0),
    learner=config.Learner(
        unroll_steps=2, value_weight=0.25, reward_weight=0.5, learning_rate=1e-2
    ),
)
MODEL = models.make_model(SPEC, SETTINGS)


def batch_of(rows=5, steps=2):
    rng = np.random.default_rng(0)

    def normal(*shape):
        return jnp.asarray(rng.normal(size=shape), jnp.float32)

    mask = jnp.asarray(rng.random((rows, steps + 1)) < 0.7, jnp.float32)
    goal = targets.Targets(
        value=normal(rows, steps + 1),
        policy=jax.nn.softmax(normal(rows, steps + 1, 3)),
        reward=normal(rows, steps),
        value_mask=mask,
        policy_mask=mask[:, ::-1],
        reward_mask=mask[:, 1:],
    )
    history = types.History(normal(rows, 1, 4), jnp.zeros((rows, 0), jnp.int32))
    action = jnp.asarray(rng.integers(0, 3, (rows, steps)), jnp.int32)
    return loss.Batch(history, action, goal, jnp.abs(normal(rows)))


def params_of():
    """Parameters whose heads are not neutral."""
    params = jax.jit(MODEL.init)(jax.random.key(0))
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(1)
    noisy = [x + 0.3 * rng.normal(size=x.shape).astype(np.float32) for x in leaves]
    return jax.tree.unflatten(tree, noisy)


def cross_entropy(logits, target):
    logits = np.asarray(logits, np.float64)
    log_probability = logits - np.log(np.exp(logits).sum())
    return -(np.asarray(target) * log_probability).sum()


def loss_by_definition(params, batch, settings):
    goal, total = batch.targets, 0.0
    step = models.dynamics_of(MODEL)
    rows, steps = batch.action.shape
    for b in range(rows):
        history = jax.tree.map(lambda x, b=b: x[b : b + 1], batch.history)
        hidden = MODEL.represent(params, history)
        for k in range(steps + 1):
            share = 1.0 if k == 0 else 1.0 / steps
            terms = 0.0
            if k > 0:
                action = batch.action[b, k - 1 : k]
                hidden = step(params, hidden, action)
                reward = MODEL.reward(params, hidden)
                code = MODEL.encode(goal.reward[b, k - 1])
                terms += (
                    settings.reward_weight
                    * goal.reward_mask[b, k - 1]
                    * cross_entropy(reward[0], code)
                )
            prediction = MODEL.predict(params, hidden)
            value = cross_entropy(
                prediction.value_logits[0], MODEL.encode(goal.value[b, k])
            )
            policy = cross_entropy(prediction.policy_logits[0], goal.policy[b, k])
            terms += settings.value_weight * goal.value_mask[b, k] * value
            terms += settings.policy_weight * goal.policy_mask[b, k] * policy
            total += batch.weight[b] * share * terms
    return total / rows


def test_loss_equals_its_definition():
    params, batch = params_of(), batch_of()
    actual, _ = jax.jit(lambda p, b: loss.loss(p, b, MODEL, SETTINGS.learner))(
        params, batch
    )
    expected = loss_by_definition(params, batch, SETTINGS.learner)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_masked_targets_do_not_reach_the_loss():
    params, batch = params_of(), batch_of()
    compute = jax.jit(lambda b: loss.loss(params, b, MODEL, SETTINGS.learner)[0])
    mask = batch.targets.value_mask
    other = jnp.where(mask > 0, batch.targets.value, 4.0)
    changed = batch._replace(targets=batch.targets._replace(value=other))
    np.testing.assert_allclose(compute(batch), compute(changed), rtol=1e-6)


def test_the_hidden_gradient_is_halved_at_each_model_step():
    x = jnp.array([3.0])
    assert float(loss.scale_gradient(x, 0.5)[0]) == 3.0
    gradient = jax.grad(lambda y: (2 * loss.scale_gradient(y, 0.5)).sum())(x)
    np.testing.assert_allclose(gradient, 1.0)


def test_a_weight_decays_in_the_papers_scale():
    # With no gradient, Adam's direction is zero and only the decay is left.
    settings = config.Learner(weight_decay=1e-4, learning_rate=1e-2)
    params = {"w": jnp.array([2.0])}
    optimiser = update.make_optimiser(settings)
    direction, _ = optimiser.update({"w": jnp.zeros(1)}, optimiser.init(params), params)
    rate = update.learning_rate(settings, jnp.zeros(()))
    (change,) = jax.tree.leaves(direction)
    np.testing.assert_allclose(rate * change, 2.0 * 1e-4, rtol=1e-6)


@pytest.mark.parametrize(
    ("schedule", "expected"), [("cosine", [1, 0.5, 0]), ("constant", [1, 1, 1])]
)
def test_learning_rate_schedules(schedule, expected):
    settings = config.Learner(schedule=schedule, learning_rate=2.0)
    rates = [
        float(update.learning_rate(settings, jnp.array(p))) for p in (0.0, 0.5, 1.0)
    ]
    np.testing.assert_allclose(rates, [2.0 * x for x in expected], atol=1e-6)


def test_the_target_network_is_copied_at_its_interval():
    settings = dataclasses.replace(SETTINGS.learner, target_interval=2)
    state = update.initial(jax.random.key(0), MODEL, settings)
    step = jax.jit(lambda s, b: update.update(s, b, jnp.zeros(()), MODEL, settings)[0])

    def differs(state):
        pairs = zip(
            jax.tree.leaves(state.params),
            jax.tree.leaves(state.target_params),
            strict=True,
        )
        return any(bool((a != b).any()) for a, b in pairs)

    once = step(state, batch_of())
    assert differs(once)
    assert not differs(step(once, batch_of()))


def test_golden_metrics_of_one_update():
    state = update.initial(jax.random.key(0), MODEL, SETTINGS.learner)
    state = state._replace(params=params_of())
    _, metrics = jax.jit(
        lambda s, b: update.update(s, b, jnp.zeros(()), MODEL, SETTINGS.learner)
    )(state, batch_of())
    message = (
        "One update's metrics changed. That is legitimate only if the loss, the "
        "networks or their initialisation were meant to change: say so in the commit "
        "and the CHANGELOG, since old and new runs no longer compare, and put the new "
        "numbers here."
    )
    for name, expected in GOLDEN.items():
        np.testing.assert_allclose(
            getattr(metrics, name), expected, rtol=2e-4, err_msg=message
        )


GOLDEN = {
    "loss": 0.949942,
    "value_loss": 0.75037,
    "policy_loss": 0.453698,
    "reward_loss": 0.617302,
    "gradient_norm": 0.391336,
}
