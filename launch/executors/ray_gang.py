"""A gang on a Ray cluster: one process on each of a number of nodes, for one run.

Ray finds nodes with room for it (a STRICT_SPREAD placement group) and carries lines to
and from its hosts (launch/executors/ray_host.py); it restarts and retries nothing.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import ray
from ray import exceptions
from ray.util.placement_group import (
    PlacementGroup,
    placement_group_table,
    remove_placement_group,
)
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from launch import worker
from launch.executors import death, member
from launch.executors.ray_host import End, Host, Place
from scaling import hardware

_ANSWER_S = 60.0  # in which an actor on a live node answers
_LEAVE_S = 30.0  # for the workers of a gang to end, once one of them has
_KILL_S = 5.0
_THREADS = 6  # of an actor, since some of its methods wait
# Variables that mean the same on every host and decide what a run does there.
_CARRIED = ("JAX_", "XLA_", "NCCL_", "LIBTPU_INIT_ARGS", "WANDB_", "PYTHONPATH")


class Need(NamedTuple):
    """What a run needs of a cluster."""

    hosts: int  # one process on each
    resources: Mapping[str, float]  # of each host, CPU among them
    start: str  # module:function that returns what makes a run on one host
    processes: hardware.Processes = hardware.ONE_PROCESS  # how long they wait


class Cores:
    """Shares out the cores of nodes, so that two workers do not fight for one."""

    def __init__(self) -> None:
        self._used: dict[str, Counter[int]] = {}
        self._lock = threading.Lock()

    def take(self, node: str, cores: Sequence[int], count: int) -> list[int]:
        """Returns the cores of a node that are used least, to be given back."""
        with self._lock:
            used = self._used.setdefault(node, Counter())
            taken = sorted(cores, key=lambda core: (used[core], core))[:count]
            used.update(taken)
            return taken

    def give(self, node: str, cores: Sequence[int]) -> None:
        """Takes cores back."""
        with self._lock:
            self._used[node].subtract(cores)


class Gang:
    """The workers of one run at a time, one on each host; a pool's `Worker`.

    Args:
      group: a placement group that has its room; removed by `close`.
      need: what it was made for.
      cores: of the nodes.

    Raises:
      RayError: if a node has gone since, or cannot start a worker.
    """

    def __init__(self, group: PlacementGroup, need: Need, cores: Cores):
        self.ready, self._group, self._cores = False, group, cores
        self._taken: list[tuple[str, list[int]]] = []
        self._lost: Exception | None = None
        self._log_bytes = 0  # of earlier attempts
        self._hosts = [_actor(group, need, number) for number in range(need.hosts)]
        try:
            self._start(need)
        except BaseException:
            self.close()
            raise
        self._ends = [host.end.remote() for host in self._hosts]

    def _start(self, need: Need) -> None:
        """Starts the worker of every host."""
        nodes, addresses = _nodes_of(self._group, need.hosts)
        self._address = addresses[0]
        places: list[Place] = _get(
            [
                host.place.remote(address)
                for host, address in zip(self._hosts, addresses, strict=True)
            ]
        )
        starting = []
        for number, host in enumerate(self._hosts):
            environment = _carried(os.environ)
            if need.hosts > 1:
                environment |= member.environment(
                    dataclasses.replace(
                        need.processes,
                        coordinator=f"{addresses[0]}:{places[0].free_port}",
                        process_id=number,
                        num_processes=need.hosts,
                    )
                )
            cores = self._pin(nodes[number], places[number], need)
            starting.append(
                host.start.remote(_program(need, number), environment, cores)
            )
        _get(starting)

    def _pin(self, node: str, place: Place, need: Need) -> list[int]:
        """Returns the cores of a worker; none where an accelerator wants them all."""
        if set(need.resources) != {"CPU"}:
            return []
        taken = self._cores.take(node, place.cores, int(need.resources["CPU"]))
        self._taken.append((node, taken))
        return taken

    def make(
        self, order: worker.Order, *mates: worker.Order
    ) -> Iterable[dict[str, Any]]:
        """Hands over an order and yields what the worker says until it is silent."""
        assert not mates  # launch/packs.py refuses them
        task = order.task
        self._log_bytes = len(death.log_of(task.directory))
        directory = pathlib.Path(os.path.abspath(task.directory))
        there = order._replace(task=dataclasses.replace(task, directory=directory))
        try:
            self._hosts[0].send.remote(worker.message(there))
            for said in self._said():
                if said["event"] == "ready":
                    self.ready = True
                else:
                    yield said
        except exceptions.RayError as error:
            self._lost = error

    def _said(self) -> Iterable[dict[str, Any]]:
        """Yields what the first worker says until it ends, or another one has."""
        broken: float | None = None  # since when another one has
        ended = False
        while not ended:
            hearing = self._hosts[0].hear.remote()
            lines, ended = ray.get(hearing, timeout=_ANSWER_S)
            yield from map(json.loads, lines)
            if broken is None and self._is_broken():
                broken = time.monotonic()  # the first one is told, by its peers
            if broken is not None and time.monotonic() - broken > _LEAVE_S:
                return self.kill()

    def _is_broken(self) -> bool:
        """Tells whether a worker beside the first one has ended."""
        others = self._ends[1:]
        return bool(others) and bool(ray.wait(others, timeout=0)[0])

    def death(self, run_directory: pathlib.Path) -> death.Death:
        """Returns why the worker ended while it was at a run."""
        try:
            end: End = _get(self._ends)[0]
        except exceptions.RayError as error:
            self.ask_to_end()  # it may be alive, and only Ray be gone
            lost = self._lost or error
            note = f"Ray lost the node {self._address} ({one_line(lost)})."
            return death.Death("interrupted", note)
        log = death.log_of(run_directory)[self._log_bytes :]
        return death.of(end.status, log or end.last_words.encode())

    def ask_to_end(self) -> None:
        """Asks the workers to save and to end."""
        for host in self._hosts:
            host.ask_to_end.remote()

    def kill(self) -> None:
        """Ends the workers whatever they are at."""
        for host in self._hosts:
            with contextlib.suppress(exceptions.RayError):
                _get([host.kill.remote()], _KILL_S)

    def close(self) -> None:
        """Lets the workers end by themselves, and gives back what they had."""
        leaving = [host.close.remote() for host in self._hosts]
        for each in leaving:
            with contextlib.suppress(exceptions.RayError):
                _get([each], _LEAVE_S)
        for host in self._hosts:
            ray.kill(host, no_restart=True)
        remove_placement_group(self._group)
        for node, cores in self._taken:
            self._cores.give(node, cores)
        self._taken.clear()


def one_line(error: Exception) -> str:
    """Returns what Ray says of a failure, in one line without its traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = lines[-1] if isinstance(error, exceptions.RayTaskError) else " ".join(lines)
    return (told or type(error).__name__)[:200].rstrip(".")


