"""From the window of searched steps to a batch for the learner."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from scaling import config, types
from scaling.learner import loss, targets
from scaling.replay import priorities
from scaling.replay import window as windows


class From(NamedTuple):
    """What is drawn from, the same for all shards."""

    call: Int[Array, ""]  # the oldest call whose searches are drawn
    entries: Float[Array, ""]  # mean entries of a shard; means nothing if uniform


class Samples(NamedTuple):
    """B drawn windows of a shard.

    T = K + n + 1 positions from the root on, of which U = K + 1 are unrolled.
    """

    column: Int[Array, " B"]  # where the root lies in the shard's steps
    step: Int[Array, " B"]
    action: Int[Array, "B K"]  # [B, 1], of the root, where K = 0
    weight: Float[Array, " B"]
    valid: Bool[Array, "B T"]
    reward: Float[Array, "B T"]
    discount: Float[Array, "B T"]  # γ, 0 on termination
    policy: Float[Array, "B T A"]
    rewards: Int[Array, "B U"]  # m_k, rewards in each value target
    bootstrap: Float[Array, "B U"]  # root value of position k + m_k


def draw(
    window: windows.Window,
    drawn_from: From,
    key: Key[Array, ""],
    number: int,
    settings: config.Settings,
) -> Samples:
    """Returns `number` windows drawn from a shard's sampleable entries.

    Args:
      window: of the shard.
      drawn_from: oldest call, and mean entries of the shards.
      key: used once.
      number: of samples, B.
      settings: of replay and learner.
    """
    draw_key, action_key = jax.random.split(key)
    entries = windows.sampleable(window, drawn_from.call)
    if settings.replay.priority_exponent == 0:
        lane, index = priorities.draw_uniform(draw_key, *entries, number)
        weight = jnp.ones(number)
    else:
        lane, index, probability = _prioritised(
            window, entries, draw_key, number, settings.replay
        )
        weight = priorities.importance_weights(
            probability, drawn_from.entries, settings.replay.importance_exponent
        )
    learner = settings.learner
    length = learner.unroll_steps + learner.td_steps + 1
    sequence = windows.sequences(window, lane, index, length)
    return _samples(sequence, weight, action_key, learner)


def _prioritised(
    window: windows.Window,
    entries: windows.Range,
    key: Key[Array, ""],
    number: int,
    settings: config.Replay,
) -> tuple[Int[Array, " B"], Int[Array, " B"], Float[Array, " B"]]:
    """Returns lanes, absolute indices and probabilities, P ∝ priority^α."""
    capacity = window.priority.shape[1]
    eligible = priorities.in_ranges(capacity, *entries)
    mass = jnp.where(eligible, window.priority**settings.priority_exponent, 0.0)
    lane, slot, probability = priorities.draw_proportional(key, mass, number)
    index = entries.first[lane] + (slot - entries.first[lane]) % capacity
    return lane, index, probability


def _samples(
    sequence: windows.Sequence,
    weight: Float[Array, " B"],
    key: Key[Array, ""],
    settings: config.Learner,
) -> Samples:
    entries, valid = sequence
    unroll_steps, actions = settings.unroll_steps, entries.policy.shape[-1]
    rewards = jax.vmap(targets.rewards_before_bootstrap, in_axes=(0, 0, None, None))(
        valid, entries.discount, unroll_steps, settings.td_steps
    )
    position = jnp.arange(unroll_steps + 1) + rewards
    # Any action may follow an episode's end: the state is absorbing (PC).
    taken = max(1, unroll_steps)
    random_action = jax.random.randint(key, (weight.shape[0], taken), 0, actions)
    action = entries.action[:, :taken]
    return Samples(
        column=entries.column[:, 0],
        step=entries.step[:, 0],
        action=jnp.where(valid[:, :taken], action, random_action),
        weight=weight,
        valid=valid,
        reward=entries.reward,
        discount=entries.discount * settings.discount,
        policy=entries.policy,
        rewards=rewards,
        bootstrap=jnp.take_along_axis(entries.value, position, axis=1),
    )


def bootstrap_steps(samples: Samples) -> Int[Array, "... B U"]:
    """Returns the absolute steps whose values end the value targets.

    Where a termination ends the target the value counts for nothing, and the step
    named is the episode's last.
    """
    positions = jnp.arange(samples.rewards.shape[-1])
    last = samples.valid.sum(axis=-1, keepdims=True) - 1
    ends = jnp.minimum(positions + samples.rewards, last)
    return samples.step[..., None] + ends


def batch(
    samples: Samples,
    history: types.History,
    bootstrap: Float[Array, "B U"],
    settings: config.Learner,
) -> loss.Batch:
    """Returns what the learner takes, the bootstrap values given."""
    value = jax.vmap(targets.n_step_values, in_axes=(0, 0, 0, 0, None))(
        samples.reward, samples.discount, bootstrap, samples.rewards, settings.td_steps
    )
    goal = jax.vmap(targets.targets)(
        samples.valid, samples.reward, samples.discount, samples.policy, value
    )
    return loss.Batch(history, samples.action, goal, samples.weight)


def refresh_priorities(
    window: windows.Window, live: Bool[Array, " L"], settings: config.Settings
) -> windows.Window:
    """Returns the window with |ν − z| + ε of the newest n + 1 entries of each lane.

    An entry's target is complete n steps later or when its segment closes; until
    then the entry is not sampleable, so what is written earlier is never used.
    """
    td_steps = settings.learner.td_steps
    lanes = jnp.arange(live.size)
    first = jnp.maximum(window.cursor - td_steps - 1, 0)
    newest = jnp.maximum(window.cursor - 1, 0)
    start = jnp.maximum(first, newest - _position(window, lanes, newest))
    sequence = windows.sequences(window, lanes, start, 2 * td_steps + 1)
    value = _values_of(sequence, settings.learner)
    priority = jnp.abs(sequence.entries.value[:, : td_steps + 1] - value)
    priority = priority + settings.replay.priority_epsilon
    index = start[:, None] + jnp.arange(td_steps + 1)
    keep = live[:, None] & sequence.valid[:, : td_steps + 1]
    return windows.set_priorities(window, lanes, index, priority, keep)


def _position(window, lane, index):
    return window.entries.position[lane, index % window.priority.shape[1]]


def _values_of(
    sequence: windows.Sequence, settings: config.Learner
) -> Float[Array, "L J"]:
    """Returns the targets z of the first J = n + 1 positions, from root values."""
    n = settings.td_steps
    entries, valid = sequence
    rewards = jax.vmap(targets.rewards_before_bootstrap, in_axes=(0, 0, None, None))(
        valid, entries.discount, n, n
    )
    bootstrap = jnp.take_along_axis(entries.value, jnp.arange(n + 1) + rewards, axis=1)
    return jax.vmap(targets.n_step_values, in_axes=(0, 0, 0, 0, None))(
        entries.reward, entries.discount * settings.discount, bootstrap, rewards, n
    )
