"""Says what a study will take before anything runs."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

from launch import (
    benchmark_machine,
    benchmark_report,
    borrowing,
    checks,
    command,
    display,
    planning_display,
    planning_forecast,
    planning_targets,
    running,
    study,
    sweep,
)
from launch.executors import local
from scaling import hardware

DESCRIPTION = """Says what a study will take: searched states, updates, operations,
memory and hours of every cell, on this machine from the figures of launch/benchmark.py
and on named hardware from a model. It takes the flags of sweep.py and runs nothing."""
GO_ON = "Nothing was written."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan(sweep.Sweep):
    """The flags of `plan.py`: those of `sweep.py`, and these."""

    target: str | None = None
    """Hardware to model the study on, as tpu:v5e-16,gpu:h100:8."""
    max_hours: float | None = None
    """Refuse a plan that takes more hours than this: of the target, if one is given
    (the largest of several), else of this machine."""
    prices: pathlib.Path | None = None
    """Your prices of a chip for an hour, for costs: JSON as {"tpu:v5e": 1.2}, or CSV
    with the columns target and price."""
    dry_run: Annotated[bool, tyro.conf.Suppress] = True
    """A plan is nothing else."""
    calibration: pathlib.Path | None = None
    """Figures of this machine (default: calibration.json in the user's cache)."""


def plan(argv: Sequence[str]) -> int:
    """Prints what the study takes; returns the exit status.

    Raises:
      ValueError: if something asked for is impossible, or takes more than allowed.
    """
    flags = command.parse(Plan, argv, DESCRIPTION)
    checks.check_settings(flags.settings)
    with running.here(flags, flags.how, False, flags.where.executor) as local:
        return _plan(local)


def _plan(flags: Plan) -> int:
    """Plans with directories of this machine."""
    hardware.check(flags.how.mesh, flags.how.processes)
    checks.check_mesh(flags.settings, flags.how.mesh)
    rules = running.rules_of(flags.how.attempts)
    wanted = planning_targets.parse(flags.target) if flags.target else []
    prices = planning_targets.read_prices(flags.prices) if flags.prices else {}
    path = flags.calibration or benchmark_report.default_file()
    calibration = benchmark_report.read(path)
    bound = borrowing.bind(flags.settings, flags.data, sweep.fractions_of(flags))
    settings = bound.settings
    study.check(flags.out, settings)
    planned = study.plan(settings, sweep.cells_of(flags, bound), flags.out)
    done = {"finished"} if rules.failed_rows == "retry" else {"finished", "failed"}
    found = planning_forecast.forecast(
        settings, planned, done, wanted, prices, calibration
    )
    left = sum(each.state not in done for each in planned)
    parallel = local.parallel(flags.parallel, left, flags.how.mesh)
    console, machine = display.console(), calibration and calibration["machine"]
    display.print_plan(console, planned, settings, rules, bound.warnings)
    planning_display.print_forecast(console, found, machine, parallel)
    for warning in warnings(calibration, parallel) if found.costs else ():
        console.print(f"Warning: {warning}", style="yellow", soft_wrap=True)
    if flags.max_hours is not None:
        check_hours(found, flags.max_hours, parallel)
    return 0


def warnings(calibration: dict[str, Any] | None, parallel: int) -> list[str]:
    """Returns a sentence for each thing that makes the hours here unlike the real ones.

    Args:
      calibration: that they are computed with.
      parallel: runs at a time.
    """
    if calibration is None:
        return []
    machine, load = calibration["machine"], calibration["load"]["before"]
    cores, found = len(os.sched_getaffinity(0)), []
    each = max(1, cores // parallel)
    if machine["processor"] != benchmark_machine.processor():
        found.append(
            f"the calibration is of another machine ({machine['processor']}); run "
            "launch/benchmark.py here."
        )
    elif machine["cores"] != each:
        found.append(
            f"the calibration was taken on {machine['cores']} cores, and each of "
            f"{parallel} runs at a time has {each}; run launch/benchmark.py on {each} "
            f"(taskset -c 0{f'-{each - 1}' if each > 1 else ''})."
        )
    if load > 0.3 * machine["cores_of_machine"]:
        found.append(
            f"the machine was busy when the calibration was taken (load {load:.2g}); "
            "runs will be faster than these hours."
        )
    return found


def check_hours(found: planning_forecast.Study, most: float, parallel: int) -> None:
    """Refuses a study that takes more hours than it may.

    Raises:
      ValueError: if it does, if nothing is known of its hours, or `most` is none.
    """
    if not 0 < most < float("inf"):
        raise ValueError(f"--max-hours is {most}; give a number of hours above 0.")
    takes = {
        target.name: found.target_hours(index)
        for index, target in enumerate(found.targets)
    }
    if not takes:
        if found.hours is None:
            raise ValueError(
                "--max-hours needs the figures of this machine, and there are none; "
                "run python launch/benchmark.py, or name hardware with --target."
            )
        takes = {"this machine": found.hours / parallel}
    where = max(takes, key=lambda name: takes[name])
    if takes[where] > most:
        raise ValueError(
            f"The study takes about {planning_display.hours(takes[where])} h on "
            f"{where}, more than --max-hours {most:g}; give fewer budgets, fractions "
            "or seeds, or allow more."
        )


if __name__ == "__main__":
    command.run(plan, GO_ON)
