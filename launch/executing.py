"""Where the runs of a sweep are made: the flags, and what they choose.

Every executor takes tasks, a report, how many runs at a time, rules and grace, and
returns what is left for a later call. The services are imported only when chosen.
"""

import dataclasses
import importlib.util
import pathlib
import re
import shutil
from collections.abc import Sequence
from typing import Annotated, Literal

import tyro

from launch import running
from launch.executors import local
from launch.executors.task import Task
from scaling import hardware, peers

MOST = 64  # runs at a time where the service decides, and --parallel does not say
_SERVICE = {"ray": "ray", "slurm": "submitit"}  # by the name of the extra


@dataclasses.dataclass(frozen=True, kw_only=True)
class Where:
    """The executor of a sweep; none of it is a setting of the study."""

    executor: Literal["local", "ray", "slurm"] = "local"
    """`local`: worker processes on this machine. `ray`: the nodes of a Ray cluster.
    `slurm`: a job for every run. Both see --out at the same path as this machine."""
    hosts: int | None = None
    """Processes of one run, one a host (ray; default: 1)."""
    resources: str | None = None
    """What a run takes of each host (ray, slurm), as CPU=4,GPU=1 or TPU=4 (default:
    CPU=1)."""
    address: str | None = None
    """HOST:PORT of the Ray cluster (default: the one this machine is a node of)."""
    partition: str | None = None
    """Slurm's partition (default: the cluster's)."""
    time: str | None = None
    """Time limit of a Slurm job, as 2:00:00 or in minutes; a run that needs longer is
    saved and its job queued again (default: 60)."""
    sbatch: str | None = None
    """Further options of sbatch, as account=lab,qos=low."""
    detach: bool = False
    """Submit the Slurm jobs and end; launch/status.py shows how far they are."""


FlatWhere = Annotated[Where, tyro.conf.arg(name="")]
HERE = Where()
_ONLY = {
    "hosts": ("ray",),
    "resources": ("ray", "slurm"),
    "address": ("ray",),
    "partition": ("slurm",),
    "time": ("slurm",),
    "sbatch": ("slurm",),
    "detach": ("slurm",),
}


def check(where: Where, how: running.Running) -> None:
    """Refuses what cannot be, before anything is written.

    Args:
      where: the flags.
      how: the runs are made.

    Raises:
      ValueError: naming the flag, or the extra that is not installed.
    """
    _check_meant(where)
    if where.executor == "local":
        return
    coordinator = how.processes.coordinator
    if coordinator is not None:
        raise ValueError(
            f"--coordinator {coordinator} is for processes that are started by hand, "
            f"and --executor {where.executor} starts them; leave it out."
        )
    if where.hosts is not None and where.hosts < 1:
        raise ValueError(
            f"--hosts is the number of processes of a run; got {where.hosts}, use at "
            "least 1."
        )
    resources(where.resources)
    if where.executor == "slurm":
        _check_slurm(where, how)
    _check_installed(where)


def _check_meant(where: Where) -> None:
    """Refuses flags of another executor than the one that was chosen."""
    for name, executors in _ONLY.items():
        value = getattr(where, name)
        if value is None or value is False or where.executor in executors:
            continue
        given = f"--{name}" + ("" if value is True else f" {value}")
        raise ValueError(
            f"{given} is for --executor {' or '.join(executors)}, and this is "
            f"--executor {where.executor}; leave it out."
        )


def _check_slurm(where: Where, how: running.Running) -> None:
    options(where.sbatch)
    given, notice_s = minutes(where.time), _notice_s(how)
    if 60 * given < 2 * notice_s:
        raise ValueError(
            f"--time gives a job {given} minutes, and its run has to save {notice_s} s "
            "before they are over (--grace, and 30 s more); give it more."
        )


def _check_installed(where: Where) -> None:
    package = _SERVICE[where.executor]
    if importlib.util.find_spec(package) is None:
        raise ValueError(
            f"--executor {where.executor} needs the package {package}; install it with "
            f"pip install 'scaling-unplugged[{where.executor}]'."
        )
    if where.executor == "slurm" and shutil.which("sbatch") is None:
        raise ValueError(
            "There is no sbatch on this machine; use --executor slurm where Slurm jobs "
            "are submitted from."
        )


def _notice_s(how: running.Running) -> int:
    """Returns the seconds before the end of a Slurm job at which its run saves."""
    return round(how.attempts.grace) + 30


