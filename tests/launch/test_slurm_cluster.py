"""A sweep as jobs of a real Slurm, which runs on this machine's loopback.

The daemons are Debian's (slurm-wlm), started here with a configuration of their own.
"""

import importlib.util
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import cluster_sweeps
import pytest
from cluster_sweeps import at_work, ends, rows, wait_until

from scaling import ledger, peers, results

GRID = ("--budgets", "2e3,1.2e4", "--seeds", "2")
# A job that is requeued waits as long as its credentials live.
CONFIGURATION = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
SlurmctldPort={controller}
SlurmdPort={node}
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/node.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
KillWait=30
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


started: list[subprocess.Popen] = []  # ended by the fixture


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A Slurm with one node of two cores."""
    if importlib.util.find_spec("submitit") is None:
        pytest.skip("submitit is not installed (the extra `slurm`).")
    missing = [name for name in ("slurmctld", "slurmd", "srun") if not where(name)]
    if missing:
        pytest.skip(f"No {', '.join(missing)} here (Debian's slurm-wlm has them).")
    if os.geteuid() != 0:
        pytest.skip("Slurm's daemon starts jobs as root only.")
    path = configure(tmp_path / "slurm")
    monkeypatch.setenv("SLURM_CONF", str(path))
    daemons = [
        subprocess.Popen(
            [str(where(name)), "-D", "-f", str(path)], stderr=subprocess.DEVNULL
        )
        for name in ("slurmctld", "slurmd")
    ]
    try:
        wait_until(lambda: "idle" in output("sinfo", "--noheader"), 60)
        yield
    finally:
        for process in started:
            process.kill()  # unless it has ended
            process.communicate()
        started.clear()
        subprocess.run(["scancel", "--me"], capture_output=True)
        end = time.monotonic() + 30
        while output("squeue", "--noheader") and time.monotonic() < end:
            time.sleep(0.2)
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(30)


def where(name: str) -> str | None:
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


def configure(folder: pathlib.Path) -> pathlib.Path:
    for each in (folder / "state", folder / "spool"):
        each.mkdir(parents=True)
    path = folder / "slurm.conf"
    path.write_text(
        CONFIGURATION.format(
            host=socket.gethostname(),
            folder=folder,
            controller=peers.free_port("127.0.0.1"),
            node=peers.free_port("127.0.0.1"),
        )
    )
    return path


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout


def sweep(out: pathlib.Path, *flags: str) -> subprocess.Popen:
    started.append(
        subprocess.Popen(
            cluster_sweeps.command(out, *GRID, *flags),
            env=cluster_sweeps.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )
    return started[-1]


def job_of(run: pathlib.Path) -> str:
    return (run.parents[1] / "slurm" / "jobs" / run.name).read_text()


def ledger_of(run: pathlib.Path) -> list[str | None]:
    # The row is written a moment before the attempt's end is.
    wait_until(lambda: ledger.attempts(run)[-1].reason is not None, 10)
    made = ledger.attempts(run)
    assert all(each.resumed_from is not None for each in made[1:])
    return [each.reason for each in made]


@pytest.mark.slow
def test_jobs_that_give_way_are_queued_again_and_go_on(slurm, tmp_path):
    out = tmp_path / "slurm-runs"
    watching = sweep(out, "--executor", "slurm", "--parallel", "2")
    wait_until(lambda: len(at_work(out)) == 2 or watching.poll() is not None, 120)
    timed_out, preempted = at_work(out)
    # What Slurm does before the time limit, and to make room for another job.
    signalling = subprocess.Popen(["scancel", "--signal=USR2", job_of(timed_out)])
    subprocess.run(["scontrol", "requeue", job_of(preempted)], check=True)
    wait_until(lambda: ledger.attempts(timed_out)[-1].reason == "interrupted", 30)
    signalling.kill()  # it would say it again when the job is back
    signalling.wait()
    here = tmp_path / "local"
    local = sweep(here)
    told = ends(watching)
    assert told.count("interrupted: ") == 2
    assert ledger_of(timed_out) == ["interrupted", "finished"]
    assert ledger_of(preempted) == ["interrupted", "finished"]
    ends(local)
    assert rows(out) == rows(here)
    assert len(rows(out)) == 4


@pytest.mark.slow
def test_an_interrupt_saves_and_empties_the_queue_and_a_detached_sweep_goes_on(
    slurm, tmp_path
):
    out = tmp_path / "slurm-runs"
    flags = ["--executor", "slurm", "--parallel", "1"]
    watching = sweep(out, *flags)
    wait_until(lambda: at_work(out) or watching.poll() is not None, 120)
    (run,) = at_work(out)
    watching.send_signal(signal.SIGTERM)
    ends(watching, peers.RESUME_STATUS)
    assert output("squeue", "--noheader") == ""
    assert ledger_of(run) == ["interrupted"]
    assert "4 jobs submitted" in ends(sweep(out, *flags, "--detach"))
    assert "0 jobs submitted, 4 were in" in ends(sweep(out, *flags, "--detach"))
    wait_until(lambda: results.read_row(run) is not None, 150)
    assert ledger_of(run) == ["interrupted", "finished"]
