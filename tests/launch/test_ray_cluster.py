"""A sweep over two Ray nodes, in two network namespaces of one machine.

A node is killed with all its processes while its runs are at work; the rows must be
those of a sweep on this machine alone.
"""

import contextlib
import importlib.util
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import cluster_sweeps
import pytest
from cluster_sweeps import at_work, ends, environment, rows, wait_until

from scaling import ledger, peers, results

PORT = 6390
NULL = subprocess.DEVNULL
NODE = "--num-cpus=2 --object-store-memory=80000000 --disable-usage-stats --block"


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


class Host:
    """A network namespace with one end of a cable; a host as far as Ray can tell."""

    def __init__(self, number: int):
        self.name = f"su{os.getpid()}-{number}"
        self.address = f"10.77.0.{number}"
        self._settings = pathlib.Path("/etc/netns") / self.name

    def make(self, cable: str) -> None:
        run("ip", "netns", "add", self.name)
        run("ip", "link", "set", cable, "netns", self.name)
        ip = ("ip", "-n", self.name)
        run(*ip, "addr", "add", f"{self.address}/24", "dev", cable)
        run(*ip, "link", "set", cable, "up")
        run(*ip, "link", "set", "lo", "up")
        self._settings.mkdir(parents=True)
        hosts = f"127.0.0.1 localhost\n{self.address} {socket.gethostname()}\n"
        (self._settings / "hosts").write_text(hosts)

    def start(self, *command: str, **how) -> subprocess.Popen:
        there = ["ip", "netns", "exec", self.name, *command]
        return subprocess.Popen(there, start_new_session=True, text=True, **how)

    def processes(self) -> list[int]:
        listed = subprocess.run(
            ["ip", "netns", "pids", self.name], capture_output=True, text=True
        )
        return [int(pid) for pid in listed.stdout.split()]

    def kill(self) -> None:
        """Ends every process, as a power cut does."""
        while pids := self.processes():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def remove(self) -> None:
        self.kill()
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)
        shutil.rmtree(self._settings, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._settings.parent.rmdir()  # unless others have theirs in it


@pytest.fixture
def hosts():
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed (the extra `ray`).")
    if shutil.which("ip") is None:
        pytest.skip("There is no `ip` to make network namespaces with (iproute2).")
    if os.geteuid() != 0:
        pytest.skip("Only root may make network namespaces.")
    pair = [Host(1), Host(2)]
    cables = [f"su{os.getpid()}{end}" for end in "ab"]
    try:
        try:
            run("ip", "link", "add", cables[0], "type", "veth", "peer", cables[1])
            for host, cable in zip(pair, cables, strict=True):
                host.make(cable)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"Network namespaces are not permitted: {error.stderr}")
        yield pair
    finally:
        for host in pair:
            host.remove()
        subprocess.run(["ip", "link", "del", cables[0]], capture_output=True)


@pytest.fixture
def cluster(hosts):
    """Two hosts with a Ray node each."""
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # paths of sockets are short
    ray = str(pathlib.Path(sys.executable).with_name("ray"))
    flags = [f"--node-ip-address={host.address}" for host in hosts]
    head = [f"--port={PORT}", "--include-dashboard=false", f"--temp-dir={folder}"]
    started = [
        hosts[0].start(
            ray,
            "start",
            "--head",
            flags[0],
            *head,
            *NODE.split(),
            stdout=NULL,
            stderr=NULL,
        )
    ]
    wait_until(lambda: answers(hosts[0]), 90)
    joined = f"--address={hosts[0].address}:{PORT}"
    started.append(
        hosts[1].start(
            ray, "start", joined, flags[1], *NODE.split(), stdout=NULL, stderr=NULL
        )
    )
    try:
        yield hosts
    finally:
        for host in hosts:
            host.kill()
        for process in started:
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def answers(host: Host) -> bool:
    probe = f"import socket; socket.create_connection(('{host.address}', {PORT}), 1)"
    process = host.start(sys.executable, "-c", probe, stderr=subprocess.DEVNULL)
    return process.wait() == 0


def on(host: Host, out: pathlib.Path) -> list[pathlib.Path]:
    """Returns the runs that are at work on a host."""
    pids = host.processes()
    return [run for run in at_work(out) if ledger.attempts(run)[-1].pid in pids]


def workers(hosts: list[Host]) -> list[int]:
    """Returns the processes on the hosts that make runs."""
    pids = [pid for host in hosts for pid in host.processes()]
    return [pid for pid in pids if b"launch." in command_of(pid)]


def command_of(pid: int) -> bytes:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has just ended
        return b""


def on_ray(hosts: list[Host], out: pathlib.Path, *flags: str) -> subprocess.Popen:
    """Starts a sweep on the first host."""
    address = f"{hosts[0].address}:{PORT}"
    where = ["--executor", "ray", "--address", address, "--resources", "CPU=2"]
    return hosts[0].start(
        *cluster_sweeps.command(out, *flags, *where),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def alone():
    """Starts a sweep of this machine, which has no part in the cluster."""
    started: list[subprocess.Popen] = []

    def start(out: pathlib.Path, *flags: str) -> subprocess.Popen:
        command, output = cluster_sweeps.command(out, *flags), subprocess.DEVNULL
        started.append(
            subprocess.Popen(
                command, env=environment(), text=True, stdout=output, stderr=output
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.terminate()  # unless it has ended
        process.wait(60)


@pytest.mark.slow
def test_a_sweep_is_interrupted_and_goes_on_and_outlives_a_node(
    cluster, alone, tmp_path
):
    grid = ["--budgets", "2e3,3e3,1.2e4", "--seeds", "2"]
    out, here = tmp_path / "ray", tmp_path / "local"
    local = alone(here, *grid)

    first = on_ray(cluster, out, *grid)
    wait_until(lambda: len(at_work(out)) == 2 or first.poll() is not None, 150)
    both = at_work(out)
    assert {run.name.split("-")[1] for run in both} == {"12000"}  # the largest first
    assert [len(on(host, out)) for host in cluster] == [1, 1]
    first.send_signal(signal.SIGTERM)
    ends(first, peers.RESUME_STATUS)
    assert workers(cluster) == []
    for run in both:
        (made,) = ledger.attempts(run)
        assert made.reason == "interrupted"
        assert made.saved is not None

    second = on_ray(cluster, out, *grid)
    wait_until(lambda: on(cluster[1], out) or second.poll() is not None, 150)
    (lost,) = on(cluster[1], out)
    before = len(ledger.attempts(lost))
    cluster[1].kill()
    ends(second)
    moved, *more = ledger.attempts(lost)[before - 1 :]
    assert (moved.reason, len(more)) == ("interrupted", 1)
    assert (moved.note or "").startswith(f"Ray lost the node {cluster[1].address}")
    assert more[0].reason == "finished"
    assert more[0].resumed_from is not None
    ends(local)
    assert rows(out) == rows(here)
    assert len(rows(out)) == 6


@pytest.mark.slow
def test_one_run_on_two_hosts_is_the_run_on_one(cluster, alone, tmp_path):
    grid = ["--budgets", "6e2", "--seeds", "2", "--precision", "f64"]
    out, here = tmp_path / "ray", tmp_path / "local"
    local = alone(here, *grid)
    gang = on_ray(cluster, out, *grid, "--hosts", "2")
    ends(gang)
    ends(local)
    assert workers(cluster) == []
    assert rows(out) == rows(here)
    for run in (out / "runs").iterdir():
        row = results.read_row(run)
        assert row is not None
        assert "2 x cpu" in row["hardware"]
