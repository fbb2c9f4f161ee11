"""What the commands that make runs share: their flags, and the way from plan to rows.

Everything that can be refused is refused before anything is written.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, NamedTuple, TypeVar, cast

import tyro

from launch import (
    attempt,
    borrowing,
    checks,
    display,
    interruption,
    keeper,
    packs,
    progress,
    study,
    wanted,
)
from launch.executors import local, together
from launch.executors.task import Mates, Task, no_mates
from scaling import config, execution, hardware, peers, presets
from scaling.buckets import addresses, flags, keeping, mirror
from scaling.tracking import packages


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attempts:
    """How often a run is tried, and how it is stopped."""

    max_attempts: int = 5
    """Attempts in a row that may fail without getting further than a checkpoint
    before; then the run gets a failed row."""
    retry_failed: bool = False
    """Run what has a failed row again."""
    grace: float = 60.0
    """Seconds that a run has to save when the command is interrupted."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Running:
    """How runs are made; none of it is a setting of the study."""

    mesh: hardware.Mesh = dataclasses.field(default_factory=hardware.Mesh)
    deterministic: bool = False
    """Use only operations that give the same bits every time, so that a run that was
    interrupted equals one that was not on a GPU too; slower there. The row's
    `hardware` says so."""
    processes: Annotated[hardware.Processes, tyro.conf.arg(name="")] = (
        dataclasses.field(default_factory=hardware.Processes)
    )
    attempts: Annotated[Attempts, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=Attempts
    )
    checkpoints: Annotated[execution.Checkpoints, tyro.conf.arg(name="")] = (
        dataclasses.field(default_factory=execution.Checkpoints)
    )
    track: str = "tensorboard"
    """Where the curves of a run go besides metrics.jsonl: `tensorboard`, `wandb` (kept
    offline unless WANDB_MODE says otherwise), both as A,B, or `none`."""

    time_search_seconds: float = execution.TIME_SEARCH_S
    """Seconds between timings of the search by itself, from which metrics.jsonl has
    its share of a run's time; shorter runs have none."""
    copy_seconds: float = keeping.COPY_S
    """Seconds between copies to the bucket, where --out is gs://… or s3://…."""


FlatRunning = Annotated[Running, tyro.conf.arg(name="")]
AS_USUAL = Running()
T = TypeVar("T")


@contextlib.contextmanager
def here(given: T, how: Running, writes: bool, executor: str = "local") -> Iterator[T]:
    """Yields the flags of a command with directories here in place of addresses.

    Args:
      given: the flags, with `out`.
      how: runs are made.
      writes: whether the command writes to `out`.
      executor: that makes the runs.

    Raises:
      ValueError: if a bucket cannot be used, or not in this way.
    """
    out = addresses.address(cast(Any, given).out)
    if out is not None and (executor != "local" or how.processes.coordinator):
        raise ValueError(
            f"--out {out} is a bucket, which one machine keeps a copy of; for several "
            "give a directory that they share, such as NFS (docs/cloud.md)."
        )
    _check_seconds("copy-seconds", how.copy_seconds)
    keeps, without = (("out",), None) if writes else ((), mirror.STATES)
    with flags.here(given, keeps, without, how.copy_seconds) as local:
        yield local


def _check_seconds(flag: str, seconds: float) -> None:
    if not 0 < seconds < float("inf"):
        raise ValueError(
            f"--{flag} is a number of seconds; got {seconds}, use 300 or so."
        )


class Asked(NamedTuple):
    """The runs that a command is asked for."""

    bound: borrowing.Bound  # settings, checked, and the data in them
    data: borrowing.Data
    cells: Sequence[config.Cell]
    preset: str
    design: str
    out: pathlib.Path


class Work(NamedTuple):
    """What an executor is given."""

    left: Sequence[Task]  # to make
    every: Sequence[Task]  # of what was asked for
    keep: keeper.Keeper
    group: peers.Alone
    rules: attempt.Rules
    parallel: int  # at a time; mates count as one
    mates: Mates = no_mates


