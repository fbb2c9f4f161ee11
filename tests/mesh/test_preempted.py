"""Preempted on one mesh, taken up on the same or another: the run stays the run.

Through `launch/train.py`, as a platform would: SIGTERM, exit status 75, start again.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import pytest

from scaling import ledger, peers, results

TESTS = pathlib.Path(__file__).parents[1]
COUNTERS = ("agent_steps", "searched_states", "learner_updates", "samples")
SAME = ("digest", "score", "score_sd", "realised_fraction", *COUNTERS)
FLAGS = """
--preset demo --frames 2000 --fraction 0.5 --protocol.random-start 0
--protocol.view board --environments 8 --shards 8 --max-lanes 64
--samples-per-search 1 --checkpoint-calls 20 --protocol.stack 2
--protocol.past-actions 1 --network.kind mlp --network.units 16 --network.blocks 1
--network.head-units 16 --value.bins 11 --value.limit 2 --search.simulations 4
--replay.stored-steps 400 --replay.window 1000 --replay.segment-length 6
--replay.warm-up 16 --learner.batch-size 16 --evaluation.episodes 8
--evaluation.curve-points 1 --evaluation.curve-episodes 4
"""


def start(
    out: pathlib.Path, flags: Sequence[str], devices: int, processes: int = 1
) -> list[subprocess.Popen]:
    """Starts a run of several processes, with so many devices in all."""
    environment = {
        **os.environ,
        "JAX_NUM_CPU_DEVICES": str(devices // processes),
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)]),
    }
    command = [sys.executable, str(TESTS.parent / "launch" / "train.py")]
    command += [*FLAGS.split(), *flags, "--out", str(out)]
    port = peers.free_port("127.0.0.1")
    several = ["--coordinator", f"127.0.0.1:{port}", "--num-processes", str(processes)]
    return [
        subprocess.Popen(
            [*command, *[*several, "--process-id", str(number)] * (processes > 1)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for number in range(processes)
    ]


def ends(pair: list[subprocess.Popen]) -> list[int]:
    told = [process.communicate(timeout=600)[1] for process in pair]
    statuses = [process.returncode for process in pair]
    assert set(statuses) <= {0, peers.RESUME_STATUS}, told
    return statuses


def directory_of(out: pathlib.Path) -> pathlib.Path:
    (directory,) = (out / "runs").iterdir()
    return directory


def finished(out: pathlib.Path, *how) -> dict:
    """Makes, or goes on with, a run; returns its row."""
    assert set(ends(start(out, *how))) == {0}
    row = results.read_row(directory_of(out))
    assert row is not None
    return row


def preempted(out: pathlib.Path, *how) -> int:
    """Ends a run by a signal to its last process; returns the call that it saved."""
    pair = start(out, *how)
    deadline = time.monotonic() + 600
    while not list(out.glob("runs/*/checkpoints")):
        assert all(process.poll() is None for process in pair)
        assert time.monotonic() < deadline
        time.sleep(0.01)
    pair[-1].send_signal(signal.SIGTERM)
    assert set(ends(pair)) == {peers.RESUME_STATUS}
    (attempt,) = ledger.attempts(directory_of(out))
    assert attempt.reason == "interrupted"
    assert attempt.saved
    return attempt.saved


def journal(out: pathlib.Path) -> list[dict]:
    lines = (directory_of(out) / "metrics.jsonl").read_text().splitlines()
    return [{**json.loads(line), "seconds": None} for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize("env", ["test_run:Corridor", "gymnasium:CartPole-v1"])
def test_a_signal_to_one_of_two_processes_is_one_to_both(tmp_path, env):
    flags = ["--env", env, "--precision", "f64"]
    expected = finished(tmp_path / "unbroken", flags, 4)
    preempted(tmp_path / "two", flags, 4, 2)
    shutil.copytree(tmp_path / "two", tmp_path / "one")
    again = finished(tmp_path / "two", flags, 4, 2)
    alone = finished(tmp_path / "one", flags, 4)
    for row in (again, alone):
        assert {name: row[name] for name in SAME} == {
            name: expected[name] for name in SAME
        }
        assert (row["attempts"], row["resumes"]) == (2, 1)
    assert again["note"] == expected["note"]
    assert "resumed on 4 x cpu" in alone["note"]
    assert len(journal(tmp_path / "two")) == len(journal(tmp_path / "unbroken"))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["f64", "f32"])
def test_a_run_goes_on_on_another_mesh(tmp_path, precision):
    flags = ["--env", "test_run:Corridor", "--precision", precision]
    expected = finished(tmp_path / "unbroken", flags, 8)
    preempted(tmp_path / "moved", flags, 8)
    row = finished(tmp_path / "moved", flags, 2)
    same = SAME if precision == "f64" else COUNTERS
    assert {name: row[name] for name in same} == {name: expected[name] for name in same}
    assert "resumed on 2 x cpu" in row["note"]
    assert "after 8 x cpu" in row["note"]
