"""DeepSea: a reward at the end of one path in 256, for studies of rare rewards.

    python launch/sweep.py --env scaling.envs.deepsea:DeepSea --preset cartpole ...

Source: Osband et al. 2020, arXiv 1908.03568 (bsuite). Differs: moving right costs
nothing, so that the reward is all there is; row and column are one-hot each, and not
one cell of a picture.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from scaling import config, types
from scaling.envs import interface

SIZE = 8  # rows and columns
# The action that goes right, by row and column; the other one goes left.
RIGHT = np.random.default_rng(0).integers(0, 2, (SIZE, SIZE))


class State(NamedTuple):
    """Of a batch of divers."""

    row: Int[Array, " B"]
    column: Int[Array, " B"]


class DeepSea:
    """A diver sinks a row a step, to the left or right; 1 for right at every row."""

    kind = "device"
    spec = types.EnvSpec(
        name="scaling.envs.deepsea:DeepSea",
        num_actions=2,
        observation_shape=(2 * SIZE + 1,),
        observation_dtype=np.float32,
        observation_scale=1.0,
        frames_per_step=1,
    )

    def __init__(self, protocol: config.Protocol):
        del protocol  # nothing is random, and no episode is longer than SIZE

    def reset(self, keys: Key[Array, " B"]) -> tuple[State, Float[Array, "B n"]]:
        """Returns divers at the top left."""
        state = State(*jnp.zeros((2, len(keys)), jnp.int32))
        return state, _observe(state)

    def step(
        self, state: State, action: Int[Array, " B"]
    ) -> tuple[State, interface.Transition]:
        """Returns the divers a row deeper; a step past the last row changes nothing."""
        sinks = state.row < SIZE
        right = action == jnp.asarray(RIGHT)[state.row % SIZE, state.column]
        found = sinks & right & (state.column == SIZE - 1)
        column = jnp.clip(state.column + jnp.where(right, 1, -1), 0, SIZE - 1)
        following = State(
            row=state.row + sinks, column=jnp.where(sinks, column, state.column)
        )
        return following, interface.Transition(
            observation=_observe(following),
            reward=found.astype(jnp.float32),
            terminated=following.row == SIZE,
            truncated=jnp.zeros_like(found),
        )


def _observe(state: State) -> Float[Array, "B n"]:
    row = jax.nn.one_hot(state.row, SIZE + 1)
    return jnp.concatenate([row, jax.nn.one_hot(state.column, SIZE)], axis=1)
