"""The time that searches take is told, and changes nothing."""

import dataclasses
import json
from typing import Any

import pytest
import test_accounting
import test_interrupted
import test_packing
import test_run

from scaling import execution, loops, run, run_state, search_time

OFTEN = execution.Execution(time_search_seconds=1e-9)


def test_the_share_is_that_of_the_time_since_the_mark():
    account = test_accounting.account_of(0.5)
    since = search_time.Mark(10, 100.0)
    line = search_time.line(account, 40, since, 112.0, 0.125)
    assert line["search_share_of_time"] == 30 * 0.125 / 12
    assert (line["kind"], line["call"], line["search_seconds"]) == ("timing", 40, 0.125)
    assert line["searched"] == sum(
        fresh + stored
        for fresh, stored, *_ in test_accounting.by_counting(account)[:40]
    )


def test_the_fastest_search_after_the_one_that_compiles_counts():
    account = test_accounting.account_of(0.5)
    times = iter([0.0, 60.0, 100.0, 103.0, 200.0, 202.0, 300.0, 305.0])
    asked: list[Any] = []
    fields: Any = dict.fromkeys(loops.Loop._fields)
    loop = loops.Loop(**fields | {"search": lambda *given: asked.append(given)})
    nothing: Any = dict.fromkeys(run_state.State._fields, ())
    state = run_state.State(**nothing)
    seconds = search_time.timed(loop, state, 40, account, lambda: next(times))
    assert seconds == 2.0
    assert len(asked) == 4
    (given, call, updates), expected = asked[-1], account.schedule(40, 41)
    assert given is state
    assert updates == account.updates
    assert call == run_state.Call(*(field[0] for field in expected))


@pytest.mark.parametrize(
    ("seconds_ago", "calls_ago", "target", "is_due"),
    [
        (9.0, 30, "reanalyse", False),
        (11.0, 30, "reanalyse", True),
        (11.0, 0, "reanalyse", False),
        (11.0, 30, "supervised", False),
    ],
)
def test_searches_are_timed_now_and_then_if_there_are_any(
    seconds_ago, calls_ago, target, is_due
):
    account, chosen = test_accounting.account_of(0.5), test_run.SETTINGS
    chosen = dataclasses.replace(
        chosen,
        learner=dataclasses.replace(chosen.learner, target=target),
        acting=dataclasses.replace(chosen.acting, action="policy"),
    )
    now = search_time.mark(40)
    since = search_time.Mark(now.call - calls_ago, now.at - seconds_ago)
    assert search_time.is_due(since, now.call, chosen, account, 10.0) == is_due
    assert not search_time.is_due(since, account.calls, chosen, account, 10.0)


def timings(directory):
    """The lines on time of a run; they are taken out of its log."""
    path = directory / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [line for line in lines if line["kind"] != "timing"]
    path.write_text("".join(json.dumps(line) + "\n" for line in kept))
    return [line for line in lines if line["kind"] == "timing"]


def assert_timed(lines, last_call):
    calls = [line["call"] for line in lines]
    assert calls == sorted(set(calls))
    assert 0 < calls[0] <= calls[-1] < last_call  # there are none after the last call
    for line in lines:
        assert line["search_seconds"] > 0
        assert line["search_share_of_time"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("game", test_interrupted.GAMES)
def test_timing_searches_changes_nothing_in_a_run(tmp_path, game):
    settings = test_interrupted.GAMES[game]
    timed = run.run(settings, test_run.cell(), tmp_path / "timed", how=OFTEN)
    plain = run.run(settings, test_run.cell(), tmp_path / "plain")
    assert timed["digest"] == plain["digest"]
    found = timings(tmp_path / "timed")
    lines = [test_interrupted.journal(tmp_path / name) for name in ("timed", "plain")]
    assert lines[0] == lines[1]
    assert_timed(found, lines[1][-1]["call"])


@pytest.mark.slow
def test_packed_runs_time_the_searches_of_all(tmp_path):
    timed = test_packing.pack(tmp_path / "timed", (0, 1), how=OFTEN)
    plain = test_packing.pack(tmp_path / "plain", (0, 1))
    for seed in (0, 1):
        assert test_packing.same(timed[seed]) == test_packing.same(plain[seed])
        found = timings(tmp_path / "timed" / f"s{seed}")
        lines = [
            test_interrupted.journal(tmp_path / name / f"s{seed}")
            for name in ("timed", "plain")
        ]
        assert lines[0] == lines[1]
        assert_timed(found, lines[1][-1]["call"])
