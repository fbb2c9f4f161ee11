"""The ledger: every attempt once, whatever is torn, and when a run has no hope."""

import json
import os
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling import ledger


def test_an_attempt_is_read_as_written(tmp_path):
    number = ledger.begin(tmp_path)
    ledger.resumed(tmp_path, number, 40, ["Checkpoint 80 is torn."])
    ledger.saved(tmp_path, number, 60)
    ledger.saved(tmp_path, number, 90)
    (attempt,) = ledger.attempts(tmp_path)
    assert (attempt.number, attempt.reason, attempt.ended) == (1, None, None)
    assert (attempt.host, attempt.pid) == (socket.gethostname(), os.getpid())
    ledger.end(tmp_path, number, "failed", "out of luck")
    (attempt,) = ledger.attempts(tmp_path)
    assert (attempt.resumed_from, attempt.saved) == (40, 90)
    assert (attempt.reason, attempt.note) == ("failed", "out of luck")
    assert attempt.ended is not None
    assert attempt.time <= attempt.ended


def test_the_last_line_of_an_attempt_says_all_about_it(tmp_path):
    number = ledger.begin(tmp_path)
    ledger.resumed(tmp_path, number, 40, ["Checkpoint 80 is torn."])
    ledger.saved(tmp_path, number, 60)
    ledger.end(tmp_path, number, "finished")
    lines = (tmp_path / ledger.NAME).read_text().splitlines()
    first, last = json.loads(lines[0]), json.loads(lines[-1])
    assert first["code_version"]
    assert json.loads(lines[1])["skipped"] == ["Checkpoint 80 is torn."]
    wanted = {"number": 1, "reason": "finished", "resumed_from": 40, "saved": 60}
    assert wanted.items() <= last.items()


def test_counts_are_of_starts_and_of_resumes(tmp_path):
    assert ledger.counts(tmp_path) == (1, 0)  # no command started it
    for call in (None, 40, 80):
        number = ledger.begin(tmp_path)
        if call is not None:
            ledger.resumed(tmp_path, number, call, [])
    assert ledger.counts(tmp_path) == (3, 2)


def test_what_has_no_end_is_buried_once(tmp_path):
    assert ledger.bury(tmp_path, "gone", "It went.") is None
    ledger.begin(tmp_path)
    buried = ledger.bury(tmp_path, "gone", "It went.")
    assert buried is not None
    assert buried.number == 1
    assert ledger.bury(tmp_path, "gone", "Again.") is None
    assert [(a.reason, a.note) for a in ledger.attempts(tmp_path)] == [
        ("gone", "It went.")
    ]


def write_three(directory):
    for reason in ("gone", "failed", "finished"):
        ledger.end(directory, ledger.begin(directory), reason, reason)


@settings(max_examples=25)
@given(data=st.data())
def test_a_torn_end_costs_the_torn_line_alone(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("torn")
    write_three(directory)
    path = directory / ledger.NAME
    text = path.read_bytes()
    cut = data.draw(st.integers(0, len(text)))
    path.write_bytes(text[:cut])
    whole = text[:cut].count(b"\n")
    made = ledger.attempts(directory)
    assert len(made) == (whole + 1) // 2
    assert sum(attempt.reason is not None for attempt in made) == whole // 2
    ledger.bury(directory, "gone", "")
    number = ledger.begin(directory)  # goes on after the torn line
    assert number == len(made) + 1
    assert [a.number for a in ledger.attempts(directory)] == list(range(1, number + 1))


@pytest.mark.parametrize(
    "line",
    ["{", "[1]", "3", '{"event": "ended", "number": 9}', '{"event": "x"}', "\xff"],
)
def test_a_damaged_line_is_refused_with_what_to_do(tmp_path, line):
    ledger.begin(tmp_path)
    with (tmp_path / ledger.NAME).open("ab") as file:
        file.write(line.encode("latin-1") + b"\n")
    with pytest.raises(ValueError, match=r"Line 2 of .* delete the file") as caught:
        ledger.attempts(tmp_path)
    assert str(caught.value).endswith(".")


def test_a_full_disk_leaves_no_part_of_a_line(tmp_path, monkeypatch):
    ledger.begin(tmp_path)
    before = (tmp_path / ledger.NAME).read_bytes()

    def refuse(file):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(ledger.os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        ledger.end(tmp_path, 1, "failed")
    assert (tmp_path / ledger.NAME).read_bytes() == before


def attempt_of(number, reason, saved=None, retry=False):
    return ledger.Attempt(
        number, "now", "host", 1, "0", retry, None, saved, "then", reason, None
    )


def row_of(*made):
    numbered = enumerate(made, 1)
    return ledger.fruitless([attempt_of(i, *each) for i, each in numbered])


def test_failures_without_progress_are_counted_in_a_row():
    assert row_of() == 0
    assert row_of(("failed",), ("gone",)) == 2
    assert row_of(("gone", 10), ("gone", 10), ("failed", None)) == 2
    assert row_of(("failed",), ("gone", 10)) == 0
    assert row_of(("gone", 10), ("gone", 20), ("gone", 15)) == 1  # it fell behind
    assert row_of(("failed",), ("interrupted",), ("failed",)) == 2
    assert row_of(("failed",), ("interrupted", 5), ("failed",)) == 1
    assert row_of(("failed",), ("failed",), ("failed", None, True)) == 1


REASONS = ["failed", "gone", "interrupted", "diverged", "finished", None]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(REASONS), st.none() | st.integers(0, 5), st.booleans()
        ),
        max_size=8,
    )
)
def test_the_row_of_failures_is_that_of_a_plain_count(made):
    count = 0
    for index in reversed(range(len(made))):  # backwards until something got on
        reason, saved, retry = made[index]
        before = [calls for _, calls, _ in made[:index] if calls is not None]
        got_on = saved is not None and saved > max(before, default=-1)
        if got_on or reason == "finished":
            break
        count += reason in ("failed", "gone")
        if retry:
            break
    assert row_of(*made) == count
