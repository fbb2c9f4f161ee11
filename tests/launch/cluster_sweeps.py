"""Sweeps of small runs, and what must not depend on the cluster that makes them."""

import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable

from scaling import ledger, results

TESTS = pathlib.Path(__file__).parents[1]
SAME = ("score", "score_sd", "digest", "searched_states", "learner_updates", "samples")
FLAGS = """
--preset demo --env test_run:Corridor --fractions 0.5 --protocol.random-start 0
--protocol.view board --environments 8 --shards 8 --max-lanes 64
--samples-per-search 1 --protocol.stack 2 --protocol.past-actions 1
--network.kind mlp --network.units 16 --network.blocks 1 --network.head-units 16
--value.bins 11 --value.limit 2 --search.simulations 4 --replay.stored-steps 400
--replay.window 1000 --replay.segment-length 6 --replay.warm-up 16
--learner.batch-size 16 --evaluation.episodes 8 --evaluation.curve-points 1
--evaluation.curve-episodes 4 --checkpoint-calls 50 --track none
"""


def command(out: pathlib.Path, *flags: str) -> list[str]:
    """Returns the command of a sweep into a directory."""
    program = str(TESTS.parent / "launch" / "sweep.py")
    return [sys.executable, program, *FLAGS.split(), "--out", str(out), *flags]


def environment() -> dict[str, str]:
    """Returns the variables of a sweep, whose workers find the tests' games."""
    path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    return {**os.environ, "PYTHONPATH": path, "JAX_PLATFORMS": "cpu"}


def wait_until(happened: Callable[[], object], seconds: float) -> None:
    """Fails if nothing has happened after so many seconds."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


def ends(process: subprocess.Popen, status: int = 0) -> str:
    """Returns what a sweep has said when it has ended with this status."""
    out, errors = process.communicate(timeout=220)
    assert process.returncode == status, (out, errors)
    return out


def rows(out: pathlib.Path) -> dict[str, dict]:
    """Returns by run what must not depend on where runs are made."""
    found = {path.name: results.read_row(path) for path in (out / "runs").iterdir()}
    assert all(row is not None and row["status"] == "ok" for row in found.values())
    return {
        name: {column: row[column] for column in SAME}
        for name, row in found.items()
        if row is not None
    }


def at_work(out: pathlib.Path) -> list[pathlib.Path]:
    """Returns the runs that have a checkpoint and no end."""
    return [
        path
        for path in (out / "runs").glob("*")
        if (made := ledger.attempts(path))
        and made[-1].saved is not None
        and made[-1].reason is None
    ]
