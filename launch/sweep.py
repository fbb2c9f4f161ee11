"""Runs a study: every budget, fraction and seed of a grid, in worker processes."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Literal, TypeVar

from launch import borrowing, checks, command, executing, grid, packs, running
from launch.executors.task import Mates, no_mates
from scaling import config, presets
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
    """Searched states of every run of a `path` design, or of fraction 1."""
    out: pathlib.Path = pathlib.Path("results")
    """Directory of the study, or gs://BUCKET/FOLDER, s3://BUCKET/FOLDER
    (docs/cloud.md)."""
    parallel: int | None = None
    """Runs at a time, each in a worker process (default: one for each core; one on an
    accelerator, on a mesh of several devices, and in each of several processes; with
    another executor as many as there is room for, at most 64)."""
    pack_seeds: bool = False
    """Make the seeds of a cell side by side as one program, spread over the devices,
    which fills an accelerator where networks are small (docs/packing.md)."""
    where: executing.FlatWhere = executing.HERE
    data: borrowing.FlatData = borrowing.NO_DATA
    how: running.FlatRunning = running.AS_USUAL
    dry_run: bool = False
    """Print the plan and stop."""
    settings: command.FlatSettings


def fractions_of(flags: Sweep) -> tuple[float, ...]:
    """Returns the fractions that the flags ask for; none in a path design.

    Raises:
      ValueError: if they are not written by their grammar.
    """
    if flags.design == "path":
        return ()
    preset = presets.preset(flags.preset)
    return grid.fractions(_given(flags.fractions, preset.fractions))


def cells_of(flags: Sweep, bound: borrowing.Bound) -> list[config.Cell]:
    """Returns the runs that the flags ask for.

    Raises:
      ValueError: if the grid is not written by its grammar, or flags contradict.
    """
    preset = presets.preset(flags.preset)
    seeds = grid.seeds(_given(flags.seeds, preset.seeds), flags.first_seed)
    budgets = grid.budgets(_given(flags.budgets, preset.budgets))
    if flags.design == "path":
        settings = flags.settings
        per_step = registry.frames_per_step(settings.env, settings.protocol)
        cells = grid.path(budgets, _searches(flags), seeds, per_step)
        return cells + grid.CONTROLS[flags.control](cells)
    fractions = fractions_of(flags)
    cells = grid.factorial(budgets, [f for f in fractions if f < 1], seeds)
    cells += grid.CONTROLS[flags.control](cells)
    if 1 not in fractions:
        _refuse_searches(flags)
        return cells
    sizes = borrowing.budgets(bound, flags.budgets, "--budgets")
    return cells + grid.offline(sizes, borrowing.searches(flags.searches), seeds)


def sweep(argv: Sequence[str]) -> int:
    """Runs the study that the flags describe; returns the exit status.

    Raises:
      ValueError: if something asked for is impossible; nothing is written then.
    """
    flags = command.parse(Sweep, argv, DESCRIPTION)
    checks.check_settings(flags.settings)
    executing.check(flags.where, flags.how)
    writes, executor = not flags.dry_run, flags.where.executor
    with running.here(flags, flags.how, writes, executor) as local:
        return _sweep(local)


def _sweep(flags: Sweep) -> int:
    """Runs the study in a directory of this machine."""
    bound = borrowing.bind(flags.settings, flags.data, fractions_of(flags))
    cells = cells_of(flags, bound)
    bound, mates = _packed(flags, bound, cells)
    asked = running.Asked(
        bound, flags.data, cells, flags.preset, flags.design, flags.out
    )

    execute = functools.partial(executing.execute, flags.where, flags.how, flags.out)
    return running.carry_out(
        asked,
        flags.how,
        None if flags.dry_run else execute,
        executing.parallel(flags.where, flags.parallel),
        executing.part(flags.where),
        mates,
    )


def _packed(
    flags: Sweep, bound: borrowing.Bound, cells: Sequence[config.Cell]
) -> tuple[borrowing.Bound, Mates]:
    """Returns which runs are made side by side, and what the plan must say of it.

    Raises:
      ValueError: if none can be.
    """
    if not flags.pack_seeds:
        return bound, no_mates
    how = flags.how
    packs.check(flags.where.executor, how.mesh, how.processes, how.track)
    warnings = [*bound.warnings, *packs.warnings(bound.settings, cells)]
    return bound._replace(warnings=warnings), packs.seeds_of_a_cell


def _given(flag: T | None, default: T) -> T:
    """Returns the flag's value, the preset's where it was not given."""
    return default if flag is None else flag


def _refuse_searches(flags: Sweep) -> None:
    if flags.searches is not None:
        raise ValueError(
            f"--searches {flags.searches} fixes the searches of a path design or of "
            "fraction 1; leave it out or add --design path."
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


if __name__ == "__main__":
    command.run(sweep, GO_ON)
