"""Values as categorical distributions: the invertible transform and two-hot codes."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from scaling import config

_EPSILON = 0.001  # M19 appendix F


def squash(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Returns h(x) = sign(x)(√(|x| + 1) − 1) + εx with ε = 0.001.

    Source: Pohlen et al. 2018, arXiv 1805.11593; constants of Schrittwieser et al.
    2019, arXiv 1911.08265, appendix F.
    """
    return jnp.sign(x) * (jnp.sqrt(jnp.abs(x) + 1) - 1) + _EPSILON * x


def unsquash(y: Float[Array, "..."]) -> Float[Array, "..."]:
    """Returns h⁻¹(y) = sign(y)(((√(1 + 4ε(|y| + 1 + ε)) − 1) / 2ε)² − 1).

    Rewritten without the difference of two nearly equal numbers, which in float32
    costs half of the digits near zero: with s = √(1 + 4ε(|y| + 1 + ε)),
    (s − 1) / 2ε = 2(|y| + 1 + ε) / (s + 1).

    Source: as `squash`.
    """
    inner = jnp.abs(y) + 1 + _EPSILON
    root = 2 * inner / (jnp.sqrt(1 + 4 * _EPSILON * inner) + 1)
    return jnp.sign(y) * (root - 1) * (root + 1)


def two_hot(
    x: Float[Array, "..."], bins: int, limit: float
) -> Float[Array, "... {bins}"]:
    """Returns the weights on the two atoms around x whose mean is x.

    The atoms are spaced evenly on [-limit, limit]; x beyond them is clipped.
    """
    position = (jnp.clip(x, -limit, limit) + limit) * ((bins - 1) / (2 * limit))
    atoms = jnp.arange(bins, dtype=position.dtype)
    return jnp.maximum(0, 1 - jnp.abs(position[..., None] - atoms))


def encode(x: Float[Array, "..."], value: config.Value) -> Float[Array, "... bins"]:
    """Returns the two-hot code of h(scale · x), x in units of reward."""
    return two_hot(squash(value.scale * x), value.bins, value.limit)


def decode(
    logits: Float[Array, "... bins"], value: config.Value
) -> Float[Array, "..."]:
    """Returns the value in units of reward: h⁻¹(mean of the atoms) / scale."""
    atoms = jnp.linspace(-value.limit, value.limit, value.bins, dtype=logits.dtype)
    return unsquash(jax.nn.softmax(logits) @ atoms) / value.scale


def cross_entropy(
    logits: Float[Array, "... n"], target: Float[Array, "... n"]
) -> Float[Array, "..."]:
    """Returns −Σ target · log softmax(logits)."""
    return -jnp.sum(target * jax.nn.log_softmax(logits), axis=-1)
