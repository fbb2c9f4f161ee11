"""Measures how fast the program is on this machine, and against what it could be."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import rich.console

from launch import (
    benchmark_display,
    benchmark_report,
    benchmark_workloads,
    checks,
    command,
    display,
    grid,
    measure,
)
from scaling import mixing

DESCRIPTION = """Measures search, learner, environments, whole iterations, evaluation,
checkpoints and a short run, with the operations that they make a second and their share
of this machine's matrix products; and how far bfloat16 is from float32.

Figures are medians of repeats, without compilation, which is told apart. They are kept
for plan.py in the user's cache. Other work on the machine makes them wrong."""
GO_ON = "Nothing is kept of it."
GROWTH = "growth"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Benchmark:
    """The flags of `benchmark.py`."""

    preset: command.PresetName
    """Settings of the workload `given`; the other flags override them."""
    workload: str = "demo,midsize"
    """What to measure: demo, midsize, paper (minutes on a CPU), or given, the settings
    of --preset and the flags of all settings."""
    only: str | None = None
    """Parts to measure, of search, learner, environment, iteration, evaluation,
    checkpoint, run, precision (default: all); growth: none but what --growth asks
    for."""
    fractions: str = "0,0.5,0.95"
    """Shares of searched states that are stored ones, of the iterations."""
    frames: str | None = None
    """Environment frames of the runs whose calls are measured (default: the
    workload's); they size the stores."""
    first_call: int | None = None
    """Calls of a run before those that are measured (default: the workload's)."""
    calls: int | None = None
    """Calls of a repeat (default: as many as suit --seconds)."""
    lanes: int | None = None
    """Rows of the search that is measured alone (default: the workload's)."""
    batch: str | None = None
    """Batches of the learner that is measured alone, as 64,256 (default: the
    workload's)."""
    repeats: int = 5
    """Figures that a median is taken of."""
    seconds: float = 5.0
    """Seconds for the repeats of one measurement; slow ones take longer."""
    json: pathlib.Path | None = None
    """File for all figures, as JSON."""
    calibration: pathlib.Path | None = None
    """File of figures for plan.py (default: calibration.json in the user's cache)."""
    profile: pathlib.Path | None = None
    """Directory for JAX traces of some calls of each iteration; the table has what
    share of their time the parts of a call are at work."""
    growth: pathlib.Path | None = None
    """SVG file for a plot of time against lanes, simulations and stored steps, of the
    first workload; a CSV file of the same name goes beside it."""
    settings: command.FlatSettings


def benchmark(argv: Sequence[str]) -> int:
    """Measures what the flags ask for; returns the exit status.

    Raises:
      ValueError: if something asked for is impossible.
    """
    flags = command.parse(Benchmark, argv, DESCRIPTION)
    workloads, parts = workloads_of(flags), parts_of(flags)
    fractions = grid.fractions(flags.fractions)
    _check(flags, fractions, workloads)
    effort, load = measure.Effort(flags.repeats, flags.seconds), measure.load()
    console = display.console()
    _start()
    from launch import benchmark_machine, benchmark_parts  # late: they load JAX

    peak = benchmark_machine.measure_peak(effort)
    report = benchmark_report.begin(benchmark_machine.describe(), load, peak)
    benchmark_display.print_machine(console, report)
    asked = benchmark_parts.Asked(
        parts, fractions, effort, flags.calls, flags.first_call, flags.profile
    )
    for workload in workloads if parts else ():
        with _telling(console) as tell:
            found = benchmark_parts.measure_workload(
                workload, asked, peak["flops_per_s"], tell
            )
        report["workloads"][workload.name] = found
        report["load"]["after"] = measure.load()
        benchmark_display.print_workload(console, workload.name, found)
        _keep(flags, report)
    _end(console, flags, report)
    if flags.growth is not None:
        _grow(console, flags.growth, workloads[0], effort)
    return 0


def workloads_of(flags: Benchmark) -> list[benchmark_workloads.Workload]:
    """Returns what is measured, with sizes that were given by flags.

    Raises:
      ValueError: if there is no such workload, or a size is out of range.
    """
    found = []
    for name in flags.workload.split(","):
        workload = benchmark_workloads.workload(name.strip(), flags.settings)
        if flags.frames is not None:
            frames = grid.count(flags.frames, "--frames")
            workload = dataclasses.replace(workload, frames=frames)
        if flags.lanes is not None:
            workload = dataclasses.replace(workload, lanes=flags.lanes)
        if flags.batch is not None:
            batches = grid.budgets(flags.batch, "--batch")
            workload = dataclasses.replace(workload, batches=batches)
        found.append(workload)
    return found


