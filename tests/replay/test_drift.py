"""Each new search of a stored step against the last one, by a plain loop."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling.replay import drift, steps, window

# Two environments with rings of 5 steps, and an archive of 4; three stored lanes.
RINGS, SLOTS, ARCHIVED, STORED = 2, 5, 4, 3
LANES, CAPACITY, ACTIONS = RINGS + STORED, 6, 3
HOMES = (steps.empty(RINGS, SLOTS), steps.empty(1, ARCHIVED))


class Search(NamedTuple):
    """What the reference keeps of a search."""

    lane: int
    at: int  # among the searches of its lane
    value: float
    policy: np.ndarray


@jax.jit
def one_call(made, entry, live):
    """A call's searches, compared and appended as an iteration does it."""
    followed, read = drift.follow(made, HOMES, entry, live, RINGS)
    made = made._replace(drift=followed)
    return window.append(made, entry, live & (read >= 0), jnp.zeros(LANES, bool))


def begin():
    return window.empty(LANES, CAPACITY, ACTIONS)._replace(
        drift=drift.nothing(drift.slots(HOMES))
    )


def entry_of(call, column, step, value, policy):
    integers = jnp.zeros(LANES, jnp.int32)
    floats = jnp.zeros(LANES)
    return window.Entry(
        column=jnp.array(column, jnp.int32),
        step=jnp.array(step, jnp.int32),
        position=integers,
        call=integers + call,
        action=integers,
        reward=floats,
        discount=floats,
        value=jnp.array(value, jnp.float32),
        policy=jnp.array(policy, jnp.float32),
    )


# For each call: whether the environments step, which stored lanes are live, and a
# number by which each of those finds its step.
CALLS = st.lists(
    st.tuples(
        st.booleans(),
        st.lists(st.booleans(), min_size=STORED, max_size=STORED),
        st.lists(st.integers(0, 10**6), min_size=STORED, max_size=STORED),
    ),
    min_size=1,
    max_size=40,
)


def places_of(complete, draws):
    """A stored step for each draw: of the rings as they are, or of the archive.

    One slot of a ring is the pending step's, whose observation is there.
    """
    there = [
        (column, step)
        for column in range(RINGS)
        for step in range(max(0, complete - SLOTS + 1), complete)
    ]
    there += [(RINGS, step) for step in range(ARCHIVED)]
    return [there[draw % len(there)] for draw in draws]


@given(CALLS, st.integers(0, 2**32 - 1))
def test_sums_are_those_of_a_loop_over_the_searches(calls, seed):
    random = np.random.default_rng(seed)
    made, complete = begin(), 0
    last: dict[tuple[int, int], Search] = {}
    made_by = [0] * LANES
    policy_sum, value_sum, number = 0.0, 0.0, 0
    for call, (steps_now, live_stored, draws) in enumerate(calls):
        places = [(column, complete) for column in range(RINGS)]
        places += places_of(complete, draws)
        live = [steps_now] * RINGS + live_stored
        value = random.normal(size=LANES).astype(np.float32)
        policy = random.dirichlet(np.ones(ACTIONS), LANES).astype(np.float32)
        columns, numbers = zip(*places, strict=True)
        entry = entry_of(call, columns, numbers, value, policy)
        made = one_call(made, entry, jnp.array(live))
        for lane in range(RINGS, LANES):
            before = last.get(places[lane])
            if not live[lane] or before is None:
                continue
            if before.at >= made_by[before.lane] - CAPACITY:
                policy_sum += sum(abs(policy[lane] - before.policy)) / 2
                value_sum += abs(value[lane] - before.value)
                number += 1
        for lane in range(LANES):
            if live[lane]:
                found = Search(lane, made_by[lane], value[lane], policy[lane])
                last[places[lane]] = found
                made_by[lane] += 1
        complete += steps_now
    sums = made.drift.sums
    assert int(sums.number) == number
    np.testing.assert_allclose(float(sums.policy), policy_sum, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(float(sums.value), value_sum, rtol=1e-5, atol=1e-6)


def test_slots_are_numbered_through_the_stores():
    column = jnp.array([0, 0, 1, 1, 2, 2])
    step = jnp.array([0, 7, 4, 5, 1, 3])
    found = drift.slots_of(HOMES, column, step)
    np.testing.assert_array_equal(found, [0, 2, 9, 5, 11, 13])
    assert drift.slots(HOMES) == 14


def searched(made, call, place, policy, lane, value=0.0):
    live = np.arange(LANES) == lane
    column, step = np.full(LANES, place[0]), np.full(LANES, place[1])
    values = np.full(LANES, value)
    entry = entry_of(call, column, step, values, np.tile(policy, (LANES, 1)))
    return one_call(made, entry, jnp.array(live))


def test_opposite_policies_are_one_apart():
    made = searched(begin(), 0, (0, 0), [1, 0, 0], lane=0, value=2.0)
    made = searched(made, 1, (0, 0), [0, 0, 1], lane=3, value=-1.0)
    assert [float(x) for x in made.drift.sums] == [1.0, 3.0, 1.0]


def test_the_first_search_of_a_step_is_compared_with_nothing():
    made = searched(begin(), 0, (2, 3), [1, 0, 0], lane=3)
    assert int(made.drift.sums.number) == 0
    made = searched(made, 1, (2, 2), [1, 0, 0], lane=3)
    assert int(made.drift.sums.number) == 0


def test_a_step_that_another_has_overwritten_is_not_mistaken_for_it():
    made = searched(begin(), 0, (0, 0), [1, 0, 0], lane=0)
    made = searched(made, 1, (0, SLOTS), [0, 1, 0], lane=3)  # the same slot
    assert int(made.drift.sums.number) == 0


def test_of_two_searches_of_a_step_in_one_call_the_last_lanes_counts():
    live = jnp.array([False] * RINGS + [True] * STORED)
    column, step = np.full(LANES, 2), np.full(LANES, 1)
    values = np.arange(LANES, dtype=np.float32)
    policy = np.full((LANES, ACTIONS), 1 / ACTIONS)
    made = one_call(begin(), entry_of(0, column, step, values, policy), live)
    assert int(made.drift.sums.number) == 0  # neither is older
    made = searched(made, 1, (2, 1), policy[0], lane=2, value=10.0)
    assert float(made.drift.sums.value) == pytest.approx(10.0 - (LANES - 1))


def test_what_is_no_number_is_shown_and_loses_no_entry():
    made = searched(begin(), 0, (0, 0), [1, 0, 0], lane=0)
    made = searched(made, 1, (0, 0), [0, 0, 1], lane=3, value=float("nan"))
    assert np.isnan(float(made.drift.sums.value))
    made = searched(made, 2, (0, 0), [0, 0, 1], lane=3)
    assert made.cursor.tolist() == [1, 0, 0, 2, 0]
