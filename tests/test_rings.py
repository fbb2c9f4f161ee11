"""Chunks of a ring: what a checkpoint writes is all that changed, and no more."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scaling import rings


def test_chunks_cover_a_ring_and_are_of_one_size():
    for capacity in (1, 5, 256, 257, 1000, 70_000):
        cut = rings.chunks_of(capacity)
        covered = np.zeros(capacity, bool)
        for chunk in range(cut.number):
            assert 0 <= cut.start(chunk) <= capacity - cut.size
            covered[cut.start(chunk) : cut.start(chunk) + cut.size] = True
        assert covered.all()


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.lists(
        st.tuples(st.integers(-5, 90), st.integers(0, 50)), min_size=1, max_size=4
    ),
)
def test_the_dirty_chunks_are_those_that_hold_a_changed_slot(capacity, size, columns):
    cut = rings.Chunks(capacity, min(size, capacity))
    first = np.array([low for low, _ in columns])
    stop = np.array([max(low, 0) + more for low, more in columns])
    slots = {
        index % capacity
        for low, high in zip(first, stop, strict=True)
        for index in range(max(low, 0), high)
    }
    expected = [
        any(cut.start(chunk) <= slot < cut.start(chunk) + cut.size for slot in slots)
        for chunk in range(cut.number)
    ]
    assert rings.dirty(cut, first, stop).tolist() == expected
