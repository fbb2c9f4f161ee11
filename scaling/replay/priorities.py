"""Drawing from ragged ranges: uniformly, or in proportion to priorities."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key


def draw_uniform(
    key: Key[Array, ""], first: Int[Array, " R"], stop: Int[Array, " R"], number: int
) -> tuple[Int[Array, " {number}"], Int[Array, " {number}"]]:
    """Returns (row, index) pairs, uniform over all indices in [first, stop).

    Args:
      key: used once.
      first: first index of each row's range.
      stop: index after the last; a range with stop <= first is empty.
      number: of draws, with replacement.

    Returns:
      Rows and absolute indices. If every range is empty they mean nothing.
    """
    size = jnp.maximum(stop - first, 0)
    until = jnp.cumsum(size)
    drawn = jax.random.randint(key, (number,), 0, jnp.maximum(until[-1], 1))
    row = jnp.searchsorted(until, drawn, side="right").astype(jnp.int32)
    row = jnp.minimum(row, size.shape[0] - 1)
    return row, first[row] + drawn - (until[row] - size[row])


def draw_proportional(
    key: Key[Array, ""], mass: Float[Array, "R T"], number: int
) -> tuple[Int[Array, " {number}"], Int[Array, " {number}"], Float[Array, " {number}"]]:
    """Returns (row, slot, probability), drawn with P ∝ mass, with replacement.

    Row sums first, then within the row: no prefix sum is longer than a row, so
    float32 stays exact enough for millions of slots.
    """
    row_key, slot_key = jax.random.split(key)
    row_mass = mass.sum(axis=1)
    row = _invert(jax.random.uniform(row_key, (number,)), row_mass[None])
    slot = _invert(jax.random.uniform(slot_key, (number,)), mass[row])
    return row, slot, mass[row, slot] / row_mass.sum()


def _invert(
    uniform: Float[Array, " B"], mass: Float[Array, "#B T"]
) -> Int[Array, " B"]:
    """Returns the first slot whose cumulative mass exceeds uniform · total."""
    until = jnp.cumsum(mass, axis=1)
    above = until > uniform[:, None] * until[:, -1:]
    # Rounding must not choose a slot without mass: take the last that has some.
    last = mass.shape[1] - 1 - jnp.argmax((mass > 0)[:, ::-1], axis=1)
    return jnp.minimum(jnp.argmax(above, axis=1), last).astype(jnp.int32)


def importance_weights(
    probability: Float[Array, " B"], eligible: Int[Array, ""], exponent: float
) -> Float[Array, " B"]:
    """Returns (1 / (n · P(i)))^β, n the eligible steps of the shard.

    Source: Schaul et al. 2016, arXiv 1511.05952; α = β = 1 in arXiv 2104.06294
    appendix F. Every shard draws the same share of the batch, so with G shards the
    weight (G / (n_total · P_g(i)))^β has n_total / G in place of n; they are equal
    up to the raggedness of the shards.
    """
    return (eligible * jnp.maximum(probability, 1e-12)) ** -exponent


def in_ranges(
    capacity: int, first: Int[Array, " R"], stop: Int[Array, " R"]
) -> Bool[Array, "R {capacity}"]:
    """Returns which slots of rings of `capacity` hold an index in [first, stop)."""
    slot = jnp.arange(capacity)
    offset = (slot[None] - first[:, None]) % capacity
    return offset < jnp.maximum(stop - first, 0)[:, None]
