"""The lanes of a search batch: fresh ones act, stored ones replay segments.

Of one shard: L = E + R lanes. A lane is a pointer into the shard's steps. The
first E point at the pending step of their environment; the other R replay stored
segments, step by step, with the stored actions and rewards. Where a segment begins is
for `scaling.reanalyse.sources` to say.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key


class Lanes(NamedTuple):
    """Where the lanes of a shard are."""

    column: Int[Array, " L"]
    step: Int[Array, " L"]
    position: Int[Array, " L"]  # place of the step in the lane's segment
    waiting: Bool[Array, " L"]  # a stored lane between two segments


def initial(environments: int, stored_slots: int) -> Lanes:
    """Returns the lanes of a shard before the first call."""
    column = jnp.concatenate(
        [
            jnp.arange(environments, dtype=jnp.int32),
            jnp.zeros(stored_slots, jnp.int32),
        ]
    )
    zeros = jnp.zeros_like(column)
    return Lanes(
        column, zeros, zeros, column.size - jnp.arange(column.size) <= stored_slots
    )


def live_rows(
    number: Int[Array, ""],
    first: Int[Array, ""],
    shard: Int[Array, ""],
    shards: int,
    rows: int,
) -> Bool[Array, " {rows}"]:
    """Returns which of a shard's rows are live: rows of all shards take turns.

    Row r of shard g has rank r·G + g; `number` ranks from `first` on, around, are
    live. When `first` is where the last call stopped, every row is live equally
    often, and so every shard searches its share.
    """
    rank = jnp.arange(rows) * shards + shard
    return (rank - first) % max(1, rows * shards) < number


def place(
    lanes: Lanes,
    starts: Bool[Array, " L"],
    column: Int[Array, " L"],
    step: Int[Array, " L"],
) -> Lanes:
    """Returns the lanes with those that begin a segment at its start.

    Args:
      lanes: of the shard.
      starts: lanes that begin a segment.
      column: of the start; means nothing for the others.
      step: of the start.
    """
    return Lanes(
        column=jnp.where(starts, column, lanes.column),
        step=jnp.where(starts, step, lanes.step),
        position=jnp.where(starts, 0, lanes.position),
        waiting=lanes.waiting & ~starts,
    )


def closing(
    lanes: Lanes,
    complete: Int[Array, " L"],
    last: Bool[Array, " L"],
    segment_length: int,
    environments: int,
) -> Bool[Array, " L"]:
    """Returns which lanes' segments end with the step they are at.

    A segment ends with the episode, at `segment_length` steps, and, for a stored
    lane, at the newest complete step.

    Args:
      lanes: before they advance.
      complete: complete steps of each lane's column, this call's included.
      last: whether the episode ends with the lane's step.
      segment_length: most steps of a segment.
      environments: number of fresh lanes, the first ones.
    """
    is_stored = jnp.arange(lanes.step.size) >= environments
    at_newest = is_stored & (lanes.step + 1 >= complete)
    return last | at_newest | (lanes.position + 1 >= segment_length)


def advance(
    lanes: Lanes, live: Bool[Array, " L"], closes: Bool[Array, " L"], environments: int
) -> Lanes:
    """Returns the lanes one step on; a stored lane whose segment closed waits."""
    is_stored = jnp.arange(lanes.step.size) >= environments
    return Lanes(
        column=lanes.column,
        step=lanes.step + live,
        position=jnp.where(
            live, jnp.where(closes, 0, lanes.position + 1), lanes.position
        ),
        waiting=lanes.waiting | (live & closes & is_stored),
    )


def keys_of_rows(
    key: Key[Array, ""], shard: Int[Array, " G"], rows: int
) -> Key[Array, "G {rows}"]:
    """Returns one key for each row, by its place in the run and nothing else."""
    numbers = shard[:, None] * rows + jnp.arange(rows)
    return jax.vmap(jax.vmap(lambda number: jax.random.fold_in(key, number)))(numbers)
