"""The loop over calls keeps the device at work."""

import itertools
import json

import jax
import pytest
import test_run

from scaling import log, run


@pytest.fixture
def happened(monkeypatch, tmp_path):
    """What a run did, in order: calls handed over, waits, sums read, lines."""
    events = []
    wait, read, write = jax.block_until_ready, jax.device_get, log.Journal.write

    def handed_over(advance):
        def noted(state, calls, number, total_updates):
            first = int(calls.number[0])
            events.append(("calls", first, first + int(number)))
            return advance(state, calls, number, total_updates)

        return noted

    def join(work, state, call):
        del call
        loop = work.loop._replace(advance=handed_over(work.loop.advance))
        return work._replace(loop=loop), state

    def waited(tree):
        events.append(("wait",))
        return wait(tree)

    def fetched(tree):
        events.append(("sums",))
        return read(tree)

    def written(journal, line):
        events.append(("line", line["kind"], line["call"]))
        write(journal, line)

    monkeypatch.setattr(jax, "block_until_ready", waited)
    monkeypatch.setattr(jax, "device_get", fetched)
    monkeypatch.setattr(log.Journal, "write", written)
    run.run(test_run.SETTINGS, test_run.cell(), tmp_path, join=join)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    return events, [json.loads(line) for line in lines]


def test_the_next_calls_are_handed_over_before_a_lines_sums_are_waited_for(happened):
    events, lines = happened
    train = [line["call"] for line in lines if line["kind"] == "train"]
    (curve,) = (line["call"] for line in lines if line["kind"] == "curve")
    handed = [event for event in events if event[0] == "calls"]
    assert len(handed) > 10
    ahead = 0
    for before, after in itertools.pairwise(handed):
        assert before[2] == after[1]
        between = events[events.index(before) : events.index(after)]
        if before is handed[0] or before[2] == curve or before[2] not in train:
            continue
        ahead += 1
        assert ("wait",) not in between
        assert ("line", "train", before[2]) not in between
        then = events[events.index(after) :]
        assert then[1:3] == [("sums",), ("line", "train", before[2])]
    assert ahead > 10