Execute = Callable[[Work], Sequence[Task]]  # returns what is left for a later call


class Part(NamedTuple):
    """What part this process has in making the runs."""

    check: Callable[[hardware.Mesh, hardware.Processes], None]  # refuses what can't be
    join: Callable[[hardware.Processes, Sequence[Task]], peers.Alone]


HERE = Part(hardware.check, together.join)


def carry_out(
    asked: Asked,
    running: Running,
    execute: Execute | None,
    parallel: int | None,
    part: Part = HERE,
    mates: Mates = no_mates,
) -> int:
    """Plans, shows and makes runs; returns the exit status.

    Args:
      asked: the runs.
      running: how they are made.
      execute: makes them. None: the plan is shown and nothing is written.
      parallel: runs at a time; None: as many as suit this machine.
      part: of this process in it.
      mates: which runs are made side by side.

    Raises:
      ValueError: if something asked for is impossible; nothing is written then.
    """
    settings, out = asked.bound.settings, asked.out
    rules = rules_of(running.attempts)
    part.check(running.mesh, running.processes)
    checks.check_mesh(settings, running.mesh)
    study.check(out, settings)
    planned = study.plan(settings, asked.cells, out)
    every = study.tasks(settings, planned, out, _how(asked, running))
    left = study.left(every, planned, rules)
    groups = packs.groups(left, mates)
    parallel = local.parallel(parallel, len(groups), running.mesh)
    if running.deterministic:
        hardware.make_deterministic()
    dry = execute is None
    group = peers.Alone() if dry else part.join(running.processes, every)
    console = display.console(group)
    display.print_plan(console, planned, settings, rules, asked.bound.warnings)
    checks.check_installed()
    if execute is None:
        return 0
    if group.first:
        study.claim(out, settings)
    shown = parallel * max(map(len, groups), default=1)
    with keeper.disk(out), progress.display_for(console, left, shown) as show:
        if group.first:
            wanted.note(out, asked.cells)
        keep = keeper.Keeper(out, show, study.left_failed(every, planned, rules))
        later = execute(Work(left, every, keep, group, rules, parallel, mates))
    group.leave()
    return keeper.close(console, out, keep.failed, later) if group.first else 0


def in_this_process(work: Work, grace_s: float) -> Sequence[Task]:
    """Makes the runs here, with the other processes if there are any."""
    with interruption.deferred(grace_s) as stop:
        together.execute(
            work.left,
            work.every,
            work.keep,
            work.group,
            rules=work.rules,
            stop=stop,
        )
    return []


def rules_of(flags: Attempts) -> attempt.Rules:
    """Returns when a run is worth another attempt.

    Raises:
      ValueError: if a number is out of range.
    """
    if flags.max_attempts < 1:
        raise ValueError(
            f"--max-attempts is the number of attempts in a row that may fail; got "
            f"{flags.max_attempts}, use at least 1."
        )
    if not 0 <= flags.grace < float("inf"):
        raise ValueError(
            f"--grace is a number of seconds; got {flags.grace}, use 0 or more."
        )
    failed_rows = "retry" if flags.retry_failed else "keep"
    return attempt.Rules(max_attempts=flags.max_attempts, failed_rows=failed_rows)


def _how(asked: Asked, running: Running) -> execution.Execution:
    how = execution.execution(
        asked.design,
        running.mesh,
        running.checkpoints,
        presets.preset(asked.preset).checkpoint_seconds,
    )
    paths = {
        name: str(path.resolve())
        for name, path in dataclasses.asdict(asked.data).items()
        if path is not None
    }
    track = packages.parse(running.track)
    packages.check(track)
    every_s = running.time_search_seconds
    _check_seconds("time-search-seconds", every_s)
    return dataclasses.replace(how, track=track, time_search_seconds=every_s, **paths)