def parts_of(flags: Benchmark) -> tuple[str, ...]:
    """Returns the parts that are measured, in their order.

    Raises:
      ValueError: if there is none of that name.
    """
    if flags.only is None:
        return benchmark_report.PARTS
    wanted = {name.strip() for name in flags.only.split(",")}
    known = {*benchmark_report.PARTS, *([GROWTH] if flags.growth else [])}
    if unknown := sorted(wanted - known):
        raise ValueError(
            f"--only has {', '.join(map(repr, unknown))}; choose from "
            f"{', '.join(benchmark_report.PARTS)}, or {GROWTH} with --growth FILE.svg."
        )
    return tuple(part for part in benchmark_report.PARTS if part in wanted)


def _check(
    flags: Benchmark,
    fractions: Sequence[float],
    workloads: Sequence[benchmark_workloads.Workload],
) -> None:
    """Refuses what cannot be measured, and files that cannot be written.

    Raises:
      ValueError: naming the flag.
    """
    _check_numbers(flags)
    _check_files(flags)
    if 1 in fractions:
        raise ValueError(
            f"--fractions {flags.fractions} has 1, which needs a data set to learn "
            "from; a call costs as much as one near it, as 0.95."
        )
    for workload in workloads:
        checks.check_settings(workload.settings)
        mixing.check(workload.settings, fractions)
    checks.check_installed()


def _check_numbers(flags: Benchmark) -> None:
    least = {"repeats": 1, "calls": 1, "lanes": 1, "first_call": 0}
    for name, smallest in least.items():
        number = getattr(flags, name)
        if number is not None and number < smallest:
            raise ValueError(
                f"--{name.replace('_', '-')} is {number}; use {smallest} or more."
            )
    if not 0 < flags.seconds < float("inf"):
        raise ValueError(f"--seconds is {flags.seconds}; use a few, as 5.")


def _check_files(flags: Benchmark) -> None:
    for name in ("json", "growth"):
        path = getattr(flags, name)
        if path is not None and not path.parent.is_dir():
            raise ValueError(
                f"--{name} {path} is in a directory that does not exist; make it, or "
                "choose another."
            )
    if flags.growth is not None and flags.growth.suffix != ".svg":
        raise ValueError(f"--growth {flags.growth} is drawn as SVG; call it NAME.svg.")


def _start() -> None:
    """Prepares JAX, without the cache that would hide how long compiling takes."""
    from scaling import sharding  # before JAX, whose notices it silences

    sharding.start()
    import jax

    jax.config.update("jax_enable_compilation_cache", False)


@contextlib.contextmanager
def _telling(console: rich.console.Console) -> Iterator[Callable[[str], None]]:
    """Yields what shows what is being measured: a line that changes, or many."""
    if not console.is_terminal:
        yield lambda what: console.print(f"Measuring {what} …", markup=False)
        return
    with console.status("") as status:
        yield lambda what: status.update(f"Measuring {what} …")


def _keep(flags: Benchmark, report: dict[str, Any]) -> None:
    """Writes the report, and the calibration with what it had before."""
    path = flags.calibration or benchmark_report.default_file()
    benchmark_report.write(
        path, benchmark_report.merged(benchmark_report.read(path), report)
    )
    if flags.json is not None:
        benchmark_report.write(flags.json, report)


def _end(
    console: rich.console.Console, flags: Benchmark, report: dict[str, Any]
) -> None:
    """Says what to beware of, and where the figures are."""
    if note := benchmark_display.load_note(report):
        console.print(f"Warning: {note}", style="yellow", soft_wrap=True)
    if report["workloads"]:
        path = flags.calibration or benchmark_report.default_file()
        console.print(f"Kept for plan.py: {path}", soft_wrap=True, markup=False)


def _grow(
    console: rich.console.Console,
    path: pathlib.Path,
    workload: benchmark_workloads.Workload,
    effort: measure.Effort,
) -> None:
    """Measures and draws how the time of a searched state grows."""
    from launch import benchmark_growth, benchmark_plot

    with _telling(console) as tell:
        points = benchmark_growth.measure_growth(workload, effort, tell)
    benchmark_plot.write(points, workload.name, path)
    console.print(f"Growth: {path}", soft_wrap=True, markup=False)


if __name__ == "__main__":
    command.run(benchmark, GO_ON)
