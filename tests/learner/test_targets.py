"""Targets agree with their definition, written as a loop over one episode."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling.learner import targets

rewards_before_bootstrap = jax.jit(
    targets.rewards_before_bootstrap, static_argnums=(2, 3)
)
n_step_values = jax.jit(targets.n_step_values, static_argnums=4)
all_targets = jax.jit(targets.targets)


def value_targets_by_definition(reward, discount, value, valid, unroll, n):
    """z_k, walking forward from k to n rewards, the segment's end or termination."""
    last = int(valid.sum()) - 1
    expected = np.zeros(unroll + 1)
    for k in range(unroll + 1):
        if k > last:
            continue
        z, weight, position = 0.0, 1.0, k
        for _ in range(n):
            terminates = discount[position] == 0
            if position == last and not terminates:
                break
            z += weight * reward[position]
            weight *= discount[position]
            position += 1
            if terminates:
                break
        expected[k] = z + (weight * value[position] if weight else 0.0)
    return expected


@st.composite
def segments(draw):
    unroll, n = draw(st.sampled_from([(1, 1), (2, 5), (4, 3)]))  # few programs
    length = unroll + n + 1
    inside = draw(st.integers(1, length))
    valid = np.arange(length) < inside
    discount = np.full(length, 0.9, np.float32)
    # A termination can only be the last step of a segment: the episode ends there.
    if draw(st.booleans()):
        discount[inside - 1] = 0.0
    discount[inside:] = draw(st.sampled_from([0.0, 0.9]))  # another segment's
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    reward, value = rng.normal(size=(2, length)).astype(np.float32)
    return unroll, n, valid, discount, reward, value


@settings(deadline=None, max_examples=80)
@given(segments())
def test_value_targets_equal_their_definition(segment):
    unroll, n, valid, discount, reward, value = segment
    rewards = rewards_before_bootstrap(valid, discount, unroll, n)
    ends = np.arange(unroll + 1) + np.asarray(rewards)
    bootstrap = np.append(value, 1e6)[np.minimum(ends, len(value))]
    bootstrap = np.where(ends > valid.sum() - 1, 1e6, bootstrap)  # must not be used
    beyond = np.arange(unroll + 1) > valid.sum() - 1
    bootstrap = np.where(beyond, 0.0, bootstrap).astype(np.float32)
    actual = n_step_values(reward, discount, bootstrap, rewards, n)
    expected = value_targets_by_definition(reward, discount, value, valid, unroll, n)
    inside = ~beyond
    np.testing.assert_allclose(
        np.asarray(actual)[inside], expected[inside], rtol=1e-4, atol=1e-4
    )


def masks_by_definition(valid, discount, unroll):
    last = int(valid.sum()) - 1
    terminates = discount[last] == 0
    policy = [float(k <= last) for k in range(unroll + 1)]
    value = [float(k <= last or terminates) for k in range(unroll + 1)]
    return policy, value, value[:-1]


@settings(deadline=None, max_examples=50)
@given(segments())
def test_masks_equal_their_definition(segment):
    unroll, _, valid, discount, reward, _ = segment
    length = len(reward)
    policy = np.full((length, 2), 0.5, np.float32)
    made = all_targets(valid, reward, discount, policy, np.ones(unroll + 1, "f4"))
    expected = masks_by_definition(valid, discount, unroll)
    actual = (made.policy_mask, made.value_mask, made.reward_mask)
    for mask, by_definition in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(mask, by_definition)


def test_truncation_bootstraps_and_termination_does_not():
    reward, value = jnp.array([1.0, 1.0, 0.0]), jnp.array([7.0, 7.0, 7.0])
    valid = jnp.array([True, True, False])

    def first_target(discount):
        rewards = targets.rewards_before_bootstrap(valid, discount, 0, 2)
        bootstrap = value[rewards]
        return targets.n_step_values(reward, discount, bootstrap, rewards, 2)[0]

    truncated = first_target(jnp.array([0.5, 0.5, 0.5]))
    terminated = first_target(jnp.array([0.5, 0.0, 0.5]))
    assert float(truncated) == 1 + 0.5 * 7  # on the last searched step's value
    assert float(terminated) == 1 + 0.5 * 1


def test_past_a_termination_the_state_is_absorbing():
    valid = jnp.array([True, True, False, False])
    made = targets.targets(
        valid,
        jnp.array([1.0, 2.0, 9.0, 9.0]),
        jnp.array([0.9, 0.0, 0.9, 0.9]),
        jnp.ones((4, 2)),
        jnp.array([5.0, 6.0, 9.0, 9.0]),
    )
    np.testing.assert_array_equal(made.value, [5, 6, 0, 0])
    np.testing.assert_array_equal(made.reward, [1, 2, 0])
    np.testing.assert_array_equal(made.value_mask, [1, 1, 1, 1])
    np.testing.assert_array_equal(made.policy_mask, [1, 1, 0, 0])
