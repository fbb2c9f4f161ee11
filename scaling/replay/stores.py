"""Several stores of steps as one: their columns are numbered through.

A shard has the rings of its environments, and beside them, where a run asks for it,
the fixed archive of a data set or of demonstrations, and the archive of the best
episodes, of one column each. A lane or a searched step points at (column, step); this
finds the store.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from scaling.replay import steps

Read = Callable[[Any, Int[Array, " B"]], Any]


def pick(
    homes: Sequence[Any], columns: Sequence[int], column: Int[Array, " B"], read: Read
) -> Any:
    """Returns what `read` gives of the home that each column is in.

    Args:
      homes: the first has columns 0 to columns[0] - 1, and so on.
      columns: of each.
      column: numbered through.
      read: takes a home and its own columns [B], returns arrays [B, ...].
    """
    first, found = 0, None
    for home, number in zip(homes, columns, strict=True):
        own = column if len(homes) == 1 else jnp.clip(column - first, 0, number - 1)
        new = read(home, own)
        found = new if found is None else _from(column >= first, new, found)
        first += number
    return found


def _from(condition: Array, new: Any, old: Any) -> Any:
    def choose(a: Array, b: Array) -> Array:
        mask = condition.reshape(-1, *(1,) * (a.ndim - 1))
        return jnp.where(mask, a, b)

    return jax.tree.map(choose, new, old)


def _columns(stores: Sequence[steps.Steps]) -> list[int]:
    return [store.complete.shape[0] for store in stores]


def facts_at(
    stores: Sequence[steps.Steps], column: Int[Array, " B"], step: Int[Array, " B"]
) -> steps.Facts:
    """Returns the facts of complete steps."""
    return pick(
        stores, _columns(stores), column, lambda s, c: steps.facts_at(s, c, step)
    )


def stack_at(
    stores: Sequence[steps.Steps],
    column: Int[Array, " B"],
    step: Int[Array, " B"],
    depth: int,
) -> steps.Stack:
    """Returns where stacks lie; their columns are numbered through."""
    stack = pick(
        stores,
        _columns(stores),
        column,
        lambda s, c: steps.stack_at(s, c, step, depth),
    )
    return stack._replace(column=column)


def past_actions(
    stores: Sequence[steps.Steps],
    column: Int[Array, " B"],
    step: Int[Array, " B"],
    number: int,
) -> Int[Array, "B {number}"]:
    """Returns the actions before each step, as `steps.past_actions`."""
    return pick(
        stores,
        _columns(stores),
        column,
        lambda s, c: steps.past_actions(s, c, step, number),
    )


def complete_of(
    stores: Sequence[steps.Steps], column: Int[Array, " B"]
) -> Int[Array, " B"]:
    """Returns the number of complete steps of each column."""
    return pick(stores, _columns(stores), column, lambda s, c: s.complete[c])