def resources(text: str | None) -> dict[str, float]:
    """Returns the amount of each resource, CPU always among them.

    Raises:
      ValueError: if they are not written as NAME=AMOUNT,….
    """
    found: dict[str, float] = {"CPU": 1}
    for part in [] if text is None else text.split(","):
        name, _, amount = part.strip().partition("=")
        if not name or not amount.isdigit() or int(amount) < 1:
            raise ValueError(
                f"--resources has {part.strip()!r}; write NAME=AMOUNT,… with whole "
                "amounts of at least 1, for example CPU=4,GPU=1."
            )
        found[name] = int(amount)
    return found


def minutes(text: str | None) -> int:
    """Returns the time limit of a Slurm job, in minutes; it is rounded up.

    Raises:
      ValueError: if it is not written as minutes, M:S, H:M:S or D-H:M:S.
    """
    if text is None:
        return 60
    found = re.fullmatch(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)|(\d+)", text)
    if found is None:
        raise ValueError(
            f"--time is {text!r}; write minutes, H:M:S or D-H:M:S, for example 2:00:00."
        )
    days, hours, mins, seconds, alone = (int(part or 0) for part in found.groups())
    return (days * 24 + hours) * 60 + mins + alone + (seconds > 0)


def options(text: str | None) -> dict[str, str]:
    """Returns further options of sbatch.

    Raises:
      ValueError: if they are not written as NAME=VALUE,….
    """
    found = {}
    for part in [] if text is None else text.split(","):
        name, _, value = part.strip().partition("=")
        if not name or not value:
            raise ValueError(
                f"--sbatch has {part.strip()!r}; write NAME=VALUE,… without dashes, "
                "for example account=lab,qos=low."
            )
        found[name] = value
    return found


def parallel(where: Where, asked: int | None) -> int | None:
    """Returns how many runs are made at a time; None: as many as suit this machine."""
    return MOST if asked is None and where.executor != "local" else asked


def part(where: Where) -> running.Part:
    """Returns what part this process has in making the runs."""
    return running.HERE if where.executor == "local" else _ELSEWHERE


def _check_elsewhere(mesh: hardware.Mesh, processes: hardware.Processes) -> None:
    # As for a run of several processes, whose devices are not all here.
    there = hardware.Processes(coordinator="there:1", process_id=0, num_processes=1)
    hardware.check(mesh, there)


_ELSEWHERE = running.Part(_check_elsewhere, lambda processes, every: peers.Alone())


def execute(
    where: Where, how: running.Running, out: pathlib.Path, work: running.Work
) -> Sequence[Task]:
    """Makes the runs where the flags say; returns what is left for a later call.

    Args:
      where: the flags, checked.
      how: the runs are made.
      out: directory of the study.
      work: what to make.
    """
    if where.executor == "ray":
        return _on_ray(where, how, work)
    if where.executor == "slurm":
        return _on_slurm(where, how, out, work)
    if hardware.several(how.processes):
        return running.in_this_process(work, how.attempts.grace)
    return local.execute(
        work.left,
        work.keep,
        parallel=work.parallel,
        rules=work.rules,
        grace_s=how.attempts.grace,
        mates=work.mates,
    )


def _on_ray(where: Where, how: running.Running, work: running.Work) -> Sequence[Task]:
    if not work.left:
        return []
    from launch.executors import ray_executor
    from launch.executors.ray_gang import Need

    return ray_executor.execute(
        work.left,
        work.keep,
        parallel=work.parallel,
        rules=work.rules,
        grace_s=how.attempts.grace,
        need=Need(
            where.hosts or 1, resources(where.resources), local.START, how.processes
        ),
        address=where.address or "auto",
    )


def _on_slurm(
    where: Where, how: running.Running, out: pathlib.Path, work: running.Work
) -> Sequence[Task]:
    if not work.left:
        return []
    from launch.executors import slurm_executor
    from launch.executors.slurm_queue import Limits, Queue

    limits = Limits(
        minutes(where.time),
        _notice_s(how),
        resources(where.resources),
        where.partition,
        options(where.sbatch),
    )
    run = slurm_executor.submit if where.detach else slurm_executor.execute
    return run(
        work.left,
        work.keep,
        parallel=work.parallel,
        rules=work.rules,
        grace_s=how.attempts.grace,
        queue=Queue(out),
        limits=limits,
    )
