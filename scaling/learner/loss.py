"""The loss of the unrolled model."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from scaling import config, types
from scaling.agent import model as models
from scaling.agent import value_transform
from scaling.learner import targets


class Batch(NamedTuple):
    """What an update learns from; it does not say where a target came from."""

    history: types.History  # of the B root steps
    action: Int[Array, "B K"]  # [B, 1], of the root, where K = 0
    targets: targets.Targets  # fields with a leading axis B
    weight: Float[Array, " B"]  # importance weights


class Losses(NamedTuple):
    """Mean of each term over the batch, unweighted by its setting."""

    value: Float[Array, ""]
    policy: Float[Array, ""]
    reward: Float[Array, ""]


def scale_gradient(x: Float[Array, "..."], scale: float) -> Float[Array, "..."]:
    """Returns x, whose gradient is scaled on the way back."""
    return x * scale + jax.lax.stop_gradient(x) * (1 - scale)


def unroll(
    model: models.Model,
    params: types.Params,
    history: types.History,
    action: Int[Array, "B J"],
) -> tuple[models.Prediction, Float[Array, "B K bins"]]:
    """Returns the predictions of K + 1 hidden states and the K reward logits.

    The gradient into the hidden state is halved at the start of each model step, so
    that the dynamics' part does not grow with K.

    Source: Schrittwieser et al. 2019, arXiv 1911.08265, appendix G.

    Args:
      model: the networks; without dynamics, K is 0.
      params: of the model.
      history: of the roots.
      action: taken at the root and after it; [B, 1] where K = 0.

    Returns:
      Predictions with axes [B, K + 1, n] and reward logits [B, K, bins].
    """
    root = model.represent(params, history)
    if model.dynamics is None:
        return _at_root(model, params, root, action)
    dynamics = model.dynamics

    def step(hidden: Array, action_k: Array):
        following = dynamics(params, scale_gradient(hidden, 0.5), action_k)
        return following, (following, model.reward(params, following))

    # Written out, since XLA uses one CPU core for what is in a loop, and predicted in
    # one batch: docs/performance.md has the figures.
    _, (later, reward_logits) = jax.lax.scan(step, root, action.T, unroll=True)
    hidden = jnp.concatenate([root[None], later])
    flat = model.predict(params, hidden.reshape(-1, *root.shape[1:]))
    predictions = jax.tree.map(
        lambda x: x.reshape(*hidden.shape[:2], -1).swapaxes(0, 1), flat
    )
    return predictions, reward_logits.swapaxes(0, 1)


def _at_root(
    model: models.Model, params: types.Params, root: Array, action: Int[Array, "B 1"]
) -> tuple[models.Prediction, Float[Array, "B 0 bins"]]:
    """Returns the root's predictions, the value being that of the action taken."""
    found = model.predict(params, root)
    value = jnp.take_along_axis(found.value_logits, action[:, :, None], axis=1)
    prediction = models.Prediction(found.policy_logits[:, None], value)
    return prediction, value[:, :0]


def loss(
    params: types.Params, batch: Batch, model: models.Model, settings: config.Learner
) -> tuple[Float[Array, ""], Losses]:
    """Returns the weighted loss of a batch and its terms.

        L = mean_b w_b Σ_k c_k (l^p + λ_v l^v + λ_r l^r),   c_0 = 1, c_k = 1/K

    with cross-entropies l against the policy and the two-hot value and reward.

    Source: Schrittwieser et al. 2021, arXiv 2104.06294, pseudocode.

    Args:
      params: of the model.
      batch: of B samples.
      model: the networks.
      settings: the weights of the terms.
    """
    predictions, reward_logits = unroll(model, params, batch.history, batch.action)
    goal = batch.targets
    steps = goal.reward.shape[1]
    share = jnp.concatenate([jnp.ones(1), jnp.full(steps, 1.0 / max(1, steps))])
    cross_entropy = value_transform.cross_entropy
    value = cross_entropy(predictions.value_logits, model.encode(goal.value))
    policy = cross_entropy(predictions.policy_logits, goal.policy)
    reward = cross_entropy(reward_logits, model.encode(goal.reward))

    def mean(term: Array, mask: Array, share: Array) -> Array:
        return jnp.mean(batch.weight * jnp.sum(share * mask * term, axis=1))

    losses = Losses(
        value=mean(value, goal.value_mask, share),
        policy=mean(policy, goal.policy_mask, share),
        reward=mean(reward, goal.reward_mask, share[1:]),
    )
    total = (
        settings.value_weight * losses.value
        + settings.policy_weight * losses.policy
        + settings.reward_weight * losses.reward
    )
    return total, losses
