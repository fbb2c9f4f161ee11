"""Several processes of one command: one order, one ledger, one way to end."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from scaling import config, ledger, peers, presets, results

FAKES = str(pathlib.Path(__file__).parent)
SETTINGS = presets.preset("demo").settings
PROGRAM = """
import pathlib, sys
import fakes
from launch import attempt, command, interruption, study, worker
from launch.executors import together
from scaling import config, execution, hardware, peers, presets

worker.start_real_runs = lambda: fakes.run

def run(argv):
    out, number, port = pathlib.Path(argv[0]), int(argv[1]), argv[2]
    settings = presets.preset("demo").settings
    cells = [config.Cell(frames=4000, fraction=0.5, seed=int(s)) for s in argv[3:]]
    planned = study.plan(settings, cells, out)
    tasks = study.tasks(settings, planned, out, execution.DEFAULT)
    group = peers.join(
        hardware.Processes(
            coordinator=f"127.0.0.1:{port}", process_id=number, num_processes=2
        ),
        "",
    )
    def report(event):
        if event.kind not in ("progress", "started"):
            print("told:", number, event.kind, event.task.cell.seed, flush=True)
    rules = attempt.Rules(max_attempts=1)
    with interruption.deferred(30.0) as stop:
        together.execute(tasks, tasks, report, group, rules=rules, stop=stop)
    group.leave()
    return 0

command.run(run, "Go on.")
"""


def start(out, *seeds) -> list[subprocess.Popen]:
    port = str(peers.free_port("127.0.0.1"))
    return [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(out), str(number), port, *seeds],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": FAKES},
        )
        for number in range(2)
    ]


def ends(processes) -> list[tuple[int, list[str], str]]:
    """Returns exit status, events and errors of each process."""
    ended = []
    for process in processes:
        out, errors = process.communicate(timeout=60)
        told = [line[6:] for line in out.splitlines() if line.startswith("told: ")]
        ended.append((process.returncode, told, errors))
    return ended


def directory_of(out, seed):
    cell = config.Cell(frames=4000, fraction=0.5, seed=seed)
    return out / "runs" / config.run_id(SETTINGS, cell)


def begun(out, seed) -> int:
    path = out / "begun.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    ids = [json.loads(line)["run_id"] for line in lines]
    return ids.count(directory_of(out, seed).name)


def test_all_make_the_same_runs_and_the_first_one_keeps_the_ledger(tmp_path):
    (tmp_path / "runs").mkdir()
    first, second = ends(start(tmp_path, "0", "8", "15"))
    status, told, errors = first
    assert (status, errors) == (0, "")
    assert sorted(told) == ["0 failed 15", "0 failed 8", "0 finished 0"]
    assert second == (0, [], "")
    for seed, status in ((0, "ok"), (8, "failed"), (15, "diverged")):
        assert begun(tmp_path, seed) == 2
        row = results.read_row(directory_of(tmp_path, seed))
        assert row is not None
        assert (row["status"], row["attempts"]) == (status, 1)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)]
)
def test_all_save_and_end_with_the_status_that_the_signal_asks_for(
    tmp_path, number, status
):
    (tmp_path / "runs").mkdir()
    processes = start(tmp_path, "12")
    end = time.monotonic() + 60
    while begun(tmp_path, 12) < 2:
        assert time.monotonic() < end
        time.sleep(0.05)
    for process in processes:
        process.send_signal(number)
    ended = ends(processes)
    assert [each[0] for each in ended] == [status] * 2, ended
    assert ended[0][1] == ["0 interrupted 12"]
    assert all("Go on." in each[2] for each in ended)
    (attempt,) = ledger.attempts(directory_of(tmp_path, 12))
    assert (attempt.reason, attempt.saved) == ("interrupted", 40)
    again = ends(start(tmp_path, "12"))
    assert [each[0] for each in again] == [0, 0]
    assert ledger.counts(directory_of(tmp_path, 12)) == (2, 1)


def test_a_failure_of_one_process_ends_all(tmp_path):
    (tmp_path / "runs").mkdir()
    first, second = ends(start(tmp_path, "7"))
    assert first[0] == 1
    assert "out of luck" in first[2]
    assert second[0] in (1, peers.RESUME_STATUS)
