"""The schedule of a run agrees with a loop that counts one call at a time."""

import dataclasses

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from scaling import accounting, config

FRACTIONS = [0.0, 0.5, 0.9, 0.95, 0.98, 0.995, 0.9998]


def settings_with(**changes) -> config.Settings:
    """Small settings; `replay_…` and `learner_…` change those groups."""
    settings = config.Settings(environments=8, max_lanes=256, shards=4)
    groups = {
        "replay": {"segment_length": 8, "warm_up": 4, "window": 1000},
        "learner": {"batch_size": 32},
    }
    for name in list(changes):
        group, _, field = name.partition("_")
        if group in groups:
            groups[group][field] = changes.pop(name)
    return dataclasses.replace(
        settings,
        replay=dataclasses.replace(settings.replay, **groups["replay"]),
        learner=dataclasses.replace(settings.learner, **groups["learner"]),
        **changes,
    )


def account_of(fraction, frames=4000, per_step=1, seed=0, settings=None, **cell):
    wanted = config.Cell(frames=frames, fraction=fraction, seed=seed, **cell)
    return accounting.account_for(settings or settings_with(), wanted, per_step)


def by_counting(account: accounting.Account) -> list[tuple[int, int, int, int]]:
    """(fresh, stored, updates, oldest sampled call) of each call, by carrying over."""
    stored_total = account.searched - account.agent_steps
    fresh_calls = -(-account.agent_steps // max(1, account.environments))
    after_warm_up = fresh_calls - account.warm_up_calls
    spread = max(after_warm_up, -(-stored_total // max(1, account.stored_slots)))
    steps_left, fresh_carry, stored_carry = account.agent_steps, 0, 0
    searched = []
    for call in range(account.warm_up_calls + spread):
        if call < account.warm_up_calls:
            steps, rows = True, 0
        else:
            steps, fresh_carry = divmod(fresh_carry + after_warm_up, spread)
            rows, stored_carry = divmod(stored_carry + stored_total, spread)
        fresh = min(account.environments, steps_left) if steps else 0
        steps_left -= fresh
        searched.append((fresh, rows))
    learned_on = sum(f + s for f, s in searched[account.learning_from :])
    calls, update_carry, oldest, inside, so_far = [], 0, 0, 0, 0
    for call, (fresh, rows) in enumerate(searched):
        while inside > min(account.window, account.window_share * so_far):
            inside -= sum(searched[oldest])
            oldest += 1
        updates = 0
        if call >= account.learning_from:
            update_carry += account.updates * (fresh + rows)
            updates, update_carry = divmod(update_carry, learned_on)
        two_segments_ago = max(0, call - 2 * account.segment_length)
        calls.append((fresh, rows, updates, min(oldest, two_segments_ago)))
        inside += fresh + rows
        so_far += fresh + rows
    return calls


def check_against_counting(account: accounting.Account) -> None:
    calls = account.schedule(0, account.calls)
    expected = np.array(by_counting(account))
    assert len(expected) == account.calls
    np.testing.assert_array_equal(calls.number, np.arange(account.calls))
    np.testing.assert_array_equal(calls.fresh, expected[:, 0])
    np.testing.assert_array_equal(calls.stored, expected[:, 1])
    np.testing.assert_array_equal(calls.updates, expected[:, 2])
    np.testing.assert_array_equal(calls.window_from, expected[:, 3])
    before = np.concatenate([[0], np.cumsum(expected[:, 2])[:-1]])
    np.testing.assert_array_equal(calls.first_update, before)


def check_sums(account: accounting.Account) -> None:
    calls = account.schedule(0, account.calls)
    assert calls.fresh.sum() == account.agent_steps
    assert calls.stored.sum() == account.stored
    assert calls.updates.sum() == account.updates
    assert calls.stored.max() <= account.stored_slots
    assert calls.fresh.min() >= 0
    assert calls.updates.min() >= 0
    stepping = calls.fresh[calls.fresh > 0]
    assert (stepping[:-1] == account.environments).all()
    assert not calls.stored[: account.warm_up_calls].any()
    assert not calls.updates[: account.learning_from].any()


@pytest.mark.parametrize("fraction", FRACTIONS)
def test_schedule_equals_counting_call_by_call(fraction):
    account = account_of(fraction, frames=1003)
    check_against_counting(account)
    check_sums(account)


@pytest.mark.parametrize("fraction", FRACTIONS)
@pytest.mark.parametrize("environments", [1, 3, 8, 16])
def test_realised_fraction_is_the_requested_one_within_one_search(
    fraction, environments
):
    account = account_of(fraction, settings=settings_with(environments=environments))
    calls = account.schedule(0, account.calls)
    stored, searched = calls.stored.sum(), (calls.stored + calls.fresh).sum()
    assert searched == account.searched
    assert abs(stored - fraction * searched) <= 1
    assert account.realised_fraction == stored / searched


@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.given(
    fraction=st.sampled_from(FRACTIONS[:-1])
    | st.integers(0, 97).map(lambda i: i / 100),
    frames=st.integers(100, 3000),
    per_step=st.sampled_from([1, 4]),
    environments=st.integers(1, 24),
    shards=st.sampled_from([1, 2, 8]),
    max_lanes=st.integers(32, 400),  # room for a stored row in each of 8 shards
    replay_warm_up=st.integers(0, 9),
    replay_segment_length=st.integers(1, 20),
    replay_window=st.integers(1, 5000),
    replay_window_share=st.sampled_from([1.0, 0.3, 0.05]),
    ratio=st.floats(0.01, 4.0),
)
def test_any_schedule_equals_counting_call_by_call(
    fraction, frames, per_step, ratio, **settings
):
    settings = settings_with(samples_per_search=ratio, **settings)
    try:
        account = account_of(fraction, frames, per_step, settings=settings)
    except ValueError as error:
        hypothesis.assume("budget" not in str(error))
        raise
    check_against_counting(account)
    check_sums(account)
    assert abs(account.stored - fraction * account.searched) <= 1
    assert account.updates == int(
        config.exact(ratio) * account.searched / settings.learner.batch_size
    )


def test_parts_of_a_schedule_are_those_of_the_whole():
    account = account_of(0.95)
    whole = account.schedule(0, account.calls)
    parts = [account.schedule(0, 17), account.schedule(17, account.calls)]
    for name in whole._fields:
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name))


def test_fraction_0_never_searches_a_stored_step():
    account = account_of(0.0)
    assert account.stored_slots == 0
    assert not account.schedule(0, account.calls).stored.any()


def test_fraction_1_never_steps_an_environment():
    account = account_of(1.0, searches=5003)
    assert (account.environments, account.agent_steps) == (0, 0)
    assert not account.schedule(0, account.calls).fresh.any()
    check_against_counting(account)
    check_sums(account)


def test_fraction_1_needs_the_number_of_searches():
    with pytest.raises(ValueError, match="--searches"):
        account_of(1.0)


def test_last_fresh_call_is_trimmed_to_the_budget():
    account = account_of(0.5, frames=1003)
    calls = account.schedule(0, account.calls)
    stepping = calls.fresh[calls.fresh > 0]
    assert stepping[-1] == 1003 % 8
    assert (stepping[:-1] == 8).all()


def test_control_takes_the_updates_of_its_fraction():
    treated, control = account_of(0.95), account_of(0.0, control_for=0.95)
    assert control.updates == treated.updates
    assert control.searched == control.agent_steps == treated.agent_steps
    check_against_counting(control)


def test_path_searches_the_same_number_of_states_at_every_budget():
    accounts = [account_of(0.5, frames, searches=20_000) for frames in (500, 5000)]
    assert [account.searched for account in accounts] == [20_000, 20_000]
    assert [account.agent_steps for account in accounts] == [500, 5000]


def test_frames_are_whole_agent_steps():
    account = account_of(0.5, frames=4003, per_step=4)
    assert (account.agent_steps, account.frames) == (1000, 4000)


@pytest.mark.parametrize(
    ("fraction", "searched", "updates"),
    [
        (0.95, 1_000_000_000, 1_000_000),  # Schrittwieser et al. 2021
        (0.9998, 250_000_000_000, 250_000_000),  # products above 2^63
    ],
)
def test_runs_of_200_million_frames_stay_exact(fraction, searched, updates):
    settings = config.Settings(samples_per_search=1.024)
    settings = dataclasses.replace(
        settings, learner=dataclasses.replace(settings.learner, batch_size=1024)
    )
    cell = config.Cell(frames=200_000_000, fraction=fraction, seed=0)
    account = accounting.account_for(settings, cell, 4)
    assert (account.searched, account.updates) == (searched, updates)
    ends = np.array([0, account.calls])
    assert account.searched_before(ends).tolist() == [0, account.searched]
    assert account.updates_before(ends).tolist() == [0, account.updates]
    assert account.schedule(account.calls - 100, account.calls).updates.min() >= 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fraction": 0.5, "frames": 3, "per_step": 4}, "not one agent step"),
        ({"fraction": 0.5, "searches": 10}, "raise --searches or lower"),
        ({"fraction": 0.5, "frames": 20}, "use at least 72 frames"),
        (
            {"fraction": 0.5, "settings": settings_with(max_lanes=8)},
            "raise --max-lanes",
        ),
        (
            {"fraction": 0.5, "settings": settings_with(learner_batch_size=33)},
            "does not divide into 4 shards",
        ),
    ],
)
def test_impossible_cells_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        account_of(**wrong)
