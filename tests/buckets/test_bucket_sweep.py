"""A sweep whose output is in a bucket, and its machine gone in the middle."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import uuid

import fsspec
import pytest
import servers

from scaling import hardware
from scaling.buckets.bucket import Bucket

ROOT = pathlib.Path(__file__).parents[2]
SWEEP = [
    "launch/sweep.py",
    "--preset",
    "cartpole",
    "--budgets",
    "2000",
    "--fractions",
    "0.5",
    "--seeds",
    "1",
    "--parallel",
    "1",
    "--checkpoint-seconds",
    "0.5",
    "--copy-seconds",
    "0.5",
]
pytestmark = pytest.mark.slow


@pytest.fixture
def address(monkeypatch):
    with servers.amazon() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        yield f"s3://bucket/{uuid.uuid4().hex}"


def start(machine: pathlib.Path, *words: object) -> subprocess.Popen[str]:
    """Starts a command on a machine with a disk of its own."""
    compiled = hardware.cache_root() / "compiled"
    environment = {
        "XDG_CACHE_HOME": str(machine),
        "JAX_COMPILATION_CACHE_DIR": str(compiled),
    }
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(machine: pathlib.Path, *words: object) -> str:
    process = start(machine, *words)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return out


def tree(pid: int) -> list[int]:
    """Returns a process and all that came of it."""
    found = [pid]
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        if parent == pid:
            found += tree(int(path.parent.name))
    return found


def test_a_sweep_goes_on_on_another_machine_to_the_same_end(address, tmp_path):
    """The first machine is gone from one moment to the next; so is its disk."""
    run(tmp_path / "none", *SWEEP, "--out", tmp_path / "unbroken")
    bucket, study = Bucket(f"{address}/study"), f"{address}/study"
    process = start(tmp_path / "first", *SWEEP, "--out", study)
    end = time.monotonic() + 300
    try:
        while not any(n.endswith("manifest.json") for n in bucket.objects()):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        for pid in tree(process.pid):
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=30)
    assert not any(name.endswith("result.json") for name in bucket.objects())
    run(tmp_path / "second", *SWEEP, "--out", study)
    (name,) = [n for n in bucket.objects() if n.endswith("result.json")]
    row = json.loads(bucket.read(name))
    (path,) = (tmp_path / "unbroken").rglob("result.json")
    expected = json.loads(path.read_text())
    assert row["resumes"] == 1
    same = ("run_id", "digest", "score", "searched_states", "learner_updates")
    assert [row[each] for each in same] == [expected[each] for each in same]
    # Its report is written from a third machine, and lies beside the rows.
    told = run(tmp_path / "third", "launch/status.py", study)
    assert "1 finished" in told
    run(tmp_path / "third", "analysis/fit_scaling.py", "--results", study)
    assert {"report.html", "fit.json", "status.html"} <= set(bucket.objects())
    folder = name.rpartition("/")[0]
    told = run(tmp_path / "third", "launch/evaluate.py", f"{study}/{folder}")
    assert told.startswith(f"score {row['score']:,.1f} ")


def test_a_data_set_in_a_bucket_is_learned_from(address, tmp_path):
    words = ("--env", "gymnasium:CartPole-v1", "--preset", "cartpole")
    data, study = f"{address}/data", f"{address}/study"
    collect = ("launch/collect.py", "random", *words, "--frames", "600")
    run(tmp_path / "first", *collect, "--out", data)
    assert "manifest.json" in Bucket(data).objects()
    told = run(tmp_path / "second", *collect, "--out", data)
    assert "episodes of gymnasium:CartPole-v1" in told  # finished, and left as it is
    offline = ("--searches", "1600", "--max-lanes", "16", "--dataset", data)
    learn = ("launch/train.py", "--preset", "cartpole", "--fraction", "1", *offline)
    run(tmp_path / "second", *learn, "--out", study)
    (name,) = [n for n in Bucket(study).objects() if n.endswith("result.json")]
    row = json.loads(Bucket(study).read(name))
    assert (row["status"], row["fraction"]) == ("ok", 1.0)
    assert row["dataset"]
    # And a sweep of it can be sent to a cloud.
    target = ("--target", "gpu:h100:1", "--bucket", address, "--out", tmp_path / "c")
    sent = ("--preset", "cartpole", "--fractions", "1", *offline)
    run(tmp_path / "third", "launch/cloud.py", *target, "--", *sent)
    assert f"--dataset {data}" in (tmp_path / "c/skypilot.yaml").read_text()
