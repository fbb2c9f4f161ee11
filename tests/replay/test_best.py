"""The archive of the best episodes against a plain list of them."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scaling.replay import best, steps

MOST, EPISODES, ENVIRONMENTS, RING, SHARDS = 64, 6, 3, 40, 2


class Played(NamedTuple):
    total: float
    number: int
    rewards: tuple


def kept_by(played, most, episodes):
    """The rule of the source `best`, said plainly."""
    kept, steps_in_it = [], 0
    for episode in sorted(played, key=lambda e: (-e.total, -e.number)):
        steps_in_it += len(episode.rewards)
        if steps_in_it > most or len(kept) == episodes:
            break
        kept.append(episode)
    return kept


def content(archive, shard):
    """The kept episodes of a shard as they can be read out of its ring."""
    kept, ring = archive.table.kept, archive.steps
    found = []
    for row in np.flatnonzero(kept.length[shard]):
        first, length = int(kept.first[shard, row]), int(kept.length[shard, row])
        at = np.arange(first, first + length) % ring.reward.shape[2]
        assert ring.complete[shard, 0] - first <= ring.reward.shape[2]
        np.testing.assert_array_equal(ring.age[shard, 0, at], np.arange(length))
        last = np.arange(length) == length - 1
        np.testing.assert_array_equal(ring.last[shard, 0, at], last)
        rewards = tuple(ring.reward[shard, 0, at].tolist())
        total, number = kept.total[shard, row], kept.number[shard, row]
        found.append(Played(float(total), int(number), rewards))
    return sorted(found)


@functools.partial(jax.jit, donate_argnums=(0, 1))
def one_call(rings, archive, facts, total):
    live = jnp.ones((SHARDS, ENVIRONMENTS), bool)
    rings = jax.vmap(steps.append)(rings, facts, live)
    archive, _ = best.keep(archive, rings, facts.last, total)
    return rings, archive


def repeat(tree):
    return jax.tree.map(lambda x: jnp.stack([x] * SHARDS), tree)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("ends", [0.05, 0.2, 0.6])
def test_the_worst_leave_for_better_ones(seed, ends):
    rng = np.random.default_rng(seed)
    rings = repeat(steps.empty(ENVIRONMENTS, RING))
    archive = repeat(best.empty(ENVIRONMENTS, MOST, EPISODES))
    running = [[[] for _ in range(ENVIRONMENTS)] for _ in range(SHARDS)]
    played = [[] for _ in range(SHARDS)]
    shape, ended = (SHARDS, ENVIRONMENTS), 0
    for _ in range(200):
        # Few different returns, so that ties occur.
        reward = rng.integers(0, 3, shape).astype(np.float32)
        last = rng.random(shape) < ends
        action = rng.integers(0, 4, shape).astype(np.int32)
        facts = steps.Facts(*map(jnp.asarray, (action, reward, 1 + 0 * reward, last)))
        total = np.zeros(shape, np.float32)
        for shard, column in np.ndindex(shape):
            rewards = running[shard][column]
            rewards.append(float(reward[shard, column]))
            total[shard, column] = sum(rewards)
        rings, archive = one_call(rings, archive, facts, total)
        for shard, column in np.argwhere(last):
            rewards = tuple(running[shard][column])
            if len(rewards) < RING:  # else its beginning is evicted
                each = Played(sum(rewards), ended + int(column), rewards)
                played[shard].append(each)
            running[shard][column] = []
        if last.any():
            ended += ENVIRONMENTS
            played = [kept_by(p, MOST, EPISODES) for p in played]
        read = jax.device_get(archive)  # the device's is given away
        for shard in range(SHARDS):
            assert content(read, shard) == sorted(played[shard])


def test_frames_follow_the_same_moves():
    """What the device copies of frames is what it copies of facts."""
    moves = best.Moves(*(jnp.array([x]) for x in ([0, 2], [5, 0], [3, 90], [70, 3])))
    source = jnp.arange(2 * 100 * 3.0).reshape(1, 2, 100, 3)
    archive = -jnp.arange(192 * 3.0).reshape(1, 1, 192, 3)
    found, _ = best.copy(moves, source, archive)
    expected = np.array(archive)
    expected[0, 0, 3:73] = source[0, 0, 5:75]
    expected[0, 0, 90:93] = archive[0, 0, 0:3]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("again", [1, 2])
def test_an_episode_longer_than_all_is_not_kept(again):
    archive = best.empty(1, MOST, EPISODES)
    new = best.Ended(jnp.array([0]), jnp.array([MOST + 1]), jnp.array([9.0]))
    for _ in range(again):
        table = best.decide(archive.table, new, 3 * MOST)
        assert int(table.kept.length.sum()) == 0 == int(table.head)
