"""Runs a study: every budget, fraction and seed of a grid, in worker processes."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Literal, TypeVar

from launch import (
    checks,
    command,
    display,
    grid,
    interruption,
    keeper,
    progress,
    study,
)
from launch.executors import local, together
from launch.executors.task import Task
from scaling import config, execution, hardware, peers, presets
from scaling.envs import registry

DESCRIPTION = """Runs a study: every budget, fraction and seed of a grid.

Numbers are listed as A,B,C or as LO..HI[:N], N geometric points (default 8). Runs
that are finished are skipped and others go on from their last checkpoint, so the same
command goes on where it stopped, also beside itself on other machines that share the
directory; new budgets, fractions or seeds extend the study. The exit status is 75
after SIGTERM: start it again."""
T = TypeVar("T")
GO_ON = """Finished runs are kept, and what was at work is saved as far as it came;
the same command goes on from there.""".replace("\n", " ")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sweep:
    """The flags of `sweep.py`."""

    preset: command.PresetName
    """Settings and grid to start from; the other flags override them."""
    budgets: str | None = None
    """Environment frames of the runs, as 1e5..2e8 or 1e5,3e5 (default: the
    preset's)."""
    fractions: str | None = None
    """Shares of searched states that are stored ones, as 0,0.5,0.95 (default: the
    preset's)."""
    seeds: int | None = None
    """How many seeds each cell gets (default: the preset's)."""
    first_seed: int = 0
    """The first seed; the others follow."""
    control: Literal["none", "updates"] = "none"
    """`updates`: for each cell with a fraction above 0 also a run at 0 with the same
    frames and the same number of updates."""
    design: Literal["factorial", "path"] = "factorial"
    """`factorial`: every budget with every fraction; `path`: every run searches the
    same number of states, and its budget gives the fraction."""
    searches: str | None = None
    """Searched states of every run of a `path` design."""
    out: pathlib.Path = pathlib.Path("results")
    """Directory of the study."""
    parallel: int | None = None
    """Worker processes (default: one for each core; one on an accelerator, on a mesh
    of several devices, and in each of several processes)."""
    mesh: hardware.Mesh = hardware.ALL_DEVICES
    processes: command.FlatProcesses = hardware.ONE_PROCESS
    attempts: command.FlatAttempts = command.EVERY_ATTEMPT
    checkpoints: command.FlatCheckpoints = execution.BY_TIME
    dry_run: bool = False
    """Print the plan and stop."""
    settings: command.FlatSettings


def cells_of(flags: Sweep) -> list[config.Cell]:
    """Returns the runs that the flags ask for.

    Raises:
      ValueError: if the grid is not written by its grammar, or flags contradict.
    """
    preset = presets.preset(flags.preset)
    seeds = grid.seeds(_given(flags.seeds, preset.seeds), flags.first_seed)
    budgets = grid.budgets(
        flags.budgets if flags.budgets is not None else preset.budgets
    )
    settings = flags.settings
    if flags.design == "factorial":
        _refuse_searches(flags)
        fractions = grid.fractions(_given(flags.fractions, preset.fractions))
        cells = grid.factorial(budgets, fractions, seeds)
    else:
        per_step = registry.frames_per_step(settings.env, settings.protocol)
        cells = grid.path(budgets, _searches(flags), seeds, per_step)
    return cells + grid.CONTROLS[flags.control](cells)


def sweep(argv: Sequence[str]) -> int:
    """Runs the study that the flags describe; returns the exit status.

    Raises:
      ValueError: if something asked for is impossible; nothing is written then.
    """
    flags = command.parse(Sweep, argv, DESCRIPTION)
    settings, out, rules = flags.settings, flags.out, command.rules_of(flags.attempts)
    checks.check_settings(settings)
    hardware.check(flags.mesh, flags.processes)
    checks.check_mesh(settings, flags.mesh)
    study.check(out, settings)
    planned = study.plan(settings, cells_of(flags), out)
    how = execution.execution(
        flags.design,
        flags.mesh,
        flags.checkpoints,
        presets.preset(flags.preset).checkpoint_seconds,
    )
    every = study.tasks(settings, planned, out, how)
    tasks = study.left(every, planned, rules)
    parallel = _parallel(flags, len(tasks))
    group = peers.Alone() if flags.dry_run else together.join(flags.processes, every)
    console = display.console(group)
    typical = registry.typical_episode_steps(settings.env)
    display.print_plan(console, planned, typical, rules)
    checks.check_installed()
    if flags.dry_run:
        return 0
    if group.first:
        study.claim(out, settings)
    with keeper.disk(out), progress.display_for(console, tasks, parallel) as show:
        keep = keeper.Keeper(out, show, study.left_failed(every, planned, rules))
        left = _execute(flags, tasks, every, keep, group)
    group.leave()
    return keeper.close(console, out, keep.failed, left) if group.first else 0


def _execute(
    flags: Sweep,
    tasks: Sequence[Task],
    every: Sequence[Task],
    keep: keeper.Keeper,
    group: peers.Alone,
) -> Sequence[Task]:
    """Makes the runs; returns those that are left for a later call."""
    rules, grace = command.rules_of(flags.attempts), flags.attempts.grace
    if not hardware.several(flags.processes):
        parallel = _parallel(flags, len(tasks))
        return local.execute(tasks, keep, parallel=parallel, rules=rules, grace_s=grace)
    with interruption.deferred(grace) as stop:
        together.execute(tasks, every, keep, group, rules=rules, stop=stop)
    return []


def _given(flag: T | None, default: T) -> T:
    """Returns the flag's value, the preset's where it was not given."""
    return default if flag is None else flag


def _refuse_searches(flags: Sweep) -> None:
    if flags.searches is not None:
        raise ValueError(
            f"--searches {flags.searches} fixes the searches of a path design; leave "
            "it out or add --design path."
        )


def _searches(flags: Sweep) -> int:
    """Returns the searches of a path design."""
    if flags.fractions is not None:
        raise ValueError(
            f"--fractions {flags.fractions} cannot be chosen in a path design, where "
            "budget and searches give the fraction; leave it out or use --design "
            "factorial."
        )
    if flags.searches is None:
        raise ValueError(
            "A path design needs the number of searched states of every run; give it "
            "with --searches, for example --searches 1e7."
        )
    return grid.count(flags.searches, "--searches")


def _parallel(flags: Sweep, tasks: int) -> int:
    if flags.parallel is None:
        return local.default_parallel(tasks, flags.mesh)
    if flags.parallel < 1:
        raise ValueError(
            f"--parallel is the number of worker processes; got {flags.parallel}, use "
            "at least 1."
        )
    return max(1, min(flags.parallel, tasks))


if __name__ == "__main__":
    command.run(sweep, GO_ON)
