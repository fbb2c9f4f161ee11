"""A store ten times as large as the memory that a process may have is read in it."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import recorded

ROOT = pathlib.Path(__file__).parents[2]
CAP = 64 * 2**20  # bytes beyond what Python and NumPy take to start
# A thread that first asks for memory under the cap would have 64 MiB of addresses
# reserved for it; whether one does hangs on the load of the machine.
ONE_ARENA = {"MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1"}
READ = """
import pathlib, resource, sys
from scaling.datasets import episodes

path, cap = pathlib.Path(sys.argv[1]), int(sys.argv[2])
status = pathlib.Path("/proc/self/statm").read_text().split()
started = int(status[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (started + cap, started + cap))
try:
    bytearray(cap + 2**20)
except MemoryError:
    print("capped")
store = episodes.verify(path)
total = sum(int(e.observations.sum(dtype="i8")) for e in store)
shuffled = sum(int(e.observations.sum(dtype="i8")) for e in store.shuffled(3))
print(total, shuffled, sum(len(e.observations) for e in store.subset(30000, 0)))
"""


@pytest.mark.slow
def test_a_store_ten_times_the_cap_is_read_under_it(tmp_path):
    """All memory is counted, mapped files too: RLIMIT_AS caps the address space."""
    rng = np.random.default_rng(0)
    shape, steps = (84, 84, 1), 300
    head = recorded.header(shape, chunk_bytes=2**20)
    size = total = 0

    def played():
        nonlocal size, total
        while size < 10 * CAP:
            one = recorded.episode(rng, steps, shape)
            size += one.observations.nbytes
            total += int(one.observations.sum(dtype=np.int64))
            yield one

    recorded.store(tmp_path / "store", played(), head)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / "store"), str(CAP)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **ONE_ARENA},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    drawn = 30_000 // steps * (steps + 1)
    assert done.stdout.split() == ["capped", str(total), str(total), str(drawn)]
