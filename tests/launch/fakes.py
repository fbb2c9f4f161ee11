"""Runs that need no JAX: what a worker process makes in the tests of the executor.

The seed says what happens: 7 raises, 8 raises a refusal, 9 exits, 11 is killed, 12
takes long unless it is stopped, 14 exits when all is written, 15 diverges, 16 is
killed after a checkpoint and finishes when it goes on, 17 is told to end by the
machine (SIGTERM to the worker alone) and then finishes, 18 finds the disk full, 19
takes long and does not heed that it is stopped, 20 exits with the status that asks
to be resumed, every time, 21 has saved once and is then killed every time, 22 is 17
with Ctrl-C.
"""

import errno
import json
import os
import signal
import time

from scaling import ledger, results


class Diverged(RuntimeError):  # noqa: N818, as scaling.log has it
    status = "diverged"


def start():
    print("noise of an import on standard output")
    return run


def start_nothing():
    raise RuntimeError("no devices here")


def start_after_trouble():
    """The first process of a study's directory cannot start."""
    path = os.environ["FAKE_TROUBLE"]
    if not os.path.exists(path):
        open(path, "x").close()
        raise RuntimeError("the device is busy")
    return run


def run(settings, cell, directory, *, how, report, stop=lambda: False):
    begun = directory.parent.parent / "begun.jsonl"
    with begun.open("a") as file:
        where = {"pid": os.getpid(), "cores": sorted(os.sched_getaffinity(0))}
        file.write(json.dumps({"run_id": directory.name, **where}) + "\n")
    print("noise of a run")
    os.write(1, b"noise below Python\n")
    report({"event": "phase", "name": "training"})
    call = restore(directory, report)
    report({"event": "progress", "searched": 1, "searched_total": 2, "updates": 3})
    fail(cell.seed)
    if call is None:
        stumble(cell.seed, directory, report, stop)
    elif cell.seed == 21:
        os.kill(os.getpid(), signal.SIGKILL)
    attempts, resumes = ledger.counts(directory)
    row = results.identity(settings, cell, how.design) | {
        "status": "ok",
        "score": float(cell.frames),
        "attempts": attempts,
        "resumes": resumes,
        "note": f"allocated {how.allocate_frames}",
    }
    results.write_row(directory, row)
    if cell.seed == 14:
        os._exit(1)
    return row


def fail(seed):
    """What goes wrong every time."""
    if seed == 7:
        raise RuntimeError("out of luck")
    if seed == 8:
        raise ValueError("The cell is impossible; choose another.")
    if seed == 9:
        print("last words", flush=True)
        os._exit(9)
    if seed == 11:
        os.kill(os.getpid(), signal.SIGKILL)
    if seed == 15:
        raise Diverged("The loss is no number any more.")
    if seed == 18:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "params")
    if seed == 20:
        os._exit(75)


def stumble(seed, directory, report, stop):
    """What goes wrong until there is a checkpoint."""
    if seed in (16, 21):
        save(directory, report)
        os.kill(os.getpid(), signal.SIGKILL)
    if seed in (17, 22):
        os.kill(os.getpid(), signal.SIGTERM if seed == 17 else signal.SIGINT)
    if seed == 19:
        time.sleep(60)
    if seed in (12, 17, 22):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if stop():
                save(directory, report)
                raise ledger.Interrupted("The run was asked to stop.")
            time.sleep(0.05)


def save(directory, report):
    (directory / "checkpoint").write_text("40")
    report({"event": "saved", "call": 40})


def restore(directory, report):
    path = directory / "checkpoint"
    if not path.exists():
        return None
    call = int(path.read_text())
    report({"event": "resumed", "call": call, "skipped": ["Checkpoint 80 is torn."]})
    return call
