"""Value, reward and policy targets of an unrolled model."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Targets(NamedTuple):
    """What the U = K + 1 unrolled predictions of one sample are compared with."""

    value: Float[Array, " U"]
    policy: Float[Array, "U A"]
    reward: Float[Array, " K"]
    value_mask: Float[Array, " U"]
    policy_mask: Float[Array, " U"]
    reward_mask: Float[Array, " K"]


def rewards_before_bootstrap(
    valid: Bool[Array, " T"],
    discount: Float[Array, " T"],
    unroll_steps: int,
    td_steps: int,
) -> Int[Array, "{unroll_steps}+1"]:
    """Returns m_k, the number of rewards in the value target of each position.

    With `last` the segment's last searched step,

        m_k = min(n, last − k)        or min(n, last + 1 − k) if `last` terminates,

    and at least 0: the target ends at the segment's last root value, or at a real
    termination, whose reward it includes.

    Args:
      valid: positions within the root's segment, a prefix.
      discount: 0 where a position terminates its episode.
      unroll_steps: K.
      td_steps: n.
    """
    terminates = jnp.any(valid & (discount == 0))
    reachable = valid.sum() + terminates
    position = jnp.arange(unroll_steps + 1)
    return jnp.clip(reachable - 1 - position, 0, td_steps)


def n_step_values(
    reward: Float[Array, " T"],
    discount: Float[Array, " T"],
    bootstrap: Float[Array, " J"],
    rewards: Int[Array, " J"],
    td_steps: int,
) -> Float[Array, " J"]:
    """Returns the n-step bootstrapped value targets of the first J positions.

    With u the rewards, γ the discounts, v the bootstrap values and m_k ≤ n,

        z_k = u_k + γ_k u_{k+1} + ... + γ_k ... γ_{k+m_k−1} v_k.

    A zero discount ends the episode: nothing after it reaches the target.

    Source: Schrittwieser et al. 2019, arXiv 1911.08265, section 3.

    Args:
      reward: follows the action at each step.
      discount: after each step, γ or 0 on termination.
      bootstrap: value of position k + m_k, for each k.
      rewards: m_k.
      td_steps: n, the most rewards of a target.
    """
    positions = jnp.arange(bootstrap.shape[0])[:, None] + jnp.arange(td_steps)
    positions = jnp.minimum(positions, reward.shape[0] - 1)
    used = jnp.arange(td_steps) < rewards[:, None]
    factors = jnp.where(used, discount[positions], 1.0)
    weight = jnp.cumprod(factors, axis=1)
    before = jnp.concatenate([jnp.ones_like(weight[:, :1]), weight[:, :-1]], axis=1)
    summed = jnp.sum(jnp.where(used, before * reward[positions], 0.0), axis=1)
    return summed + weight[:, -1] * bootstrap


def targets(
    valid: Bool[Array, " T"],
    reward: Float[Array, " T"],
    discount: Float[Array, " T"],
    policy: Float[Array, "T A"],
    value: Float[Array, " U"],
) -> Targets:
    """Returns the targets of one sample, masked where there are none.

    Beyond a segment's last searched step there is no policy or value to learn from
    and no reward after it. Past a real termination the state is absorbing: value
    and reward are 0 and no policy is learned (PC).

    Args:
      valid: positions within the root's segment, a prefix.
      reward: follows the action at each step.
      discount: 0 where a position terminates its episode.
      policy: the search's policies.
      value: the value targets of the K + 1 positions.
    """
    unrolled = value.shape[0]
    inside = valid[:unrolled]
    ended = jnp.cumsum(valid & (discount == 0)) > 0
    absorbing = jnp.concatenate([jnp.zeros(1, bool), ended[: unrolled - 1]]) & ~inside
    known = (inside | absorbing).astype(value.dtype)
    # The reward after the last searched step was seen, so it is a target too.
    return Targets(
        value=jnp.where(inside, value, 0.0),
        policy=policy[:unrolled],
        reward=jnp.where(inside, reward[:unrolled], 0.0)[:-1],
        value_mask=known,
        policy_mask=inside.astype(value.dtype),
        reward_mask=known[:-1],
    )
