"""What a line of the log counts, and what those that follow the journal are told."""

import json

import jax.numpy as jnp
import pytest
import test_accounting
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling import log, operations, peers, run_state
from scaling.learner import update
from scaling.replay import drift


def summary_of(updates: int) -> run_state.Summary:
    """Sums over updates of which each had a loss of 2; three episodes of return 5."""
    number = jnp.asarray(float(updates))
    metrics = update.no_metrics()._replace(loss=2 * number, number=number)
    return run_state.Summary(metrics, jnp.asarray(3), jnp.asarray(15.0))


@settings(max_examples=25)
@given(
    fraction=st.sampled_from([*test_accounting.FRACTIONS, 1.0]),
    frames=st.integers(300, 1500),
    part=st.floats(0, 1),
    window=st.integers(50, 20_000),
)
def test_a_line_counts_what_a_loop_over_the_calls_counts(
    fraction, frames, part, window
):
    chosen = test_accounting.settings_with(replay_window=window)
    searches = {"searches": 20 * frames} if fraction == 1 else {}
    account = test_accounting.account_of(
        fraction, 4 * frames, per_step=4, settings=chosen, **searches
    )
    call = max(1, round(part * account.calls))
    counted = test_accounting.by_counting(account)[:call]
    line = log.train_line(account, call, summary_of(4), 1.5)
    fresh, stored, updates = (sum(each[i] for each in counted) for i in range(3))
    assert line["frames"] == 4 * fresh
    assert line["searched"] == fresh + stored
    assert line["updates"] == updates
    assert line["realised_fraction"] == stored / (fresh + stored)
    drawn_from = range(counted[-1][3], call - 1)
    age = sum(counted[at][0] + counted[at][1] for at in drawn_from)
    assert line["window_age"] == (age if updates else None)


def test_the_last_line_has_the_fraction_and_the_window_of_the_run():
    chosen = test_accounting.settings_with(replay_window=9000)
    account = test_accounting.account_of(0.95, settings=chosen)
    line = log.train_line(account, account.calls, summary_of(4), 1.5)
    assert line["realised_fraction"] == account.realised_fraction
    assert 9000 - account.lanes <= line["window_age"] <= 9000


def test_means_are_those_since_the_line_before():
    account = test_accounting.account_of(0.5)
    line = log.train_line(account, account.calls, summary_of(4), 1.5)
    assert (line["loss"], line["episodes"], line["episode_return"]) == (2.0, 3, 5.0)
    none = log.train_line(account, 1, summary_of(0), 1.5)
    assert none["loss"] is None


def test_drift_is_the_mean_over_the_searches_that_were_compared():
    account = test_accounting.account_of(0.5)
    sums = drift.Sums(jnp.asarray(2.0), jnp.asarray(6.0), jnp.asarray(8))
    line = log.train_line(account, 40, summary_of(4)._replace(drift=sums), 1.5)
    found = line["policy_drift"], line["value_drift"], line["compared_searches"]
    assert found == (0.25, 0.75, 8)


@pytest.mark.parametrize("sums", [(), drift.no_sums()])
def test_where_nothing_was_compared_there_is_no_drift(sums):
    account = test_accounting.account_of(0.0)
    line = log.train_line(account, 40, summary_of(4)._replace(drift=sums), 1.5)
    found = line["policy_drift"], line["value_drift"], line["compared_searches"]
    assert found == (None, None, 0)


def test_the_share_of_searches_is_that_of_all_so_far():
    account = test_accounting.account_of(0.5)
    costs = operations.Operations(2.0, 3.0)
    line = log.train_line(account, account.calls, summary_of(4), 1.5, costs)
    searched, samples = account.searched, account.samples
    expected = 2 * searched / (2 * searched + 3 * samples)
    assert line["search_share_of_operations"] == pytest.approx(expected)
    unknown = log.train_line(account, account.calls, summary_of(4), 1.5)
    assert unknown["search_share_of_operations"] is None


def test_of_a_line_only_the_seconds_are_a_clocks():
    """So the lines of runs that were interrupted, and of others, can be compared."""
    account = test_accounting.account_of(0.5)
    early, late = (log.train_line(account, 40, summary_of(4), at) for at in (1.0, 9.0))
    different = {name for name in early if early[name] != late[name]}
    assert different == {"seconds"}


class Told:
    """Keeps what it is told."""

    def __init__(self):
        self.began, self.lines, self.seconds, self.closed = 0, [], 0.0, False

    def begin(self, lines, seconds):
        self.began += 1
        self.lines, self.seconds = list(lines), seconds

    def add(self, line):
        self.lines.append(line)

    def close(self):
        self.closed = True


def test_a_follower_is_told_what_is_in_the_file(tmp_path):
    path, told = tmp_path / "metrics.jsonl", [Told(), Told()]
    journal = log.Journal(path, told)
    journal.go_on({})
    assert [(each.began, each.lines) for each in told] == [(1, []), (1, [])]
    for call in range(3):
        journal.write({"call": call})
    position = journal.position()
    journal.write({"call": 3})
    journal.close()
    again = Told()
    journal = log.Journal(path, [again])
    journal.go_on({**position, "journal_seconds": 100.0})
    assert again.lines == [{"call": call} for call in range(3)]
    assert 100 <= again.seconds < 110
    journal.write({"call": 33})
    journal.close()
    in_file = [json.loads(line) for line in path.read_text().splitlines()]
    assert again.lines == in_file
    assert all(each.closed for each in [*told, again])
    assert told[0].lines == told[1].lines == [{"call": call} for call in range(4)]


def test_lines_that_a_crash_of_the_machine_tore_are_not_told(tmp_path):
    path, told = tmp_path / "metrics.jsonl", Told()
    path.write_bytes(b'{"call": 0}\n{"ca')
    journal = log.Journal(path, [told])
    journal.go_on({"journal_bytes": 40})  # the checkpoint reached the disk, this not
    journal.close()
    assert told.lines == [{"call": 0}]


def test_only_the_first_process_tells(tmp_path, monkeypatch):
    monkeypatch.setattr(peers.Alone, "first", False)
    told = Told()
    journal = log.Journal(tmp_path / "metrics.jsonl", [told])
    journal.go_on({})
    journal.write({"call": 0})
    journal.close()
    assert (told.began, told.lines) == (0, [])
    assert not (tmp_path / "metrics.jsonl").exists()


def test_a_loss_that_is_no_number_ends_the_run():
    line = {"loss": float("nan"), "value_loss": 1.0, "updates": 7}
    with pytest.raises(log.DivergedError, match=r"at update 7 .*value_loss.*lower"):
        log.check(line)
    log.check({**line, "loss": None})
    log.check({**line, "loss": 3.0})
