"""The history a policy acts on, kept from step to step."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Int, Shaped

from scaling import config, types


def begin(observation: Any, protocol: config.Protocol) -> types.History:
    """Returns the histories of B episodes that start with `observation` [B, ...]."""
    observation = jnp.asarray(observation)
    batch, shape = observation.shape[0], observation.shape[1:]
    stack = jnp.zeros((batch, protocol.stack, *shape), observation.dtype)
    actions = jnp.full((batch, protocol.past_actions), -1, jnp.int32)
    return types.History(stack.at[:, -1].set(observation), actions)


def follow(
    history: types.History,
    action: Int[Array, " B"],
    observation: Shaped[Array, "B ..."],
) -> types.History:
    """Returns the histories after `action`, which led to `observation`."""
    observations = jnp.roll(history.observations, -1, axis=1)
    actions = jnp.roll(history.actions, -1, axis=1)
    if actions.shape[1]:
        actions = actions.at[:, -1].set(action.astype(actions.dtype))
    return types.History(observations.at[:, -1].set(observation), actions)
