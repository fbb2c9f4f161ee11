"""Stored lanes replay contiguous segments of stored steps and nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scaling.reanalyse import lanes, sources
from scaling.replay import steps

live_rows = jax.jit(lanes.live_rows, static_argnums=(3, 4))
ENVIRONMENTS, SLOTS, SEGMENT, NEWEST = 2, 3, 4, 6


@given(st.integers(0, 40), st.integers(0, 3), st.sampled_from([1, 2, 4]))
def test_live_rows_are_shared_evenly(number, extra, shards):
    rows = 40 // shards + extra
    first = jnp.array(number // 2)
    per_shard = [
        int(live_rows(jnp.array(number), first, jnp.array(g), shards, rows).sum())
        for g in range(shards)
    ]
    assert sum(per_shard) == number
    assert max(per_shard) - min(per_shard) <= 1


def test_rows_take_turns():
    """Three live rows a call of eight: none is ahead of another by more than one."""
    shards, rows, number = 4, 2, 3
    searched = np.zeros((shards, rows), int)
    for call in range(50):
        first = jnp.array(call * number % (shards * rows))
        for g in range(shards):
            searched[g] += np.asarray(
                live_rows(jnp.array(number), first, jnp.array(g), shards, rows)
            )
        assert searched.max() - searched.min() <= 1


@jax.jit
def one_call(state, stored, facts, key):
    live = jnp.ones(ENVIRONMENTS + SLOTS, bool)
    drawn = sources.draw(
        ["recent"], stored, sources.Archives((), ()), NEWEST, key, live.size
    )
    starts = state.waiting & live
    placed = lanes.place(state, starts, drawn.column[0], drawn.step[0])
    stored = steps.append(stored, facts, live[:ENVIRONMENTS])
    replayed = steps.facts_at(stored, placed.column, placed.step)
    last = jnp.concatenate([facts.last, replayed.last[ENVIRONMENTS:]])
    complete = stored.complete[placed.column]
    closes = lanes.closing(placed, complete, last, SEGMENT, ENVIRONMENTS)
    return placed, closes, lanes.advance(placed, live, closes, ENVIRONMENTS), stored


def test_segments_are_contiguous_and_end_where_they_must():
    rng = np.random.default_rng(0)
    stored = steps.empty(ENVIRONMENTS, 64)
    state = lanes.initial(ENVIRONMENTS, SLOTS)
    episode_ends = [set() for _ in range(ENVIRONMENTS)]
    segments = [[] for _ in range(ENVIRONMENTS + SLOTS)]
    # The first fresh steps, as in a warm-up, so that there is something to draw.
    for call in range(60):
        last = rng.random(ENVIRONMENTS) < 0.15
        for column in np.flatnonzero(last):
            episode_ends[column].add(call)
        facts = steps.Facts(
            jnp.zeros(ENVIRONMENTS, jnp.int32),
            jnp.zeros(ENVIRONMENTS),
            jnp.where(last, 0.0, 1.0),
            jnp.asarray(last),
        )
        if call < 3:
            stored = steps.append(stored, facts, jnp.ones(ENVIRONMENTS, bool))
            state = state._replace(step=state.step.at[:ENVIRONMENTS].add(1))
            continue
        placed, closes, state, stored = one_call(
            state, stored, facts, jax.random.key(call)
        )
        for lane in range(ENVIRONMENTS + SLOTS):
            column, step = int(placed.column[lane]), int(placed.step[lane])
            position = int(placed.position[lane])
            if lane < ENVIRONMENTS:
                assert (column, step) == (lane, call)
            if position == 0:
                segments[lane].append([])
                if lane >= ENVIRONMENTS:
                    assert call - NEWEST <= step < call
            else:
                assert (column, step - 1) == segments[lane][-1][-1]
            segments[lane][-1].append((column, step))
            ends = step in episode_ends[column]
            full = position + 1 == SEGMENT
            newest = lane >= ENVIRONMENTS and step == call
            assert bool(closes[lane]) == (ends or full or newest)
    assert max(len(segment) for segment in segments[-1]) == SEGMENT


def test_a_lane_that_is_not_live_stays():
    state = lanes.initial(1, 2)
    live = jnp.array([False, False, False])
    after = lanes.advance(state, live, jnp.ones(3, bool), 1)
    for before, now in zip(state, after, strict=True):
        np.testing.assert_array_equal(before, now)


def test_row_keys_differ_and_follow_the_logical_place():
    keys = lanes.keys_of_rows(jax.random.key(0), jnp.arange(4), 3)
    data = np.asarray(jax.random.key_data(keys)).reshape(12, -1)
    assert len(np.unique(data, axis=0)) == 12
