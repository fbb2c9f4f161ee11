"""A run is the same on any number of devices and processes.

The counterpart of the other tests, which run on one device. Each test starts
`facts.py`, since a process cannot change how many devices it has.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

HERE = pathlib.Path(__file__).parent
COUNTERS = ("agent_steps", "searched_states", "learner_updates", "samples")


def start(directory, game, precision, devices, there_are, *processes):
    paths = [str(HERE.parents[1]), str(HERE.parent)]
    environment = {
        **os.environ,
        "JAX_NUM_CPU_DEVICES": str(there_are),
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join(paths),
    }
    command = [sys.executable, str(HERE / "facts.py"), str(directory), game, precision]
    return subprocess.Popen(
        [*command, devices, *processes],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def finish(process) -> dict[str, Any]:
    out, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors[-3000:]
    return json.loads(out.splitlines()[-1])


def facts(directory, game, precision, devices, there_are=8) -> dict[str, Any]:
    return finish(start(directory, game, precision, devices, there_are))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def of_two_processes(directory, game, precision, devices) -> dict[str, Any]:
    """The facts of a run of two processes, each with half of the devices."""
    address = f"127.0.0.1:{free_port()}"
    pair = [
        start(directory, game, precision, str(devices), devices // 2, address, n, "2")
        for n in ("0", "1")
    ]
    first, second = map(finish, pair)
    row, other = (found[str(devices)]["row"] for found in (first, second))
    for name in ("digest", "score", *COUNTERS):
        assert row[name] == other[name]
    return first


def assert_same_in_f64(directory, found):
    """Same digest, counters and order of priorities; parameters to 1e-9."""
    (one, alone), *rest = found
    expected = np.load(directory / one)
    order = np.argsort(expected["priority"], axis=None)
    for name, other in rest:
        for column in ("digest", "score", *COUNTERS):
            assert other["row"][column] == alone["row"][column]
        actual = np.load(directory / name)
        np.testing.assert_allclose(
            actual["params"], expected["params"], rtol=0, atol=1e-9
        )
        # Equal priorities may change places; no other ones do.
        ordered = actual["priority"].reshape(-1)[order]
        assert np.diff(ordered).min() > -1e-9
        assert np.abs(ordered).max() > 0


def named(found):
    return [(f"{devices}.npz", fact) for devices, fact in found.items()]


@pytest.mark.slow
def test_one_and_eight_devices_make_the_same_run(tmp_path):
    found = facts(tmp_path, "Corridor", "f64", "1,8")
    assert found["8"]["row"]["agent_steps"] == 3000
    assert found["8"]["row"]["hardware"].startswith("8 x")
    assert_same_in_f64(tmp_path, named(found))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("game", "devices"),
    [
        ("Corridor", "1,2,4"),
        ("Corridor", "1,2x2,1x4"),  # parameters spread as well
        ("HostCorridor", "1,2,4,8,2x2"),
        ("PacMan", "1,8"),
    ],
)
def test_runs_agree_in_f64_on_every_mesh(tmp_path, game, devices):
    assert_same_in_f64(tmp_path, named(facts(tmp_path, game, "f64", devices)))


@pytest.mark.slow
@pytest.mark.parametrize("game", ["Corridor", "HostCorridor"])
def test_two_processes_agree_with_one(tmp_path, game):
    alone = facts(tmp_path / "alone", game, "f64", "4", there_are=4)
    together = of_two_processes(tmp_path / "together", game, "f64", 4)
    both = [("alone/4.npz", alone["4"]), ("together/4.npz", together["4"])]
    assert_same_in_f64(tmp_path, both)


@pytest.mark.slow
def test_meshes_agree_in_f32(tmp_path):
    found = facts(tmp_path, "Corridor", "f32", "1,2,4,8")
    alone = found.pop("1")
    assert len(set(alone["search"]["action"])) > 1
    assert alone["losses"][-1] != alone["losses"][0]
    for other in found.values():
        assert other["search"]["action"] == alone["search"]["action"]
        np.testing.assert_allclose(
            other["search"]["value"], alone["search"]["value"], rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(other["losses"], alone["losses"], rtol=0, atol=1e-5)
        for column in COUNTERS:
            assert other["row"][column] == alone["row"][column]
