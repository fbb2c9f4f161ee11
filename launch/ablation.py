"""Runs the ablation of unrolling, action selection and training target."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence

from launch import (
    ablation_columns,
    borrowing,
    checks,
    command,
    display,
    executing,
    grid,
    running,
    sweep,
)
from scaling import config, hardware

DESCRIPTION = """Runs the ablation of unrolling, action selection and training target.

Each column, a training target and a number of unrolled steps, is trained once for each
seed and evaluated by search, by policy and by value. It learns from a data set
(--dataset PATH --searches S) or online (--budget N --fraction F). Columns are studies
below --out; the same command goes on where it stopped. For the table and what each part
is worth: python analysis/ablation_table.py --results OUT."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ablation:
    """The flags of `ablation.py`."""

    preset: command.PresetName
    """Settings to start from; the other flags override them."""
    columns: str = ablation_columns.OF_THE_PAPER
    """Columns, as TARGET:UNROLL with a target out of supervised, crr and reanalyse and
    a number of unrolled steps (default: those of the paper)."""
    budget: str | None = None
    """Environment frames of every run; with --dataset how much of it is used
    (default: all)."""
    fraction: float | None = None
    """Share of searched states that are stored ones, below 1, where runs interact."""
    searches: str | None = None
    """Searched states of every run that learns from a data set."""
    seeds: int = 3
    """How many seeds each column gets."""
    first_seed: int = 0
    """The first seed; the others follow."""
    out: pathlib.Path = pathlib.Path("results/ablation")
    """Directory of the columns, or gs://BUCKET/FOLDER, s3://BUCKET/FOLDER."""
    parallel: int | None = None
    """Runs at a time (default: as in launch/sweep.py)."""
    where: executing.FlatWhere = executing.HERE
    data: borrowing.FlatData = borrowing.NO_DATA
    how: running.FlatRunning = running.AS_USUAL
    dry_run: bool = False
    """Print the plans and stop."""
    settings: command.FlatSettings


def fraction_of(flags: Ablation) -> float:
    """Returns the fraction of all runs: 1 with a data set, else the one given.

    Raises:
      ValueError: if flags are missing or contradict each other.
    """
    if flags.data.dataset is not None:
        if flags.fraction not in (None, 1):
            raise ValueError(
                f"--fraction {flags.fraction} interacts, and --dataset "
                f"{flags.data.dataset} is learned from alone; leave one of them out."
            )
        return 1.0
    if flags.budget is None or flags.fraction is None:
        raise ValueError(
            "An ablation learns from a data set (--dataset PATH --searches 6e5) or "
            "online (--budget 1e4 --fraction 0.95); give one of these pairs."
        )
    grid.check_fraction(flags.fraction, "--fraction")
    if flags.fraction == 1:
        raise ValueError("--fraction 1 needs a data set; give it with --dataset PATH.")
    if flags.searches is not None:
        raise ValueError(
            f"--searches {flags.searches} is for a data set; online, --budget and "
            "--fraction say how much is searched: leave it out."
        )
    return flags.fraction + 0.0


def cells_of(flags: Ablation, bound: borrowing.Bound) -> list[config.Cell]:
    """Returns the runs of one column.

    Raises:
      ValueError: if the numbers are not written by their grammar.
    """
    seeds = grid.seeds(flags.seeds, flags.first_seed)
    fraction = fraction_of(flags)
    if fraction == 1:
        sizes = borrowing.budgets(bound, flags.budget, "--budget")
        cells = grid.offline(sizes, borrowing.searches(flags.searches), seeds)
    else:
        sizes = grid.budgets(flags.budget or "", "--budget")
        cells = grid.factorial(sizes, [fraction], seeds)
    if len(sizes) > 1:
        raise ValueError(
            f"--budget {flags.budget} lists several budgets; an ablation has one, so "
            "use another --out for each."
        )
    return cells


def asked_of(flags: Ablation) -> list[running.Asked]:
    """Returns what is asked for, column by column, all of it checked.

    Raises:
      ValueError: if something asked for is impossible.
    """
    checks.check_settings(flags.settings)
    executing.check(flags.where, flags.how)
    fraction, found = fraction_of(flags), []
    for column in ablation_columns.parse(flags.columns):
        settings = ablation_columns.settings_of(column, flags.settings, fraction < 1)
        bound = borrowing.bind(settings, flags.data, [fraction])
        asked = running.Asked(
            bound=bound,
            data=flags.data,
            cells=cells_of(flags, bound),
            preset=flags.preset,
            design="factorial",
            out=flags.out / column.name,
        )
        found.append(asked)
    return found


def ablation(argv: Sequence[str]) -> int:
    """Runs the ablation that the flags describe; returns the exit status.

    Raises:
      ValueError: if something asked for is impossible; nothing is written then.
    """
    flags = command.parse(Ablation, argv, DESCRIPTION)
    if hardware.several(flags.how.processes):
        raise ValueError(
            "The columns of an ablation are made in one process after another; with "
            "several processes run each with launch/sweep.py, --out DIR/TARGET-UNROLL."
        )
    writes, executor = not flags.dry_run, flags.where.executor
    with running.here(flags, flags.how, writes, executor) as local:
        return _ablation(local)


def _ablation(flags: Ablation) -> int:
    """Makes the columns in a directory of this machine."""
    console, left = display.console(), 0
    for asked in asked_of(flags):
        console.rule(asked.out.name)
        execute = functools.partial(
            executing.execute, flags.where, flags.how, asked.out
        )
        status = running.carry_out(
            asked,
            flags.how,
            None if flags.dry_run else execute,
            executing.parallel(flags.where, flags.parallel),
            executing.part(flags.where),
        )
        left = max(left, status)
    return left


if __name__ == "__main__":
    command.run(ablation, sweep.GO_ON)
