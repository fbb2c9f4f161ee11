"""The window samples closed segments only and never runs from one into the next."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scaling.replay import window

CAPACITY, LENGTH = 9, 4
append = jax.jit(window.append)
sampleable = jax.jit(window.sampleable)
sequences = jax.jit(window.sequences, static_argnums=3)

# For each call of two lanes: whether the lane is live, whether its segment closes.
CALLS = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    min_size=1,
    max_size=30,
)


def entry_at(call, position):
    integers = jnp.full(2, call)
    floats = jnp.full(2, float(call))
    return window.Entry(
        column=integers,
        step=integers,
        position=jnp.array(position),
        call=integers,
        action=integers,
        reward=floats,
        discount=floats,
        value=floats,
        policy=jnp.full((2, 3), float(call)),
    )


def fill(calls):
    """Returns the window and, for each lane, its entries as (call, segment, open)."""
    made = window.empty(2, CAPACITY, 3)
    lanes = [[], []]
    position, segment = [0, 0], [0, 0]
    for call, (live_0, live_1, close_0, close_1) in enumerate(calls):
        live, closes = (live_0, live_1), (close_0, close_1)
        made = append(
            made, entry_at(call, position), jnp.array(live), jnp.array(closes)
        )
        for lane in range(2):
            if live[lane]:
                lanes[lane].append([call, segment[lane], True])
                position[lane] += 1
                if closes[lane]:
                    for entry in lanes[lane]:
                        entry[2] = False
                    position[lane], segment[lane] = 0, segment[lane] + 1
    return made, lanes


@given(CALLS, st.integers(0, 20))
def test_closed_recent_entries_are_sampleable_and_nothing_else(calls, window_from):
    made, lanes = fill(calls)
    entries = sampleable(made, jnp.array(window_from))
    for lane, expected in enumerate(lanes):
        eligible = [
            index
            for index, (call, _, is_open) in enumerate(expected)
            if not is_open and call >= window_from and index >= len(expected) - CAPACITY
        ]
        first, stop = int(entries.first[lane]), int(entries.stop[lane])
        assert list(range(first, stop)) == eligible


@given(CALLS)
def test_a_sequence_stays_in_its_segment(calls):
    made, lanes = fill(calls)
    for lane, expected in enumerate(lanes):
        for index in range(max(0, len(expected) - CAPACITY), len(expected)):
            sequence = sequences(made, jnp.array([lane]), jnp.array([index]), LENGTH)
            valid = [
                index + offset < len(expected)
                and expected[index + offset][1] == expected[index][1]
                for offset in range(LENGTH)
            ]
            np.testing.assert_array_equal(sequence.valid[0], valid)
            inside = [expected[index + o][0] for o in range(LENGTH) if valid[o]]
            found = np.asarray(sequence.entries.call[0])[np.asarray(valid)]
            np.testing.assert_array_equal(found, inside)
