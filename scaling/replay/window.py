"""The window of searched steps: the targets that the learner draws from.

Of one shard: each lane writes what it searched into a ring of its own, in order.
A lane works on one segment at a time and a segment is sampleable once it closes,
so the sampleable entries of a lane are a contiguous range of its ring: from the
oldest entry that is new enough up to `closed`. Nothing is copied when a segment
closes.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Entry(NamedTuple):
    """One searched step of each lane."""

    column: Int[Array, " L"]  # where the step lies in the shard's store
    step: Int[Array, " L"]  # its absolute number there
    position: Int[Array, " L"]  # its place in its segment
    call: Int[Array, " L"]  # when it was searched, and so with which parameters
    action: Int[Array, " L"]  # what was done at the step, now or when it was stored
    reward: Float[Array, " L"]
    discount: Float[Array, " L"]
    value: Float[Array, " L"]  # ν, the root value
    policy: Float[Array, "L A"]  # the policy target


class Window(NamedTuple):
    """The searched steps of one shard."""

    entries: Entry  # every field with a ring axis after the lane: [L, T, ...]
    priority: Float[Array, "L T"]  # |ν - z| + ε
    cursor: Int[Array, " L"]  # entries ever written
    closed: Int[Array, " L"]  # entries of closed segments
    drift: Any = ()  # `drift.Drift`, or () where nothing is searched again


class Range(NamedTuple):
    """The sampleable entries of each lane, as absolute numbers."""

    first: Int[Array, " L"]
    stop: Int[Array, " L"]


class Sequence(NamedTuple):
    """Consecutive entries of B lanes, from a root entry on."""

    entries: Entry  # fields [B, T, ...]
    valid: Bool[Array, "B T"]  # in the root's segment; a prefix of the sequence


def empty(lanes: int, capacity: int, actions: int) -> Window:
    """Returns an empty window of `lanes` rings of `capacity` entries."""
    integers = jnp.zeros((lanes, capacity), jnp.int32)
    floats = jnp.zeros((lanes, capacity))
    return Window(
        entries=Entry(
            column=integers,
            step=integers,
            position=integers,
            call=integers,
            action=integers,
            reward=floats,
            discount=floats,
            value=floats,
            policy=jnp.zeros((lanes, capacity, actions)),
        ),
        priority=floats,
        cursor=jnp.zeros(lanes, jnp.int32),
        closed=jnp.zeros(lanes, jnp.int32),
    )


def append(
    window: Window, entry: Entry, live: Bool[Array, " L"], closes: Bool[Array, " L"]
) -> Window:
    """Returns the window with an entry of each live lane, and segments closed.

    Args:
      window: of the shard.
      entry: what each lane searched.
      live: lanes that searched; the others write nothing.
      closes: lanes whose segment ends with this entry.
    """
    lanes, capacity = window.priority.shape
    slot = jnp.where(live, window.cursor % capacity, capacity)
    lane = jnp.arange(lanes)
    entries = jax.tree.map(
        lambda ring, value: ring.at[lane, slot].set(value, mode="drop"),
        window.entries,
        entry,
    )
    cursor = window.cursor + live
    closed = jnp.where(live & closes, cursor, window.closed)
    return window._replace(entries=entries, cursor=cursor, closed=closed)


def sampleable(window: Window, window_from: Int[Array, ""]) -> Range:
    """Returns the closed entries searched in call `window_from` or later."""
    lane = jnp.arange(window.cursor.size)
    first = first_since(window, lane, jnp.broadcast_to(window_from, lane.shape))
    return Range(first, jnp.maximum(window.closed, first))


def first_since(
    window: Window, lane: Int[Array, " B"], call: Int[Array, " B"]
) -> Int[Array, " B"]:
    """Returns the first entry of each lane searched in a call or later.

    By bisection: the entries of a lane are in the order of their calls. Where there is
    none it is the lane's next entry.
    """
    capacity = window.priority.shape[1]

    def halve(_, bounds):
        low, high = bounds
        middle = (low + high) // 2
        old = (window.entries.call[lane, middle % capacity] < call) & (low < high)
        return jnp.where(old, middle + 1, low), jnp.where(old, high, middle)

    cursor = window.cursor[lane]
    oldest = jnp.maximum(cursor - capacity, 0)
    bits = max(1, capacity.bit_length())
    first, _ = jax.lax.fori_loop(0, bits, halve, (oldest, cursor))
    return first


def count_sampleable(window: Window, window_from: Int[Array, ""]) -> Float[Array, ""]:
    """Returns how many entries `sampleable` gives."""
    first, stop = sampleable(window, window_from)
    return (stop - first).sum().astype(window.priority.dtype)


def sequences(
    window: Window, lane: Int[Array, " B"], first: Int[Array, " B"], length: int
) -> Sequence:
    """Returns `length` consecutive entries of each lane from entry `first` on."""
    capacity = window.priority.shape[1]
    index = first[:, None] + jnp.arange(length)
    entries = jax.tree.map(
        lambda ring: ring[lane[:, None], index % capacity], window.entries
    )
    same_segment = entries.position - jnp.arange(length) == entries.position[:, :1]
    written = index < window.cursor[lane][:, None]
    # The overwritten start of a ring may continue by chance: cut at the first gap.
    valid = jnp.cumprod((same_segment & written).astype(jnp.int32), axis=1) > 0
    return Sequence(entries, valid)


def set_priorities(
    window: Window,
    lane: Int[Array, " B"],
    index: Int[Array, "B T"],
    priority: Float[Array, "B T"],
    keep: Bool[Array, "B T"],
) -> Window:
    """Returns the window with priorities written where `keep`."""
    capacity = window.priority.shape[1]
    slot = jnp.where(keep, index % capacity, capacity)
    rings = window.priority.at[lane[:, None], slot].set(priority, mode="drop")
    return window._replace(priority=rings)
