"""Batches and priorities, against loops over the window's entries."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from scaling import config, types
from scaling.learner import sampling
from scaling.replay import window

LANES, CAPACITY, ACTIONS, CALLS = 2, 16, 3, 14
SETTINGS = config.Settings(
    learner=config.Learner(unroll_steps=2, td_steps=3, discount=0.9, batch_size=64),
    replay=config.Replay(priority_epsilon=0.125),
)


def fill(seed=0, refresh=lambda made, live: made):
    """Returns a window and its entries as plain lists of segments of each lane."""
    rng = np.random.default_rng(seed)
    made = window.empty(LANES, CAPACITY, ACTIONS)
    segments = [[[]] for _ in range(LANES)]
    append = jax.jit(window.append)
    for call in range(CALLS):
        live = rng.random(LANES) < 0.9
        ends = rng.random(LANES) < 0.2
        terminates = rng.random(LANES) < 0.5
        entry = window.Entry(
            column=jnp.arange(LANES),
            step=jnp.array([sum(map(len, lane)) for lane in segments]),
            position=jnp.array([len(lane[-1]) for lane in segments]),
            call=jnp.full(LANES, call),
            action=jnp.asarray(rng.integers(0, ACTIONS, LANES)),
            reward=jnp.asarray(rng.normal(size=LANES), jnp.float32),
            discount=jnp.where(ends & terminates, 0.0, 1.0),
            value=jnp.asarray(rng.normal(size=LANES), jnp.float32),
            policy=jnp.asarray(rng.dirichlet(np.ones(ACTIONS), LANES), jnp.float32),
        )
        made = append(made, entry, jnp.asarray(live), jnp.asarray(ends))
        made = refresh(made, jnp.asarray(live))
        for lane in np.flatnonzero(live):
            fields = jax.tree.map(lambda x, lane=lane: np.asarray(x)[lane], entry)
            segments[lane][-1].append(fields)
            if ends[lane]:
                segments[lane].append([])
    return made, segments


def value_target(segment, index, settings):
    """The n-step target of an entry of a closed segment, walked step by step."""
    z, weight = 0.0, 1.0
    for _ in range(settings.td_steps):
        entry = segment[index]
        if index + 1 == len(segment) and entry.discount:
            break
        z += weight * entry.reward
        weight *= entry.discount * settings.discount
        if not entry.discount:
            return z
        index += 1
    return z + weight * segment[index].value


def test_samples_are_closed_entries_with_the_targets_of_their_definition():
    made, segments = fill()
    samples = jax.jit(
        lambda w, key: sampling.draw(
            w,
            sampling.From(jnp.zeros((), jnp.int32), jnp.zeros(())),
            key,
            64,
            dataclasses.replace(SETTINGS, replay=config.Replay(priority_exponent=0.0)),
        )
    )(made, jax.random.key(0))
    history = types.History(jnp.zeros((64, 1, 1)), jnp.zeros((64, 0), jnp.int32))
    batch = sampling.batch(samples, history, samples.bootstrap, SETTINGS.learner)
    learner = SETTINGS.learner
    drawn = set()
    for row in range(64):
        lane, step = int(samples.column[row]), int(samples.step[row])
        closed = segments[lane][:-1]
        segment = next(s for s in closed if s[0].step <= step <= s[-1].step)
        index = step - int(segment[0].step)
        drawn.add((lane, step))
        terminates = segment[-1].discount == 0
        for k in range(learner.unroll_steps + 1):
            inside = index + k < len(segment)
            goal = jax.tree.map(lambda x, row=row: x[row], batch.targets)
            assert float(goal.policy_mask[k]) == inside
            assert float(goal.value_mask[k]) == (inside or terminates)
            if inside:
                expected = value_target(segment, index + k, learner)
                np.testing.assert_allclose(
                    goal.value[k], expected, rtol=1e-4, atol=1e-5
                )
                np.testing.assert_array_equal(goal.policy[k], segment[index + k].policy)
            elif terminates:
                assert float(goal.value[k]) == 0
            if inside and k < learner.unroll_steps:
                assert int(batch.action[row, k]) == segment[index + k].action
                np.testing.assert_allclose(goal.reward[k], segment[index + k].reward)
    everything = {
        (lane, int(entry.step))
        for lane in range(LANES)
        for segment in segments[lane][:-1]
        for entry in segment
    }
    assert drawn == everything  # 64 draws of about 20 entries miss none


def test_priorities_are_written_when_a_segment_closes():
    refresh = jax.jit(
        lambda made, live: sampling.refresh_priorities(made, live, SETTINGS)
    )
    made, segments = fill(1, refresh)
    for lane in range(LANES):
        number = 0
        for segment in segments[lane][:-1]:
            for index, entry in enumerate(segment):
                z = value_target(segment, index, SETTINGS.learner)
                expected = abs(entry.value - z) + 0.125
                np.testing.assert_allclose(
                    made.priority[lane, number], expected, rtol=1e-4, atol=1e-5
                )
                number += 1
