"""A small MDP whose values are known, and the model that is the MDP itself.

Three states on a line. Action 0 in state 0 pays 1 and ends in the dead state 2; action
1 pays nothing but leads to state 1, where action 1 pays 10: worth 9 > 1.
"""

import jax.numpy as jnp

from scaling import types
from scaling.agent import model as models

DISCOUNT = 0.9
REWARD = jnp.array([[1.0, 0.0], [0.0, 10.0], [0.0, 0.0]])
FOLLOWING = jnp.array([[2, 1], [2, 2], [2, 2]])
BEST_VALUES = (9.0, 10.0, 0.0)


def model(prior=(0.0, 0.0), values=(0.0, 0.0, 0.0)):
    """A model that says these values.

    Its hidden state is the state's number and the reward of the step that led there.
    """

    def represent(params, history):
        state = history.observations[:, -1]
        return jnp.concatenate([state, jnp.zeros_like(state)], axis=1)

    def dynamics(params, hidden, action):
        state = hidden[:, 0].astype(jnp.int32)
        following = FOLLOWING[state, action].astype(jnp.float32)
        return jnp.stack([following, REWARD[state, action]], axis=1)

    def predict(params, hidden):
        logits = jnp.broadcast_to(jnp.array(prior), (hidden.shape[0], 2))
        state = hidden[:, 0].astype(jnp.int32)
        return models.Prediction(logits, jnp.array(values)[state][:, None])

    return models.Model(
        init=lambda key: {},
        represent=represent,
        dynamics=dynamics,
        reward=lambda params, hidden: hidden[:, 1:],
        predict=predict,
        decode=lambda logits: logits[..., 0],
        encode=lambda x: x[..., None],
    )


def without_dynamics(prior=(0.0, 0.0), values=((1.0, 9.0), (0.0, 10.0), (0.0, 0.0))):
    """A network that knows the value of every action of every state, and no model."""
    known = model(prior)

    def predict(params, hidden):
        policy, _ = known.predict(params, hidden)
        state = hidden[:, 0].astype(jnp.int32)
        return models.Prediction(policy, jnp.array(values)[state][..., None])

    return known._replace(dynamics=None, predict=predict)


def history(*states):
    """Histories that are at the states."""
    observations = jnp.array(states, jnp.float32)[:, None, None]
    return types.History(observations, jnp.zeros((len(states), 0), jnp.int32))
