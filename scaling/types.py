"""Records that cross folders, with the axes of every field.

Axes: B rows of a batch, G logical shards, L lanes of a shard, E environments of a
shard, A actions, K unrolled steps, D stacked observations, H past actions.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

Params = Any  # a pytree of arrays; only scaling/agent knows its shape
EnvState = Any  # a pytree with one row for each environment


class EnvSpec(NamedTuple):
    """What the agent must know of an environment."""

    name: str
    num_actions: int
    observation_shape: tuple[int, ...]  # one frame: (height, width, planes) or (n,)
    observation_dtype: Any  # uint8 where the source is, else float32
    observation_scale: float  # the network divides by this: 255 for pixels
    frames_per_step: int  # emulator frames an agent step takes


class Outcome(NamedTuple):
    """What one agent step of B environments did, before and after autoreset.

    `observation` is what the next step acts on: after an episode's end the first
    one of the next episode. `last_observation` is always the step's own, so the
    true last observation of an episode is never lost. NumPy arrays from host
    environments, JAX arrays from device environments.
    """

    observation: Any  # [B, ...] observation_dtype
    last_observation: Any  # [B, ...] observation_dtype
    reward: Float[Array | np.ndarray, " B"]  # raw
    discount: Float[Array | np.ndarray, " B"]  # 0 on termination, else 1
    terminated: Bool[Array | np.ndarray, " B"]
    truncated: Bool[Array | np.ndarray, " B"]


class History(NamedTuple):
    """What the network sees of B positions: newest last, zeros before a start."""

    observations: Float[Array, "B D ..."] | UInt8[Array, "B D ..."]
    actions: Int[Array, "B H"]  # -1 before the episode's start


class Searched(NamedTuple):
    """The result of a look at B rows, which is a search or one call of the network."""

    action: Int[Array, " B"]  # to take, drawn with the temperature
    best_action: Int[Array, " B"]  # the policy target's best
    policy: Float[Array, "B A"]  # the policy target; weights of actions (CRR)
    value: Float[Array, " B"]  # ν, the root value, in units of reward
