"""What a network says of a state without a search: policy, value, action values."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from scaling import config, types
from scaling.agent import model as models


class Judged(NamedTuple):
    """B states as the network sees them."""

    hidden: Array  # [B, ...]
    prediction: models.Prediction


def judge(model: models.Model, params: types.Params, history: types.History) -> Judged:
    """Returns what one call of the networks says of each state."""
    hidden = model.represent(params, history)
    return Judged(hidden, model.predict(params, hidden))


def state_value(
    model: models.Model, prediction: models.Prediction
) -> Float[Array, " B"]:
    """Returns v(s) in units of reward.

    Without a model it is the mean of the action values under the policy head,
    Σ_a π(a|s) q(s, a).
    """
    value = model.decode(prediction.value_logits)
    if model.dynamics is not None:
        return value
    return jnp.sum(jax.nn.softmax(prediction.policy_logits) * value, axis=-1)


def action_values(
    model: models.Model, params: types.Params, judged: Judged, discount: float
) -> Float[Array, "B A"]:
    """Returns q(s, a) of every action, in units of reward.

        q(s, a) = r(s, a) + γ v(s'),   with r and s' of one model step,

    or what the action-value head says where there is no model.

    Source: Schrittwieser et al. 2021, arXiv 2104.06294, the ablation's "value".

    Args:
      model: the networks.
      params: of the model.
      judged: the states.
      discount: γ per agent step.
    """
    prediction = judged.prediction
    if model.dynamics is None:
        return model.decode(prediction.value_logits)
    rows, actions = prediction.policy_logits.shape
    action = jnp.tile(jnp.arange(actions, dtype=jnp.int32), rows)
    every = jnp.repeat(judged.hidden, actions, axis=0)
    following = model.dynamics(params, every, action)
    reward = model.decode(model.reward(params, following))
    value = model.decode(model.predict(params, following).value_logits)
    return (reward + discount * value).reshape(rows, actions)


def sampled_action(judged: Judged, keys: Key[Array, " B"]) -> Int[Array, " B"]:
    """Returns an action of each state, drawn from the policy head."""
    logits = judged.prediction.policy_logits
    return jax.vmap(jax.random.categorical)(keys, logits).astype(jnp.int32)


def best_action(values: Float[Array, "B A"]) -> Int[Array, " B"]:
    """Returns the action of the highest value, the first one of equals."""
    return jnp.argmax(values, axis=-1).astype(jnp.int32)


def explore(
    keys: Key[Array, " B"], action: Int[Array, " B"], epsilon: float, num_actions: int
) -> Int[Array, " B"]:
    """Returns the actions, each a uniformly random one at probability `epsilon`."""

    def one(key: Key[Array, ""], chosen: Int[Array, ""]) -> Int[Array, ""]:
        coin, die = jax.random.split(key)
        random = jax.random.randint(die, (), 0, num_actions, chosen.dtype)
        return jnp.where(jax.random.bernoulli(coin, epsilon), random, chosen)

    return jax.vmap(one)(keys, action)


def _exponential(advantage: Array, settings: config.Crr) -> Array:
    return jnp.minimum(jnp.exp(advantage / settings.temperature), settings.limit)


def _binary(advantage: Array, settings: config.Crr) -> Array:
    return (advantage > 0).astype(advantage.dtype)


_WEIGHTS: dict[str, Callable[[Array, config.Crr], Array]] = {
    "exponential": _exponential,
    "binary": _binary,
}


def crr_weights(
    policy_logits: Float[Array, "B A"],
    values: Float[Array, "B A"],
    settings: config.Crr,
    scale: float,
) -> Float[Array, "B A"]:
    """Returns the weight that critic-regularised regression gives to each action.

    With the advantage A(s, a) = q(s, a) − Σ_b π(b|s) q(s, b), in scaled units,

        f = min(exp(A/β), limit)   or   f = 1[A > 0].

    Source: Wang et al. 2020, arXiv 2006.15134; published code has β = 1 and weights
    up to 20. Differs: the mean over the policy is exact and not of sampled actions,
    as there are few.

    Args:
      policy_logits: of π.
      values: q, in units of reward.
      settings: form, β and limit.
      scale: by which values are multiplied first.
    """
    scaled = scale * values
    mean = jnp.sum(jax.nn.softmax(policy_logits) * scaled, axis=-1, keepdims=True)
    return _WEIGHTS[settings.weight](scaled - mean, settings)
