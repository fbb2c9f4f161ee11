"""The backup of a search, of which each step touches one node of each tree.

mctx writes its backup for one tree, a loop from the new node to the root, and maps it
over the batch. Trees are of different depths, and where a mapped loop has rows that
have ended, JAX selects old or new values of all that it carries: here whole trees, in
every step, so that the time of a search grew faster than the square of its simulations.
The loop below is over the batch; a row that has arrived at its root writes beyond its
tree, which drops what is written. Results are the same to the last bit.

Source: Danihelka et al. 2022, github.com/google-deepmind/mctx, whose backup this is.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from mctx._src import search

Tree = Any  # mctx.Tree
_PATCH = threading.RLock()


@contextlib.contextmanager
def without_copies() -> Iterator[None]:
    """Yields while searches that are traced have this backup instead of mctx's own.

    One thread at a time: mctx looks its backup up in its module.
    """
    with _PATCH:
        own = search.backward
        search.backward = backward
        try:
            yield
        finally:
            search.backward = own


def backward(tree: Tree, leaf: Int[Array, " B"]) -> Tree:
    """Returns the trees with the values of new nodes backed up to their roots.

    Args:
      tree: B of them.
      leaf: node to start from, of each.
    """
    if len(leaf) > 1:
        return _backward(tree, leaf)
    # A batch of one may itself be mapped, as our rows are: then they go side by side.
    tree_of_row, leaf_of_row = jax.tree.map(lambda x: x[0], (tree, leaf))
    return jax.tree.map(lambda x: x[None], _of_row(tree_of_row, leaf_of_row))


@jax.custom_batching.custom_vmap
def _of_row(tree: Tree, leaf: Int[Array, ""]) -> Tree:
    every = jax.tree.map(lambda x: x[None], (tree, leaf))
    return jax.tree.map(lambda x: x[0], _backward(*every))


@_of_row.def_vmap
def _of_rows(rows: int, mapped: Any, tree: Tree, leaf: Any) -> tuple[Tree, Any]:
    def all_rows(x: Array, is_mapped: bool) -> Array:
        return x if is_mapped else jnp.broadcast_to(x, (rows, *x.shape))

    found = _backward(*jax.tree.map(all_rows, (tree, leaf), tuple(mapped)))
    return found, jax.tree.map(lambda _: True, found)


def _backward(tree: Tree, leaf: Int[Array, " B"]) -> Tree:
    rows, beyond = jnp.arange(len(leaf)), tree.parents.shape[1]

    def is_under_way(now: Any) -> Any:
        _, _, node = now
        return jnp.any(node != tree.ROOT_INDEX)

    def step(now: Any) -> Any:
        trees, value, node = now
        lives = node != tree.ROOT_INDEX
        parent = jnp.where(lives, trees.parents[rows, node], tree.ROOT_INDEX)
        action = trees.action_from_parent[rows, node]
        visits = trees.node_visits[rows, parent]
        value = _one_up(trees, parent, action, value)
        mean = (trees.node_values[rows, parent] * visits + value) / (visits + 1.0)
        to = jnp.where(lives, parent, beyond)
        written = {
            "node_values": ((rows, to), mean),
            "node_visits": ((rows, to), visits + 1),
            "children_values": ((rows, to, action), trees.node_values[rows, node]),
            "children_visits": (
                (rows, to, action),
                trees.children_visits[rows, parent, action] + 1,
            ),
        }
        changed = {
            name: getattr(trees, name).at[place].set(what, mode="drop")
            for name, (place, what) in written.items()
        }
        return trees.replace(**changed), value, parent

    begun = tree, tree.node_values[rows, leaf], leaf.astype(jnp.int32)
    return jax.lax.while_loop(is_under_way, step, begun)[0]


def _one_up(
    tree: Tree,
    parent: Int[Array, " B"],
    action: Int[Array, " B"],
    value: Float[Array, " B"],
) -> Float[Array, " B"]:
    """Returns r + γ v of each row; of those that have arrived it is read no more."""
    rows = jnp.arange(len(parent))
    discount = tree.children_discounts[rows, parent, action]
    return tree.children_rewards[rows, parent, action] + discount * value
