"""The ring of steps gives back what a plain list would."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling.replay import frames, steps

CAPACITY, DEPTH, ACTIONS = 7, 3, 4
append = jax.jit(steps.append)
append_frame = jax.jit(frames.append)
append_to_all = jax.jit(jax.vmap(frames.append))


def stack_by_definition(history, step, depth):
    """The newest `depth` frames of the step's episode up to the step, zeros before."""
    stacked = []
    for back in range(depth - 1, -1, -1):
        number = step - back
        same = number >= history[step]["start"]
        stacked.append(history[number]["frame"] if same else 0)
    return stacked


def actions_by_definition(history, step, number):
    return [
        history[step - back]["action"] if step - back >= history[step]["start"] else -1
        for back in range(number, 0, -1)
    ]


@given(st.lists(st.booleans(), min_size=1, max_size=25), st.integers(0, 3))
def test_the_ring_gives_back_the_newest_steps(lasts, seed):
    rng = np.random.default_rng(seed)
    stored = steps.empty(1, CAPACITY)
    images = jnp.zeros((1, CAPACITY, 1)).at[0, 0, 0].set(100)
    live = jnp.array([True])
    history = [{"frame": 100.0, "start": 0}]
    for number, last in enumerate(lasts):
        action, reward = int(rng.integers(ACTIONS)), float(rng.normal())
        history[number] |= {"action": action, "reward": reward, "last": last}
        facts = steps.Facts(
            jnp.array([action]),
            jnp.array([reward]),
            jnp.array([0.0 if last else 1.0]),
            jnp.array([last]),
        )
        stored = append(stored, facts, live)
        frame = 101.0 + number
        images = append_frame(images, jnp.full((1, 1), frame), stored.complete, live)
        start = number + 1 if last else history[number]["start"]
        history.append({"frame": frame, "start": start})

    count = len(lasts)
    assert int(stored.complete[0]) == count
    # What lies a whole stack before the oldest slot still has all of its frames.
    for step in range(max(0, count - CAPACITY + DEPTH), count + 1):
        at = (jnp.array([0]), jnp.array([step]))
        stacked = frames.gather(images, steps.stack_at(stored, *at, DEPTH))
        expected = stack_by_definition(history, step, DEPTH)
        np.testing.assert_array_equal(stacked[0, :, 0], expected)
        past = steps.past_actions(stored, *at, DEPTH - 1)
        np.testing.assert_array_equal(
            past[0], actions_by_definition(history, step, DEPTH - 1)
        )
        if step < count:
            facts = steps.facts_at(stored, *at)
            assert int(facts.action[0]) == history[step]["action"]
            np.testing.assert_allclose(facts.reward[0], history[step]["reward"])
            assert bool(facts.last[0]) == history[step]["last"]


def test_rows_that_are_not_live_write_nothing():
    stored = steps.empty(2, 4)
    facts = steps.Facts(
        jnp.array([1, 2]), jnp.array([1.0, 2.0]), jnp.ones(2), jnp.zeros(2, bool)
    )
    after = steps.append(stored, facts, jnp.array([True, False]))
    np.testing.assert_array_equal(after.complete, [1, 0])
    np.testing.assert_array_equal(after.action[1], 0)
    np.testing.assert_array_equal(after.age[1], 0)


def test_host_and_device_frames_agree(tmp_path):
    rng = np.random.default_rng(0)
    shards, environments, capacity = 2, 3, 5
    shape = (shards, environments, capacity)
    host = frames.HostFrames(
        tmp_path / "frames", range(shards), (environments, capacity, 2), np.uint8
    )
    device = frames.empty_on_device(shape, (2,), np.uint8)
    for number in range(8):
        frame = rng.integers(0, 255, (shards, environments, 2)).astype(np.uint8)
        live = rng.random((shards, environments)) < 0.7
        step = np.full((shards, environments), number)
        host.append(frame, step, live)
        device = append_to_all(device, *map(jnp.asarray, (frame, step, live)))
    stack = steps.Stack(
        column=jnp.asarray(rng.integers(0, environments, (shards, 4))),
        slot=jnp.asarray(rng.integers(0, capacity, (shards, 4, 2))),
        present=jnp.asarray(rng.random((shards, 4, 2)) < 0.5),
    )
    expected = jax.vmap(frames.gather)(device, stack)
    rows = frames.to_rows(jax.tree.map(np.asarray, stack))
    gathered = host.gather(np.repeat(np.arange(shards), 4), rows)
    np.testing.assert_array_equal(frames.to_shards(gathered, shards), expected)
    host.close()
    assert not list(tmp_path.iterdir())


def test_frames_that_do_not_fit_on_the_disk_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"--replay\.stored-steps"):
        frames.HostFrames(tmp_path, [0], (1, 10**12, 96, 96, 3), np.uint8)
