"""Target drift of whole runs, against a loop over everything that was searched."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import test_run

from scaling import config, iteration, sharding

REPLAY = dataclasses.replace(test_run.SETTINGS.replay, window=100_000)
# All that is searched stays in the window.
SETTINGS = dataclasses.replace(test_run.SETTINGS, replay=REPLAY)


def state_after(settings, cell, directory):
    """The state after all calls of a run, nothing of it read for the log."""
    account, loop = test_run.begin(settings, cell, directory)
    state = loop.state
    for first in range(0, account.calls, test_run.training.CALLS_AT_ONCE):
        stop = min(account.calls, first + test_run.training.CALLS_AT_ONCE)
        calls = test_run.stacked(account.schedule(first, stop))
        state = loop.advance(state, calls, stop - first, account.updates)
    state = jax.device_get(state.shard)
    loop.close()
    return account, state


def searches(shard, index):
    """Everything that a shard searched, in the order of calls and lanes."""
    entries, found = shard.window.entries, []
    for lane, number in enumerate(shard.window.cursor[index]):
        assert number <= entries.call.shape[2]
        for at in range(number):
            place = index, lane, at
            step = int(entries.column[place]), int(entries.step[place])
            searched = entries.value[place], entries.policy[place]
            found.append((int(entries.call[place]), lane, step, searched))
    return sorted(found, key=lambda one: one[:2])


def by_counting(shard, index, environments):
    """Sums of a shard's drift by a loop over its searches."""
    older, policy_sum, value_sum, number = {}, 0.0, 0.0, 0
    found = searches(shard, index)
    for call in sorted({one[0] for one in found}):
        of_call = [one for one in found if one[0] == call]
        for _, lane, step, (value, policy) in of_call:
            if lane >= environments and step in older:
                before_value, before_policy = older[step]
                policy_sum += np.abs(policy - before_policy).sum() / 2
                value_sum += abs(value - before_value)
                number += 1
        older |= {step: searched for _, _, step, searched in of_call}
    return policy_sum, value_sum, number


def check(settings, cell, directory):
    account, shard = state_after(settings, cell, directory)
    sums = shard.window.drift.sums
    for index in range(account.shards):
        fresh = account.environments // account.shards
        policy_sum, value_sum, number = by_counting(shard, index, fresh)
        assert number > 0
        assert int(sums.number[index]) == number
        assert float(sums.policy[index]) == pytest.approx(policy_sum, rel=1e-4)
        assert float(sums.value[index]) == pytest.approx(value_sum, rel=1e-4)
    return sums


@pytest.mark.slow
def test_drift_is_that_of_a_loop_over_all_searches(tmp_path):
    sums = check(SETTINGS, test_run.cell(fraction=0.75), tmp_path)
    # Environments step once; every step is searched when it is made, so nearly all
    # stored searches have an older one to be compared with.
    assert int(sums.number.sum()) == 1800


@pytest.mark.slow
def test_the_loop_of_host_environments_counts_alike(tmp_path):
    host = dataclasses.replace(SETTINGS, env="test_run:HostCorridor")
    check(host, test_run.cell(fraction=0.75), tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:scatter inputs have incompatible types")
def test_both_loops_find_the_same_drift_in_the_same_episodes(tmp_path):
    """In float64: updates multiply what two programs round differently."""
    precise = dataclasses.replace(SETTINGS, precision="f64")
    alike = [
        dataclasses.replace(precise, env=f"test_run:{name}")
        for name in ("SameCorridor", "SameHostCorridor")
    ]
    with sharding.precision("f64"):
        ours, theirs = (
            state_after(settings, test_run.cell(frames=300), tmp_path / name)[1]
            for name, settings in zip("ab", alike, strict=True)
        )
    np.testing.assert_array_equal(ours.digest, theirs.digest)
    a, b = ours.window.drift, theirs.window.drift
    np.testing.assert_array_equal(a.newest, b.newest)
    np.testing.assert_array_equal(a.sums.number, b.sums.number)
    np.testing.assert_allclose(a.sums.policy, b.sums.policy, rtol=1e-8)
    np.testing.assert_allclose(a.sums.value, b.sums.value, rtol=1e-8)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("f32", "float32"), ("f64", "float64")]
)
def test_the_share_of_updates_is_as_wide_as_the_numbers_of_the_run(precision, dtype):
    with sharding.precision(precision):
        made = iteration.progress(jnp.int32(1), jnp.int32(3))
        assert made.dtype == dtype
        assert made == np.ones((), dtype) / np.asarray(3, dtype)
        assert iteration.progress(jnp.int32(0), jnp.int32(0)) == 0


@pytest.mark.slow
def test_copies_of_the_best_episodes_are_steps_of_their_own(tmp_path):
    settings = dataclasses.replace(SETTINGS, sources="recent:0.5,best:0.5")
    check(settings, test_run.cell(fraction=0.75), tmp_path)


@pytest.mark.parametrize(
    ("fraction", "target"), [(0.0, "reanalyse"), (0.5, "supervised")]
)
def test_where_nothing_is_searched_again_nothing_is_kept(fraction, target, tmp_path):
    learner = dataclasses.replace(SETTINGS.learner, target=target)
    acting = config.Acting(action="policy" if target == "supervised" else "mcts")
    settings = dataclasses.replace(SETTINGS, learner=learner, acting=acting)
    _, loop = test_run.begin(settings, test_run.cell(fraction=fraction), tmp_path)
    assert loop.state.shard.window.drift == ()
    loop.close()
