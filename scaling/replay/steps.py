"""Stored steps: what was done and what followed, in one ring for each environment.

Of one shard: E rings (columns) of T slots. The step with absolute number t of a
column lies at slot t mod T. `complete` is the number of complete steps; the
step of that number is *pending*: its observation is there, its outcome is not.

The facts of a step (action, reward, discount, ...) are a few bytes and stay on the
device for every environment. Only the frames, which are large, have two homes:
`scaling.replay.frames`.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Steps(NamedTuple):
    """The facts of the stored steps of one shard."""

    action: Int[Array, "E T"]
    reward: Float[Array, "E T"]  # raw, follows the action
    discount: Float[Array, "E T"]  # 0 on termination, else 1
    last: Bool[Array, "E T"]  # the episode ended with this step
    age: Int[Array, "E T"]  # steps since the episode's start
    complete: Int[Array, " E"]  # number of complete steps of each column


class Facts(NamedTuple):
    """The facts of B steps."""

    action: Int[Array, " B"]
    reward: Float[Array, " B"]
    discount: Float[Array, " B"]
    last: Bool[Array, " B"]


def empty(environments: int, capacity: int) -> Steps:
    """Returns a shard's store with every environment at its first pending step."""
    shape = (environments, capacity)
    return Steps(
        action=jnp.zeros(shape, jnp.int32),
        reward=jnp.zeros(shape),
        discount=jnp.zeros(shape),
        last=jnp.zeros(shape, bool),
        age=jnp.zeros(shape, jnp.int32),
        complete=jnp.zeros(environments, jnp.int32),
    )


def append(steps: Steps, facts: Facts, live: Bool[Array, " E"]) -> Steps:
    """Returns the store with the pending step of each live column completed."""
    environments, capacity = steps.action.shape
    column = jnp.arange(environments)
    # A slot beyond the ring is dropped, so rows that are not live write nothing.
    slot = jnp.where(live, steps.complete % capacity, capacity)
    next_slot = jnp.where(live, (steps.complete + 1) % capacity, capacity)
    age = jnp.where(facts.last, 0, steps.age[column, slot] + 1)

    def write(ring: Array, value: Array) -> Array:
        return ring.at[column, slot].set(value.astype(ring.dtype), mode="drop")

    return Steps(
        action=write(steps.action, facts.action),
        reward=write(steps.reward, facts.reward),
        discount=write(steps.discount, facts.discount),
        last=write(steps.last, facts.last),
        age=steps.age.at[column, next_slot].set(age, mode="drop"),
        complete=steps.complete + live,
    )


def facts_at(steps: Steps, column: Int[Array, " B"], step: Int[Array, " B"]) -> Facts:
    """Returns the facts of complete steps by column and absolute number."""
    slot = step % steps.action.shape[1]
    fields = (steps.action, steps.reward, steps.discount, steps.last)
    return Facts(*(field[column, slot] for field in fields))


class Stack(NamedTuple):
    """Where the frames of B stacks lie, oldest first."""

    column: Int[Array, " B"]
    slot: Int[Array, "B D"]
    present: Bool[Array, "B D"]  # false before the episode's start


def stack_at(
    steps: Steps, column: Int[Array, " B"], step: Int[Array, " B"], depth: int
) -> Stack:
    """Returns where the newest `depth` frames up to and including a step lie."""
    capacity = steps.action.shape[1]
    back = jnp.arange(depth - 1, -1, -1)
    age = steps.age[column, step % capacity]
    return Stack(
        column=column,
        slot=(step[:, None] - back) % capacity,
        present=back <= age[:, None],
    )


def past_actions(
    steps: Steps, column: Int[Array, " B"], step: Int[Array, " B"], number: int
) -> Int[Array, "B {number}"]:
    """Returns the actions before a step, oldest first, -1 before the start."""
    capacity = steps.action.shape[1]
    back = jnp.arange(number, 0, -1)
    slot = (step[:, None] - back) % capacity
    age = steps.age[column, step % capacity]
    return jnp.where(back <= age[:, None], steps.action[column[:, None], slot], -1)


def newest(steps: Steps, number: int) -> tuple[Int[Array, " E"], Int[Array, " E"]]:
    """Returns [first, stop) of the newest `number` complete steps of each column."""
    return jnp.maximum(steps.complete - number, 0), steps.complete
