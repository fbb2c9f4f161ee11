"""Training from a store ten times as large as the memory that it may take."""

import dataclasses
import pathlib
import resource
import subprocess
import sys

import numpy as np
import pytest
import test_run
import wide_game

from scaling import borrowed, config, execution, run
from scaling.datasets import episodes, identity, manifest, writer

CAP = 64 * 2**20  # bytes of private memory beyond what the run has taken so far
STEPS = 200
SEARCHES = 40_000
WARM = 100  # updates, by which all programs are compiled and threads are there


def store(path):
    """Writes ten times CAP of frames."""
    head = manifest.Header(
        observation_shape=wide_game.SHAPE,
        observation_dtype="|u1",
        protocol=manifest.Recording(
            env="wide", num_actions=2, action_set="own", frame_skip=1, reward_kind="raw"
        ),
        action_map={0: 0, 1: 1},
        provenance={"kind": "test"},
        chunk_bytes=2**22,
    )
    rng, size = np.random.default_rng(0), 0
    with writer.EpisodeWriter(path, head) as out:
        while size < 10 * CAP:
            seen = rng.integers(0, 255, (STEPS + 1, *wide_game.SHAPE), np.uint8)
            action = rng.integers(0, 2, STEPS).astype(np.int32)
            reward = action.astype(np.float32)
            out.append(episodes.Episode(seen, action, reward, True))
            size += seen.nbytes
        out.finish()
    return path


def private_bytes():
    """What Linux counts against RLIMIT_DATA."""
    status = pathlib.Path("/proc/self/status").read_text()
    kilobytes = status.partition("VmData:")[2].split()[0]
    return int(kilobytes) * 1024


def limit(size):
    """Caps the private memory of this process."""
    resource.setrlimit(resource.RLIMIT_DATA, (size, resource.RLIM_INFINITY))


def no_frames(self, shards, dtype):
    """Stands for what would put all frames into memory before the cap is there."""
    raise AssertionError("the frames were put on the device")


def train(path, out):
    """Trains under the cap until the last call; prints the account.

    Compiling a program takes memory too, and is not what is measured.
    """
    settings = dataclasses.replace(
        test_run.SETTINGS,
        env="wide_game:WideGame",
        data=config.Data(dataset=identity.identity(path)),
        max_lanes=32,
        samples_per_search=1.0,
        evaluation=config.Evaluation(episodes=4, curve_points=0),
    )
    cell = config.Cell(frames=10**9, fraction=1.0, seed=0, searches=SEARCHES)
    # As for any store that is too large for the device: its frames stay in the files.
    borrowed.MOST_ON_DEVICE = CAP
    borrowed.Borrowed.frames = no_frames
    capped = []

    def cap(event):
        if event.get("call") == event.get("calls"):  # also of other events
            limit(resource.RLIM_INFINITY)
        elif event.get("updates", 0) > WARM and not capped:
            limit(private_bytes() + CAP)
            with pytest.raises(MemoryError):
                bytearray(CAP + 2**22)
            capped.append(event["searched"])

    how = execution.Execution(dataset=str(path))
    row = run.run(settings, cell, out, how=how, report=cap)
    assert capped[0] < SEARCHES / 10
    print(row["searched_states"], row["learner_updates"], row["dataset_frames"])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA is Linux's")
def test_a_store_ten_times_the_cap_trains_under_it(tmp_path):
    path = store(tmp_path / "store")
    frames = episodes.open_store(path).statistics().frames
    assert frames * np.prod(wide_game.SHAPE) > 9.9 * CAP
    words = "import pathlib, sys, test_offline_memory as t"
    words += "; t.train(*map(pathlib.Path, sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", words, str(path), str(tmp_path / "run")],
        capture_output=True,
        text=True,
        cwd=pathlib.Path(__file__).parent,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-3:] == [str(SEARCHES), str(SEARCHES // 16), str(frames)]
