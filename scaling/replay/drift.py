"""Target drift: how far a new search of a stored step is from the last one of it.

Of one shard. Every step that is stored, in the rings or in an archive, has a slot that
holds the number of its newest search, 4 bytes; the search itself is in the window. When
a stored lane searches the step again, both are compared, if the older one is still
there. It says of itself which step it is of, so a slot that is out of date is noticed.

Nothing else of a run depends on what is kept here.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

from scaling.replay import steps
from scaling.replay import window as windows


class Sums(NamedTuple):
    """Over the searches that were compared since the log last read."""

    policy: Float[Array, ""]  # total variation between the policies
    value: Float[Array, ""]  # |ν − ν'|, units of reward
    number: Int[Array, ""]  # of the searches


class Drift(NamedTuple):
    """What is known of the searches of a shard's steps."""

    # Call × lanes + lane of each step's newest search: unique, and greater than that of
    # any earlier one, up to 4e9 rows of search batches in a shard.
    newest: UInt32[Array, " S"]
    sums: Sums


def no_sums() -> Sums:
    """Returns the sums over no search."""
    zero = jnp.zeros(())
    return Sums(zero, zero, zero.astype(jnp.int32))


def nothing(slots: int) -> Drift:
    """Returns what is known of `slots` steps before any search."""
    return Drift(jnp.zeros(slots, jnp.uint32), no_sums())


def total(drift: Drift) -> Sums:
    """Returns the sums over shards, whose drift has a leading axis."""
    return jax.tree.map(lambda of_shards: of_shards.sum(axis=0), drift.sums)


def begun_anew(drift: Drift) -> Drift:
    """Returns the drift with the sums of all shards at zero."""
    return drift._replace(sums=jax.tree.map(jnp.zeros_like, drift.sums))


def slots(homes: Sequence[steps.Steps]) -> int:
    """Returns S: how many steps the stores of a shard hold."""
    return sum(home.action.shape[-2] * home.action.shape[-1] for home in homes)


def slots_of(
    homes: Sequence[steps.Steps], column: Int[Array, " L"], step: Int[Array, " L"]
) -> Int[Array, " L"]:
    """Returns the slots of steps, those of several stores numbered through.

    Args:
      homes: the stores; their columns are numbered through.
      column: of each step.
      step: its absolute number there.
    """
    found, columns, before = jnp.zeros_like(column), 0, 0
    for home in homes:
        number, capacity = home.action.shape
        own = before + (column - columns) * capacity + step % capacity
        found = jnp.where(column >= columns, own, found)
        columns, before = columns + number, before + number * capacity
    return found


class _Target(NamedTuple):
    """What the window holds of L searches."""

    column: Int[Array, " L"]
    step: Int[Array, " L"]
    call: Int[Array, " L"]
    value: Float[Array, " L"]
    policy: Float[Array, "L A"]


def follow(
    window: windows.Window,
    homes: Sequence[steps.Steps],
    entry: windows.Entry,
    live: Bool[Array, " L"],
    environments: int,
) -> tuple[Drift, Int[Array, ""]]:
    """Returns the drift after a call's searches, and a number from 0 on.

    The number is there when all has been read: what is written to the window later
    must depend on it, else XLA copies the window.

    Args:
      window: of the shard, before the searches are appended; it has the drift so far.
      homes: the shard's stores.
      entry: what each lane searched.
      live: lanes that searched.
      environments: the first lanes, whose steps are new.
    """
    newest, sums = window.drift
    lanes = live.size
    slot = slots_of(homes, entry.column, entry.step)
    older, found = _target(window, newest[slot])
    same = (older.column == entry.column) & (older.step == entry.step)
    compared = live & found & same & (jnp.arange(lanes) >= environments)
    apart = jnp.abs(entry.policy - older.policy).sum(axis=-1) / 2
    sums = Sums(
        sums.policy + jnp.where(compared, apart, 0.0).sum(),
        sums.value + jnp.where(compared, jnp.abs(entry.value - older.value), 0.0).sum(),
        sums.number + compared.sum(dtype=jnp.int32),
    )
    read = jnp.stack([(field != 0).sum() for field in older]).sum()
    number = entry.call.astype(jnp.uint32) * lanes + jnp.arange(lanes, dtype=jnp.uint32)
    written = jnp.where(live & (read >= 0), slot, newest.size)
    # Two lanes may search one step in one call: the last of them counts.
    return Drift(newest.at[written].max(number, mode="drop"), sums), read


def _target(
    window: windows.Window, number: UInt32[Array, " L"]
) -> tuple[_Target, Bool[Array, " L"]]:
    """Returns what the window holds of searches, and whether it still holds them."""
    lanes, capacity = window.priority.shape
    lane = (number % lanes).astype(jnp.int32)
    call = (number // lanes).astype(jnp.int32)
    index = windows.first_since(window, lane, call)
    kept = window.entries
    rings = _Target(kept.column, kept.step, kept.call, kept.value, kept.policy)
    target = jax.tree.map(lambda ring: ring[lane, index % capacity], rings)
    return target, (index < window.cursor[lane]) & (target.call == call)
