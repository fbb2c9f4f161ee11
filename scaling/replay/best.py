"""The best episodes: copies of whole ones, of which the worst leaves for a better one.

Of one shard: a ring of T slots, to which an episode is appended when it has ended and
is among the best, and a table of the episodes that are kept. One that is dropped stays
in the ring until it is written over; one that is kept and would be written over is
appended again first. So a step's absolute number never changes while a lane or the
window may point at it, and is too old exactly when it is T behind the newest.

Kept are the episodes of highest return whose steps are N together; of equal returns
the younger ones. With T = 3 N no episode is appended twice for one call's newcomers:
between two appends of it the head moves on by more than T - N = 2 N, and one call moves
it by N for newcomers and N for others at most.

Which episodes are kept and what is copied is decided on small tables; the copying, of
facts here and of frames wherever they lie, follows a list of moves.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from scaling import layout
from scaling.replay import steps

COPIED_AT_ONCE = 64  # steps; fewer than lie between two appends of one episode
_NEVER = np.iinfo(np.int32).max


class Kept(NamedTuple):
    """The kept episodes of a shard; a length of 0 is a free row."""

    first: Int[Array, " M"]  # absolute number of the first step in the archive
    length: Int[Array, " M"]
    total: Float[Array, " M"]  # return
    number: Int[Array, " M"]  # of the episode, by its end


class Moves(NamedTuple):
    """Steps to be copied, in this order; a length of 0 is no move."""

    column: Int[Array, " P"]  # of the rings; the number of rings: of the archive
    first: Int[Array, " P"]  # absolute number there
    to: Int[Array, " P"]  # absolute number in the archive
    length: Int[Array, " P"]


class Table(NamedTuple):
    """Which episodes of a shard are kept, and where."""

    kept: Kept
    moves: Moves  # of the last call
    ended: Int[Array, ""]  # episodes that were considered
    head: Int[Array, ""]  # absolute number of the next step in the archive


class Best(NamedTuple):
    """The archive of one shard."""

    steps: steps.Steps  # one column
    table: Table


class Ended(NamedTuple):
    """Episodes of the E environments that ended with this call."""

    first: Int[Array, " E"]  # absolute number of the first step
    length: Int[Array, " E"]  # 0: none ended, or its beginning is evicted
    total: Float[Array, " E"]


def empty(environments: int, most: int, episodes: int) -> Best:
    """Returns an archive without episodes.

    Args:
      environments: rings that episodes come from.
      most: N, steps that are kept.
      episodes: M, the most that are kept.
    """
    rows, moves = jnp.zeros(episodes, jnp.int32), episodes + environments
    none = jnp.zeros(moves, jnp.int32)
    zero = jnp.zeros((), jnp.int32)
    return Best(
        steps=steps.empty(1, layout.RING_FOR_EACH * most),
        table=Table(
            kept=Kept(rows, rows, jnp.zeros(episodes), rows),
            moves=Moves(none, none, none, none),
            ended=zero,
            head=zero,
        ),
    )


def ended(
    rings: steps.Steps, last: Bool[Array, " E"], total: Float[Array, " E"]
) -> Ended:
    """Returns the episodes whose last step is the newest complete one.

    Args:
      rings: of the environments, this call's steps appended.
      last: whether an episode ended with this call.
      total: its return.
    """
    environments, capacity = rings.action.shape
    newest = rings.complete - 1
    length = rings.age[jnp.arange(environments), newest % capacity] + 1
    whole = last & (length < capacity)  # the pending step has a slot too
    return Ended(rings.complete - length, jnp.where(whole, length, 0), total)


def decide(table: Table, new: Ended, capacity: int) -> Table:
    """Returns the table with this call's episodes, and the moves that it takes.

    Args:
      table: of a shard.
      new: episodes that ended with this call.
      capacity: T.
    """
    episodes, environments = table.kept.length.size, new.length.size
    stays = _among_the_best(table, new, capacity // layout.RING_FOR_EACH)
    kept = table.kept._replace(length=jnp.where(stays[:episodes], table.kept.length, 0))
    new = new._replace(length=jnp.where(stays[episodes:], new.length, 0))
    plan = _Plan(
        table._replace(kept=kept, moves=_no_moves(table)), jnp.zeros((), jnp.int32)
    )

    def append(column: Array, plan: _Plan) -> _Plan:
        length = new.length[column]
        plan = _make_room(plan, length, capacity, environments)
        now = plan.table
        row = (now.head, length, new.total[column], now.ended + column)
        free = jnp.argmin(now.kept.length)
        moved = _moved(plan, column, new.first[column], length)
        kept = Kept(*(_put(a, free, b) for a, b in zip(now.kept, row, strict=True)))
        appended = moved._replace(table=moved.table._replace(kept=kept))
        return jax.tree.map(lambda a, b: jnp.where(length > 0, a, b), appended, plan)

    plan = jax.lax.fori_loop(0, environments, append, plan)
    return plan.table._replace(ended=table.ended + environments)


class _Plan(NamedTuple):
    table: Table
    listed: Int[Array, ""]  # moves so far


def _no_moves(table: Table) -> Moves:
    return jax.tree.map(jnp.zeros_like, table.moves)


def _among_the_best(table: Table, new: Ended, most: int) -> Bool[Array, " N"]:
    """Returns which of the kept and the new episodes (N) are kept from now on."""
    kept = table.kept
    length = jnp.concatenate([kept.length, new.length])
    total = jnp.concatenate([kept.total, new.total])
    number = (table.ended + jnp.arange(new.length.size)).astype(kept.number.dtype)
    number = jnp.concatenate([kept.number, number])
    order = jnp.lexsort((-number, -total, length == 0))
    fits = (jnp.cumsum(length[order]) <= most) & (length[order] > 0)
    fits &= jnp.arange(length.size) < kept.length.size
    best = jnp.cumprod(fits.astype(jnp.int32)) > 0  # all that are worse leave
    return jnp.zeros(length.size, bool).at[order].set(best)


def _make_room(
    plan: _Plan, length: Int[Array, ""], capacity: int, archive: int
) -> _Plan:
    """Returns the plan with every kept episode moved that `length` would overwrite."""

    def oldest(kept: Kept) -> Array:
        return jnp.argmin(jnp.where(kept.length > 0, kept.first, _NEVER))

    def overwrites(plan: _Plan) -> Array:
        kept, head = plan.table.kept, plan.table.head
        row = oldest(kept)
        at_risk = kept.first[row] < head + length - capacity
        return (length > 0) & (kept.length[row] > 0) & at_risk

    def move(plan: _Plan) -> _Plan:
        kept, head = plan.table.kept, plan.table.head
        row = oldest(kept)
        moved = _moved(plan, archive, kept.first[row], kept.length[row])
        kept = kept._replace(first=_put(kept.first, row, head))
        return moved._replace(table=moved.table._replace(kept=kept))

    return jax.lax.while_loop(overwrites, move, plan)


def _moved(plan: _Plan, column: Any, first: Array, length: Array) -> _Plan:
    """Returns the plan with steps of a column appended to the archive."""
    table = plan.table
    row = (column, first, table.head, length)
    moves = Moves(
        *(_put(a, plan.listed, b) for a, b in zip(table.moves, row, strict=True))
    )
    table = table._replace(moves=moves, head=table.head + length)
    return _Plan(table, plan.listed + 1)


def _put(array: Array, at: Array, value: Any) -> Array:
    return array.at[at].set(jnp.asarray(value).astype(array.dtype))


def copy(moves: Moves, source: Any, archive: Any) -> tuple[Any, Int[Array, ""]]:
    """Returns the archive with the moves made, and a number that is there afterwards.

    What is written to `source` later must depend on the number: else XLA copies all of
    it, as it cannot know that it is read before.

    Args:
      moves: of G shards, fields [G, P].
      source: arrays [G, E, S, ...].
      archive: a like tree of arrays [G, 1, T, ...].
    """
    until = jnp.cumsum(moves.length, axis=1)
    blocks = -(-until[:, -1].max() // COPIED_AT_ONCE)

    def block(index: Array, archive: Any) -> Any:
        at = index * COPIED_AT_ONCE + jnp.arange(COPIED_AT_ONCE)
        one = jax.vmap(_copy_block, in_axes=(0, 0, None, 0, 0))
        return jax.tree.map(lambda a, b: one(moves, until, at, a, b), source, archive)

    def body(index: Array, carry: tuple[Any, Array]) -> tuple[Any, Array]:
        return block(index, carry[0]), index

    return jax.lax.fori_loop(0, blocks, body, (archive, jnp.zeros_like(blocks)))


def _copy_block(
    moves: Moves,
    until: Int[Array, " P"],
    at: Int[Array, " C"],
    source: Array,
    archive: Array,
) -> Array:
    """Returns a shard's archive with the steps `at` of all moves in a row copied."""
    move = jnp.minimum(jnp.searchsorted(until, at, side="right"), until.size - 1)
    offset = at - (until[move] - moves.length[move])
    column, step = moves.column[move], moves.first[move] + offset
    own = column >= source.shape[0]
    new = source[jnp.where(own, 0, column), step % source.shape[1]]
    old = archive[0, step % archive.shape[1]]
    mask = own.reshape(-1, *(1,) * (new.ndim - 1))
    capacity = archive.shape[1]
    slot = jnp.where(at < until[-1], (moves.to[move] + offset) % capacity, capacity)
    return archive.at[0, slot].set(jnp.where(mask, old, new), mode="drop")


def keep(
    best: Best,
    rings: steps.Steps,
    last: Bool[Array, "G E"],
    total: Float[Array, "G E"],
) -> tuple[Best, Int[Array, ""]]:
    """Returns the archives after this call's episodes, and when they were copied.

    Args:
      best: of G shards.
      rings: of G shards, this call's steps appended.
      last: whether an episode ended.
      total: its return.
    """
    capacity = best.steps.action.shape[2]

    def consider(table: Table) -> Table:
        new = jax.vmap(ended)(rings, last, total)
        return jax.vmap(functools.partial(decide, capacity=capacity))(table, new)

    def pass_over(table: Table) -> Table:
        return table._replace(moves=_no_moves(table))

    # Only small tables go through the branch: what does would be copied.
    table = jax.lax.cond(last.any(), consider, pass_over, best.table)
    facts, when = copy(table.moves, _facts(rings), _facts(best.steps))
    complete = table.head[:, None]
    return Best(best.steps._replace(**facts, complete=complete), table), when


def _facts(store: steps.Steps) -> dict[str, Array]:
    return {name: getattr(store, name) for name in steps.Steps._fields[:-1]}
