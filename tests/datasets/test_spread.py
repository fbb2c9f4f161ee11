"""Episodes over shards: every step once, or every step everywhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from recorded import episode, header, store

from scaling.datasets import spread
from scaling.replay import steps


def made(path, lengths, seed=0):
    rng = np.random.default_rng(seed)
    played = [
        episode(rng, steps=n, last=bool(n % 2), terminated=bool(n % 3)) for n in lengths
    ]
    return store(path, played, header(chunk_bytes=64))


@pytest.mark.parametrize("shards", [1, 2, 4])
def test_every_step_is_in_one_shard(tmp_path, shards):
    data = made(tmp_path / "data", [5, 9, 3, 7, 4, 8, 2, 6, 5, 5, 9, 1])
    columns = spread.columns(data, shards)
    numbers = np.sort(np.concatenate([column.number for column in columns]))
    np.testing.assert_array_equal(numbers, np.arange(len(data)))
    counts = [column.steps for column in columns]
    assert max(counts) <= spread.MOST_UNEVEN * np.mean(counts)
    assert spread.capacity(columns) >= max(counts)


def test_few_episodes_are_in_every_shard(tmp_path):
    columns = spread.columns(made(tmp_path / "data", [5, 20]), 4)
    assert [column.number.tolist() for column in columns] == [[0, 1]] * 4


def test_a_column_holds_its_episodes_one_after_another(tmp_path):
    data = made(tmp_path / "data", [5, 9, 3, 7])
    columns = spread.columns(data, 2)
    capacity, host = spread.capacity(columns), spread.StoredFrames(data, columns)
    for shard, column in enumerate(columns):
        facts = spread.facts(data, column, capacity)
        frames = spread.frames(data, column, capacity, np.uint8)
        at = 0
        for number in column.number.tolist():
            one, length = data[number], len(data[number].actions)
            here = slice(at, at + length)
            np.testing.assert_array_equal(facts.action[0, here], one.actions)
            np.testing.assert_array_equal(facts.reward[0, here], one.rewards)
            np.testing.assert_array_equal(facts.age[0, here], range(length))
            ends = np.arange(length) == length - 1
            np.testing.assert_array_equal(facts.last[0, here], ends)
            gone_on = ~(ends & one.terminated)
            np.testing.assert_array_equal(facts.discount[0, here], gone_on)
            np.testing.assert_array_equal(frames[0, here], one.observations[:length])
            at += length
        assert facts.complete.tolist() == [at] == [column.steps]
        stored = steps.Steps(*map(jnp.asarray, facts))
        every = jnp.arange(column.steps)
        stack = steps.stack_at(stored, jnp.zeros_like(every), every, 3)
        stack = jax.tree.map(np.asarray, stack)
        expected = frames[0][stack.slot] * stack.present[..., None, None]
        shards = np.full(len(every), shard)
        np.testing.assert_array_equal(host.gather(shards, stack), expected)
