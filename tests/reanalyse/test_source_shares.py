"""Sources get their shares of the searches, whatever the lengths of their segments."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scaling import mixing
from scaling.reanalyse import sources
from scaling.replay import best, steps

LANES = 20


@functools.partial(jax.jit, static_argnums=0)
def one_call(shares, tally, left, source, available, progress):
    """All lanes search; those whose segment has ended begin another."""
    weights = sources.weights(shares, progress)
    starts = left == 0
    tally, chosen = sources.choose(tally, starts, weights, available, LANES * 8)
    source = jnp.where(starts, chosen, source)
    tally = sources.count(tally, source, jnp.ones(LANES, bool), weights)
    return tally, source, starts


def play(text, lengths, available=lambda call: [True, True], calls=400):
    """Returns searches [S] of each call, segments of a source being of one length."""
    shares = mixing.parse(text)
    tally = sources.no_tally(len(shares))
    left, source = np.zeros(LANES, int), jnp.zeros(LANES, jnp.int32)
    had = []
    for call in range(calls):
        progress = jnp.float32(call / calls)
        tally, source, starts = one_call(
            shares, tally, left, source, jnp.array(available(call)), progress
        )
        left = np.where(starts, np.array(lengths)[np.asarray(source)], left) - 1
        had.append(np.asarray(tally.searched))
    return np.array(had)


@pytest.mark.parametrize("lengths", [(8, 8), (8, 1), (1, 8)])
def test_a_share_is_of_searched_states(lengths):
    had = play("recent:0.8,demonstrations:0.2", lengths)
    expected = np.outer(had.sum(axis=1), [0.8, 0.2])
    assert np.abs(had - expected).max() <= 8 * LANES  # a segment of every lane


def test_a_share_follows_its_line():
    text = "recent:0.5..1@0.5,demonstrations:0.5..0@0.5"
    had = play(text, (4, 4))
    assert had[-1, 1] == pytest.approx(200 * LANES / 4, abs=4 * LANES)
    assert had[250, 1] == had[-1, 1]  # nothing after its end


def test_a_source_without_steps_is_left_out_and_catches_up():
    had = play("recent:0.5,best:0.5", (4, 4), lambda call: [True, call >= 50])
    assert had[49].tolist() == [50 * LANES, 0]
    assert had[-1, 1] == pytest.approx(had[-1].sum() / 2, abs=4 * LANES)


def archives(environments):
    fixed = steps.empty(1, 16)._replace(complete=jnp.array([7]))
    kept = best.empty(environments, 64, 4)
    table = kept.table.kept._replace(
        first=jnp.array([3, 0, 40, 0]), length=jnp.array([2, 0, 5, 0])
    )
    return sources.Archives(fixed, kept._replace(table=kept.table._replace(kept=table)))


def test_starts_lie_in_their_source():
    rings = steps.empty(2, 32)._replace(complete=jnp.array([20, 10]))
    names = ["recent", "demonstrations", "best"]
    drawn = sources.draw(names, rings, archives(2), 8, jax.random.key(0), 400)
    recent, fixed, kept = (
        set(zip(*map(np.ndarray.tolist, map(np.asarray, pair)), strict=True))
        for pair in zip(drawn.column, drawn.step, strict=True)
    )
    assert recent == {(0, s) for s in range(12, 20)} | {(1, s) for s in range(2, 10)}
    assert fixed == {(2, s) for s in range(7)}
    assert kept == {(3, s) for s in (3, 4, 40, 41, 42, 43, 44)}
    assert drawn.available.tolist() == [True, True, True]
    columns = jnp.array([0, 1, 2, 3])
    found = sources.of_column(names, rings, archives(2), columns)
    assert found.tolist() == [0, 0, 1, 2]


def test_only_what_the_ring_of_the_best_wrote_over_is_gone():
    rings, held = steps.empty(2, 32), archives(2)
    ring = held.best.steps._replace(complete=jnp.array([200]))  # of 192 slots
    held = held._replace(best=held.best._replace(steps=ring))
    column, step = jnp.array([3, 3, 3, 0, 2]), jnp.array([7, 8, 9, 0, 0])
    for reach, expected in ((0, [1, 0, 0, 0, 0]), (1, [1, 1, 0, 0, 0])):
        gone = sources.is_overwritten(rings, held, column, step, reach)
        assert gone.astype(int).tolist() == expected
