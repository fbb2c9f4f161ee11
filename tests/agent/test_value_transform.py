"""The transform is invertible and a two-hot code has the value as its mean."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling import config
from scaling.agent import value_transform

VALUES = st.floats(-5e4, 5e4, width=32)


def squash_by_definition(x):
    return math.copysign(math.sqrt(abs(x) + 1) - 1, x) + 0.001 * x


@given(VALUES)
def test_squash_equals_its_definition(x):
    actual = value_transform.squash(jnp.float32(x))
    np.testing.assert_allclose(actual, squash_by_definition(x), rtol=1e-5, atol=1e-6)


@given(VALUES)
def test_unsquash_undoes_squash(x):
    back = value_transform.unsquash(value_transform.squash(jnp.float32(x)))
    np.testing.assert_allclose(back, x, rtol=1e-4, atol=1e-5)


@settings(deadline=None)
@given(st.floats(-12.5, 12.5, width=32))
def test_two_hot_has_two_neighbours_and_their_mean(x):
    code = np.asarray(value_transform.two_hot(jnp.float32(x), 49, 12.0))
    atoms = np.linspace(-12, 12, 49)
    hot = np.flatnonzero(code > 1e-6)
    assert len(hot) <= 2
    assert hot.max() - hot.min() <= 1
    np.testing.assert_allclose(code.sum(), 1, rtol=1e-5)
    np.testing.assert_allclose(code @ atoms, np.clip(x, -12, 12), atol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_decode_undoes_encode_in_units_of_reward(scale):
    settings = config.Value(bins=601, limit=300.0, scale=scale)
    x = jnp.array([-3000.0, -1.5, 0.0, 0.3, 10.0, 50_000.0])
    logits = jnp.log(value_transform.encode(x, settings) + 1e-30)
    actual = value_transform.decode(logits, settings)
    np.testing.assert_allclose(actual, x, rtol=2e-3, atol=1e-3)


def test_cross_entropy_equals_its_definition():
    logits, target = np.array([1.0, -2.0, 0.5]), np.array([0.2, 0.3, 0.5])
    log_probability = logits - math.log(sum(math.exp(x) for x in logits))
    expected = -sum(t * p for t, p in zip(target, log_probability, strict=True))
    actual = value_transform.cross_entropy(jnp.float32(logits), jnp.float32(target))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