def _actor(group: PlacementGroup, need: Need, number: int) -> Any:
    """Returns a `Host` on a node of its own, which nobody restarts."""
    special = {
        name: amount
        for name, amount in need.resources.items()
        if name not in ("CPU", "GPU")
    }
    options = {
        "num_cpus": need.resources["CPU"],
        "num_gpus": need.resources.get("GPU", 0),
        "resources": special,
        "max_restarts": 0,
        "max_task_retries": 0,
        "max_concurrency": _THREADS,
        "scheduling_strategy": PlacementGroupSchedulingStrategy(
            placement_group=group, placement_group_bundle_index=number
        ),
    }
    return ray.remote(**options)(Host).remote()


def _nodes_of(group: PlacementGroup, hosts: int) -> tuple[list[str], list[str]]:
    """Returns the names and the addresses of a group's nodes."""
    found = placement_group_table(group)["bundles_to_node_id"]
    nodes = [found[number] for number in range(hosts)]
    known = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes()}
    return nodes, [known[node] for node in nodes]


def _program(need: Need, number: int) -> list[str]:
    """Returns module and flags of a gang's process."""
    if number > 0:
        return [member.FOLLOWER]
    return ["launch.worker", "--start", need.start if need.hosts == 1 else member.FIRST]


def _carried(variables: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables of this process that those on other hosts get too."""
    return {
        name: value for name, value in variables.items() if name.startswith(_CARRIED)
    }


def _get(asked: Sequence[Any], timeout: float = _ANSWER_S) -> list[Any]:
    return ray.get(list(asked), timeout=timeout)
