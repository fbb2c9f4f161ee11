"""Seeds of a cell as one program on several devices end as they do one by one."""

import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import pytest
from test_preempted import FLAGS

from scaling import peers

HERE = pathlib.Path(__file__).parent
SAME = (
    *("digest", "score", "score_sd", "agent_steps", "searched_states"),
    *("learner_updates", "samples", "realised_fraction", "sources"),
)


def environment(devices: int) -> dict[str, str]:
    paths = [str(HERE.parents[1]), str(HERE.parent)]
    return {
        **os.environ,
        "JAX_NUM_CPU_DEVICES": str(devices),
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join(paths),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeds", "devices"),
    [
        (3, 3),  # a run on each device
        (3, 2),  # two on each, one of them for nothing
        (4, 2),
    ],
)
def test_packed_seeds_on_several_devices_end_as_one_by_one(tmp_path, seeds, devices):
    command = [sys.executable, str(HERE / "packed_facts.py"), str(tmp_path)]
    made = subprocess.run(
        [*command, str(seeds), str(devices)],
        capture_output=True,
        text=True,
        env=environment(devices),
        timeout=900,
        check=False,
    )
    assert made.returncode == 0, made.stderr[-3000:]
    rows = json.loads(made.stdout.splitlines()[-1])
    assert len({row["digest"] for row in rows["alone"]}) == seeds
    for packed, alone in zip(rows["packed"], rows["alone"], strict=True):
        assert {name: packed[name] for name in SAME} == {
            name: alone[name] for name in SAME
        }
        assert packed["hardware"] == f"{alone['hardware']}, {seeds} runs packed"


SWEEP = FLAGS.replace("--frames 2000", "--budgets 2000").replace(
    "--fraction 0.5", "--fractions 0.5"
)


def sweep(out: pathlib.Path, *flags: str) -> subprocess.Popen:
    command = [sys.executable, str(HERE.parents[1] / "launch" / "sweep.py")]
    command += [*SWEEP.split(), "--env", "test_run:Corridor", "--precision", "f64"]
    return subprocess.Popen(
        [*command, "--seeds", "2", "--parallel", "1", "--out", str(out), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(1),
    )


def rows_of(out: pathlib.Path, flags: Sequence[str]) -> dict[str, dict[str, str]]:
    process = sweep(out, *flags)
    told, _ = process.communicate(timeout=900)
    assert process.returncode == 0, told
    with (out / "results.csv").open(newline="") as file:
        return {row["seed"]: row for row in csv.DictReader(file)}


@pytest.mark.slow
def test_a_packed_sweep_that_is_preempted_goes_on_unpacked(tmp_path):
    expected = rows_of(tmp_path / "unbroken", [])
    process = sweep(tmp_path / "broken", "--pack-seeds")
    deadline = time.monotonic() + 600
    while len(list(tmp_path.glob("broken/runs/*/checkpoints/0*"))) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    told, _ = process.communicate(timeout=600)
    assert process.returncode == peers.RESUME_STATUS, told
    assert told.count("interrupted: ") == 2
    found = rows_of(tmp_path / "broken", [])
    for seed, row in found.items():
        assert {name: row[name] for name in SAME} == {
            name: expected[seed][name] for name in SAME
        }
        assert (row["attempts"], row["resumes"]) == ("2", "1")
        assert "2 runs packed" in row["hardware"]
