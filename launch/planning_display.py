"""The forecast of a study, printed."""

from collections.abc import Iterator
from typing import Any

import rich.box
import rich.console
import rich.table

from launch import compile_report, display, planning_forecast, planning_targets

_UNITS = (("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6))


def print_forecast(
    out: rich.console.Console,
    study: planning_forecast.Study,
    machine: dict[str, Any] | None,
    parallel: int,
) -> None:
    """Prints what a run of each cell takes, and what is left of the study.

    Args:
      out: where to.
      study: its forecast.
      machine: that the calibration is of; None: there is none.
      parallel: runs at a time on this machine.
    """
    table = rich.table.Table(
        title="A run of each cell",
        box=rich.box.SIMPLE_HEAD,
        pad_edge=False,
        title_justify="left",
    )
    heads = ["frames", "fraction", "to run", "operations", "memory", "time here"]
    for target in study.targets:
        heads.append(f"{target.name}, chip-hours")
    for head in heads:
        table.add_column(head, justify="right")
    for cell in study.cells:
        table.add_row(*_row(cell))
    out.print(table)
    for line in (*_here(study, machine, parallel), *_there(study)):
        out.print(line, soft_wrap=True, markup=False)


def _row(cell: planning_forecast.Forecast) -> tuple[str, ...]:
    control = cell.cell.control_for
    fraction = f"{cell.cell.fraction:.6g}"
    return (
        f"{cell.cell.frames:,}",
        fraction if control is None else f"{fraction} (control of {control:.6g})",
        f"{cell.left} of {cell.runs}",
        "?" if cell.operations is None else operations(cell.operations),
        "?" if cell.memory is None else display.size(cell.memory),
        "?" if cell.seconds is None else duration(cell.seconds),
        *(f"{hours(m.chip_hours)} on {m.devices}" for m in cell.modelled),
    )


def _here(
    study: planning_forecast.Study, machine: dict[str, Any] | None, parallel: int
) -> Iterator[str]:
    """Yields what is known of the hours on this machine."""
    total = study.flops
    states = sum(cell.account.searched * cell.left for cell in study.cells)
    updates = sum(cell.account.updates * cell.left for cell in study.cells)
    counted = f", {operations(total)}" if total else ""
    yield f"Left: {states:,} searched states, {updates:,} updates{counted}."
    if any(c.flops is not None and c.evaluation is None for c in study.cells):
        yield (
            "Operations and modelled hours are without evaluations: nobody has "
            "measured how long an episode of this environment is."
        )
    if study.costs is None or study.hours is None or machine is None:
        yield (
            "Hours on this machine are not known: run python launch/benchmark.py once, "
            "with --workload given and the same --preset and settings."
        )
        return
    seconds, compiling = 3600 * study.hours, study.shapes * study.costs.compiling
    at_once = f", {duration(seconds / parallel)} with {parallel} runs at a time"
    yield (
        f"This machine: {duration(seconds)} one after another"
        f"{at_once if parallel > 1 else ''}; {duration(compiling)} of it are to "
        f"compile for {study.shapes} sizes, unless that is cached. Figures: "
        f"{study.costs.source}, on {machine['devices']}."
    )


def _there(study: planning_forecast.Study) -> Iterator[str]:
    """Yields chip-hours and costs on the targets."""
    for index, target in enumerate(study.targets):
        chip_hours = study.chip_hours(index)
        price = planning_targets.price_of(study.prices, target)
        cost = "" if price is None else f", {chip_hours * price:,.2f} at {price:g} each"
        yield (
            f"{target.name}: {hours(chip_hours)} chip-hours{cost}; "
            f"{hours(study.target_hours(index))} h on {target.chips} chips with cells "
            f"side by side: {compile_report.MODEL_ONLY}."
        )
    if study.targets:
        yield (
            "Each run has the most chips that divide its shards and leave "
            f"{planning_targets.FEWEST_LANES} lanes a chip: give that number with "
            "--mesh.data."
        )


def operations(number: float) -> str:
    """Returns operations in the thousands that suit them, as `4.1 PFLOP`."""
    for prefix, size in _UNITS:
        if number >= size:
            return f"{number / size:.3g} {prefix}FLOP"
    return f"{number:.3g} FLOP"


def duration(seconds: float) -> str:
    """Returns a time as a person says it: `12 s`, `3.5 min`, `1,230 h`."""
    if seconds < 60:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.3g} min" if seconds < 3600 else f"{hours(seconds / 3600)} h"


def hours(number: float) -> str:
    """Returns hours with three figures, as `0.0123` or `1,230`."""
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"
