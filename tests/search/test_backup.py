"""The backup of a search beside mctx's own."""

# mctx annotates its arrays with chex types that a type checker cannot see through.
# pyright: reportCallIssue=false

import re

import jax
import jax.numpy as jnp
import mctx
import numpy as np
import pytest
from mctx._src import search as inside

from scaling.search import backup

ROWS, ACTIONS, SIMULATIONS = 7, 3, 13
TRANSITION = jax.random.normal(jax.random.key(0), (ACTIONS, 4, 4))


def expand(params, key, action, hidden):
    """A random model in which rewards, values and priors differ from row to row."""
    del key
    hidden = jnp.tanh(jnp.einsum("bi,bij->bj", hidden, params[action]))
    return (
        mctx.RecurrentFnOutput(
            reward=hidden[:, 0],
            discount=jnp.where(hidden[:, 1] > 0.8, 0.0, 0.9),
            prior_logits=3 * hidden[:, :ACTIONS],
            value=hidden[:, 3],
        ),
        hidden,
    )


def roots(rows=ROWS):
    hidden = jax.random.normal(jax.random.key(1), (rows, 4))
    return mctx.RootFnOutput(
        prior_logits=hidden[:, :ACTIONS], value=hidden[:, 3], embedding=hidden
    )


def batched(policy):
    return lambda key: policy(TRANSITION, key, roots(), expand, SIMULATIONS)


def row_by_row(policy):
    """As the project's lanes are: every row is a batch of one with its own key."""

    def one(root, key):
        root = jax.tree.map(lambda x: x[None], root)
        return policy(TRANSITION, key, root, expand, SIMULATIONS)

    return lambda key: jax.vmap(one)(roots(), jax.random.split(key, ROWS))


@pytest.mark.parametrize("form", [batched, row_by_row])
@pytest.mark.parametrize("policy", [mctx.muzero_policy, mctx.gumbel_muzero_policy])
def test_trees_are_those_of_mctx_to_the_last_bit(policy, form):
    key = jax.random.key(2)
    expected = jax.jit(form(policy))(key)
    with backup.without_copies():
        found = jax.jit(form(policy))(key)
    visits = np.asarray(expected.search_tree.node_visits)
    assert len(np.unique((visits > 1).sum(axis=-1))) > 1  # trees of different shapes
    for ours, theirs in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_runs_that_are_packed_have_the_same_trees():
    keys = jax.random.split(jax.random.key(3), 2)
    search = row_by_row(mctx.gumbel_muzero_policy)
    expected = [jax.jit(search)(key) for key in keys]
    with backup.without_copies():
        found = jax.jit(jax.vmap(search))(keys)
    for run, alone in enumerate(expected):
        for ours, theirs in zip(*map(jax.tree.leaves, (found, alone)), strict=True):
            np.testing.assert_allclose(ours[run], theirs, rtol=1e-6, atol=1e-6)


def whole_trees_selected():
    """How often the compiled search selects among all children of all trees."""
    search = jax.jit(row_by_row(mctx.gumbel_muzero_policy))
    text = str(search.lower(jax.random.key(4)).compile().as_text())
    shape = rf"f32\[{ROWS},(1,)?{SIMULATIONS + 1},{ACTIONS}\]"
    return len(re.findall(rf" = {shape}\S* select\(", text))


def test_no_step_selects_among_whole_trees():
    assert whole_trees_selected() > 0
    with backup.without_copies():
        assert whole_trees_selected() == 0


def test_mctx_is_as_it_was_afterwards():
    own = inside.backward
    with backup.without_copies():
        assert inside.backward is backup.backward
    assert inside.backward is own

    def failing():
        with backup.without_copies():
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert inside.backward is own
