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
    total = jnp.maximum(until[-1], 1)
    drawn = jax.random.randint(key, (number,), 0, total, dtype=jnp.int32)
    row = jnp.searchsorted(until, drawn, side="right").astype(jnp.int32)
    row = jnp.minimum(row, size.shape[0] - 1)
    return row, first[row] + drawn - (until[row] - size[row])


def draw_proportional(
    key: Key[Array, ""], mass: Float[Array, "R T"], number: int
) -> tuple[Int[Array, " {number}"], Int[Array, " {number}"], Float[Array, " {number}"]]:
    """Returns (row, slot, probability), drawn with P ∝ mass, with replacement.

    The row first, then the slot in it: no prefix sum is longer than a row, so
    float32 stays exact enough for millions of slots. Both by bisection: nothing of
    size number × T is made. If there is no mass at all the probability is 0.
    """
    row_key, slot_key = jax.random.split(key)
    until = jnp.cumsum(mass, axis=1)
    row_until = jnp.cumsum(until[:, -1])
    zeros = jnp.zeros(number, jnp.int32)
    row = _invert(jax.random.uniform(row_key, (number,)), row_until[None], zeros)
    slot = _invert(jax.random.uniform(slot_key, (number,)), until, row)
    total = jnp.maximum(row_until[-1], jnp.finfo(mass.dtype).tiny)
    return row, slot, mass[row, slot] / total


def _invert(
    uniform: Float[Array, " B"], until: Float[Array, "R T"], row: Int[Array, " B"]
) -> Int[Array, " B"]:
    """Returns, in each chosen row, the first slot with until > uniform · total."""
    size = until.shape[1]
    total = until[row, -1]
    # Rounding must not reach the total: no slot lies beyond it.
    wanted = jnp.minimum(uniform * total, jnp.nextafter(total, jnp.zeros_like(total)))

    def halve(_, bounds):
        low, high = bounds
        middle = (low + high) // 2
        above = until[row, middle] > wanted
        return jnp.where(above, low, middle + 1), jnp.where(above, middle, high)

    start = (jnp.zeros_like(row), jnp.full_like(row, size - 1))
    low, _ = jax.lax.fori_loop(0, size.bit_length(), halve, start)
    return jnp.minimum(low, size - 1)


def importance_weights(
    probability: Float[Array, " B"], eligible: Float[Array, ""], exponent: float
) -> Float[Array, " B"]:
    """Returns (1 / (n · P(i)))^β, and 0 where nothing could be drawn.

    With n the mean number of eligible steps of a shard this is
    (G / (n_total · P_g(i)))^β: every shard draws the same share of the batch.

    Source: Schaul et al. 2016, arXiv 1511.05952; α = β = 1 in arXiv 2104.06294
    appendix F.
    """
    drawn = probability > 0
    safe = jnp.where(drawn, probability, 1.0)
    return jnp.where(drawn, (eligible * safe) ** -exponent, 0.0)


def in_ranges(
    capacity: int, first: Int[Array, " R"], stop: Int[Array, " R"]
) -> Bool[Array, "R {capacity}"]:
    """Returns which slots of rings of `capacity` hold an index in [first, stop)."""
    slot = jnp.arange(capacity)
    offset = (slot[None] - first[:, None]) % capacity
    return offset < jnp.maximum(stop - first, 0)[:, None]
