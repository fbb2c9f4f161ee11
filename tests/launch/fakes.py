"""Runs that need no JAX: what a worker process makes in the tests of the executor.

The seed says what happens: 7 raises, 8 raises a refusal, 9 exits, 11 is killed,
12 takes long, 14 exits when all is written.
"""

import json
import os
import signal
import time

from scaling import results


def start():
    print("noise of an import on standard output")
    return run


def start_nothing():
    raise RuntimeError("no devices here")


def run(settings, cell, directory, *, how, report):
    begun = directory.parent.parent / "begun.jsonl"
    with begun.open("a") as file:
        where = {"pid": os.getpid(), "cores": sorted(os.sched_getaffinity(0))}
        file.write(json.dumps({"run_id": directory.name, **where}) + "\n")
    print("noise of a run")
    os.write(1, b"noise below Python\n")
    report({"event": "phase", "name": "training"})
    report({"event": "progress", "searched": 1, "searched_total": 2, "updates": 3})
    fail(cell.seed)
    if cell.seed == 12:
        time.sleep(60)
    row = results.identity(settings, cell, how.design) | {
        "status": "ok",
        "score": float(cell.frames),
        "attempts": results.attempts_before(directory) + 1,
        "note": f"allocated {how.allocate_frames}",
    }
    results.write_row(directory, row)
    if cell.seed == 14:
        os._exit(1)
    return row


def fail(seed):
    if seed == 7:
        raise RuntimeError("out of luck")
    if seed == 8:
        raise ValueError("The cell is impossible; choose another.")
    if seed == 9:
        print("last words", flush=True)
        os._exit(9)
    if seed == 11:
        os.kill(os.getpid(), signal.SIGKILL)
