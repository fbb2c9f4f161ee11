"""Runs tasks on the nodes of a Ray cluster, a gang of processes for each run.

Ray finds the room and tells when a node is lost; attempts, leases and checkpoints are
ours, on the directory that all nodes share. A run of a lost node is taken up by the
next gang that there is room for, from its last checkpoint. Gangs come and go with the
nodes of the cluster; one at a time is asked for.
"""

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import ray
from ray import exceptions
from ray.util.placement_group import (
    PlacementGroup,
    placement_group,
    remove_placement_group,
)

from launch import attempt
from launch.executors import pool
from launch.executors.ray_gang import Cores, Gang, Need, one_line
from launch.executors.task import Report, Task

_ROOM_S = 5.0  # to wait for room, or for another place that waits for it
_JOIN_S = 30.0  # for the nodes of a cluster to join it
_STARTS = 5  # of gangs in a row that may fail


def execute(
    tasks: Iterable[Task],
    report: Report,
    *,
    parallel: int,
    rules: attempt.Rules,
    grace_s: float,
    need: Need,
    address: str,
) -> list[Task]:
    """Runs every task and reports what happens, from the calling thread.

    Args:
      tasks: to run, in no particular order; the largest one is begun first.
      report: called with each event; as in launch/executors/pool.py.
      parallel: runs at a time, at most.
      rules: when a run is worth another attempt.
      grace_s: seconds that the runs have to save when they are stopped.
      need: what one run needs.
      address: of the cluster; `auto`: the one that this machine is a node of.

    Returns:
      Tasks that can go on and were left: they were interrupted again and again.

    Raises:
      ValueError: if there is no such cluster, if its nodes have no room for a run, or
        if no worker can start there.
    """
    with _connected(address):
        _await_room(need, address)
        return pool.execute(tasks, report, _Room(need), parallel, rules, grace_s)


def _await_room(need: Need, address: str) -> None:
    """Returns as soon as a run could begin; nodes of a new cluster may be joining.

    Raises:
      ValueError: if after a while none could.
    """
    deadline = time.monotonic() + _JOIN_S
    while True:
        try:
            return check_room(ray.nodes(), need, address)
        except ValueError:
            if time.monotonic() > deadline:
                raise
        time.sleep(1.0)


def check_room(nodes: Sequence[Mapping[str, Any]], need: Need, address: str) -> None:
    """Refuses a cluster on which no run could ever begin.

    Args:
      nodes: as Ray lists them.
      need: of a run.
      address: for the message.

    Raises:
      ValueError: telling what there is.
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    fit = [
        node
        for node in alive
        if all(node.get(name, 0) >= much for name, much in need.resources.items())
    ]
    if len(fit) >= need.hosts:
        return
    wanted = _resources(need.resources)
    kinds = {name for node in alive for name in node} - {"memory"}
    names = sorted({"CPU", "GPU", "TPU", *need.resources} & kinds)
    there = [_resources({name: node.get(name, 0) for name in names}) for node in alive]
    raise ValueError(
        f"A run needs {need.hosts} nodes with {wanted} each, and of the nodes of the "
        f"Ray cluster at {address} ({'; '.join(there)}) {len(fit)} have that; start "
        "such nodes, or ask for less with --resources and --hosts."
    )


class _Room:
    """Finds room for gangs on a cluster; one is asked for at a time."""

    def __init__(self, need: Need):
        self._need, self._cores, self._failed = need, Cores(), 0
        self._found: dict[int, PlacementGroup] = {}  # by place
        self._asking = threading.Lock()

    def hire(self, place: int) -> Gang | None:
        """Returns a gang; None: there is no room now, or a node was lost meanwhile.

        Raises:
          ValueError: if none can start.
        """
        group = self._found.pop(place, None)
        if group is None:
            return None
        try:
            gang = Gang(group, self._need, self._cores)
        except exceptions.RayError as error:
            self._failed += 1
            if self._failed < _STARTS:
                return None
            raise ValueError(
                f"No worker can start on the Ray cluster ({one_line(error)}); the "
                "project must be installed on its nodes as it is here."
            ) from error
        self._failed = 0
        return gang

    def wait(self, place: int) -> bool:
        """Waits a while until there is room; the place's turn to ask may come later."""
        if place in self._found:
            return True
        if not self._asking.acquire(timeout=_ROOM_S):
            return False
        try:
            bundle = dict(self._need.resources)
            group = placement_group(
                [bundle] * self._need.hosts, strategy="STRICT_SPREAD"
            )
            if group.wait(_ROOM_S):
                self._found[place] = group
            else:
                remove_placement_group(group)
        finally:
            self._asking.release()
        return place in self._found

    def leave(self, place: int) -> None:
        """Gives up room that was found and is not needed."""
        group = self._found.pop(place, None)
        if group is not None:
            remove_placement_group(group)


@contextlib.contextmanager
def _connected(address: str) -> Iterator[None]:
    """Makes this process a driver of the cluster while it lasts.

    Raises:
      ValueError: if there is no such cluster.
    """
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"There is no Ray cluster to join at --address {address} "
            f"({one_line(error)}); start one with `ray start --head` and nodes with "
            "`ray start --address=HOST:6379`, and use this command on one of them."
        ) from error
    finally:
        signal.signal(signal.SIGTERM, handler)  # Ray's would not let runs save
    try:
        yield
    finally:
        ray.shutdown()


def _resources(amounts: Mapping[str, float]) -> str:
    """Returns resources as the flag has them: CPU=1,TPU=4."""
    return ",".join(f"{name}={amount:g}" for name, amount in amounts.items())
