"""Draws hit every eligible index with the stated probability and no other."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scaling.replay import priorities

DRAWS = 20_000
uniform = jax.jit(priorities.draw_uniform, static_argnums=3)
proportional = jax.jit(priorities.draw_proportional, static_argnums=2)
RANGES = st.lists(
    st.tuples(st.integers(0, 50), st.integers(-2, 6)), min_size=3, max_size=3
)


@given(RANGES, st.integers(0, 100))
def test_uniform_draws_lie_in_the_ranges(ranges, seed):
    first = jnp.array([start for start, _ in ranges])
    stop = first + jnp.array([size for _, size in ranges])
    if not (stop > first).any():
        return
    row, index = uniform(jax.random.key(seed), first, stop, 64)
    assert (np.asarray(index) >= np.asarray(first)[row]).all()
    assert (np.asarray(index) < np.asarray(stop)[row]).all()


def test_uniform_draws_are_uniform_over_ragged_ranges():
    first, stop = jnp.array([5, 0, 7]), jnp.array([6, 0, 10])
    row, index = uniform(jax.random.key(0), first, stop, DRAWS)
    pairs, counts = np.unique(np.stack([row, index]), axis=1, return_counts=True)
    assert pairs.T.tolist() == [[0, 5], [2, 7], [2, 8], [2, 9]]
    # Four binomial counts: 5 standard deviations.
    np.testing.assert_allclose(counts, DRAWS / 4, atol=5 * (DRAWS * 3 / 16) ** 0.5)


def test_proportional_draws_follow_the_mass_and_report_it():
    mass = jnp.array([[0.0, 1.0, 0.0], [2.0, 0.0, 5.0]])
    row, slot, probability = proportional(jax.random.key(0), mass, DRAWS)
    for place, expected in {(0, 1): 1 / 8, (1, 0): 2 / 8, (1, 2): 5 / 8}.items():
        hit = (np.asarray(row) == place[0]) & (np.asarray(slot) == place[1])
        spread = 5 * (expected * (1 - expected) / DRAWS) ** 0.5
        np.testing.assert_allclose(hit.mean(), expected, atol=spread)
        np.testing.assert_allclose(np.asarray(probability)[hit], expected, rtol=1e-6)


def test_importance_weights_undo_the_bias():
    mass = jnp.array([[1.0, 3.0, 6.0]])
    values = np.array([5.0, -1.0, 2.0])
    _, slot, probability = proportional(jax.random.key(0), mass, DRAWS)
    weight = priorities.importance_weights(probability, jnp.array(3.0), 1.0)
    weighted = np.asarray(weight) * values[slot]
    error = weighted.std() / DRAWS**0.5
    assert abs(weighted.mean() - values.mean()) < 5 * error


def test_without_any_mass_nothing_counts():
    _, _, probability = proportional(jax.random.key(0), jnp.zeros((2, 3)), 8)
    weight = priorities.importance_weights(probability, jnp.array(0.0), 1.0)
    np.testing.assert_array_equal(weight, 0)


@given(st.integers(0, 40), st.integers(0, 6))
def test_ranges_become_slots(first, size):
    made = priorities.in_ranges(6, jnp.array([first]), jnp.array([first + size]))
    expected = {index % 6 for index in range(first, first + size)}
    assert set(np.flatnonzero(made[0]).tolist()) == expected
