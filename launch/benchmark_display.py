"""A benchmark's figures, printed."""

from collections.abc import Iterator
from typing import Any

import rich.box
import rich.console
import rich.table

_BUSY = 0.3  # processes that want a core beside this one, for each core


def print_machine(out: rich.console.Console, report: dict[str, Any]) -> None:
    """Prints where the figures were taken, and its peak."""
    machine, peak = report["machine"], report["peak"]
    lines = (
        f"{machine['devices']} of {machine['cores_of_machine']}, "
        f"{machine['processor']}; jax {machine['jax']}; load "
        f"{report['load']['before']:.2g}",
        f"Matrix products of float32, {peak['side']} × {peak['side']}: "
        f"{peak['flops_per_s'] / 1e9:,.4g} GFLOP/s, the peak of the shares below",
    )
    for line in lines:
        out.print(line, soft_wrap=True, markup=False)


def print_workload(out: rich.console.Console, name: str, found: dict[str, Any]) -> None:
    """Prints the figures of one workload; `found` is its part of a report."""
    operations = found["operations"]
    title = (
        f"{name}: a searched state {operations['searched_state'] / 1e6:,.4g} MFLOP, an "
        f"update {operations['update'] / 1e9:,.4g} GFLOP"
    )
    table = rich.table.Table(
        title=title, box=rich.box.SIMPLE_HEAD, pad_edge=False, title_justify="left"
    )
    table.add_column("", no_wrap=True)
    for head in ("median", "spread", "rate", "GFLOP/s", "of peak", "compile"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows(found):
        table.add_row(*row)
    out.print(table)
    if found["note"]:
        out.print(f"{name}: {found['note']}.", soft_wrap=True, markup=False)


def rows(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yields the rows of a workload's table."""
    for one in found.get("search", ()):
        what = f"search of {one['lanes']} states × {one['simulations']} simulations"
        yield _row(what, one, f"{one['searched_states_per_s']:,.5g} states/s")
        yield "", "", "", f"{one['simulations_per_s']:,.5g} simulations/s", "", "", ""
        what = f"  × {one['time_of_bare_mctx']:.3f} of a bare call of mctx"
        bare = f"{one['bare_mctx_simulations_per_s']:,.5g} simulations/s"
        yield _row(what, one["bare_mctx"], bare)
    for one in found.get("learner", ()):
        rate = f"{one['updates_per_s']:,.4g} updates/s"
        yield _row(f"update of a batch of {one['batch']}", one, rate)
    for one in found.get("environment", ()):
        what = f"{one['environments']} environments"
        yield _row(what, one, f"{one['frames_per_s']:,.5g} frames/s")
    for one in found.get("iteration", ()):
        yield from _iteration(one)
    for one in found.get("evaluation", ()):
        steps = one["steps_of_an_episode"]
        what = f"{one['episodes']} episodes" + (f" of {steps} steps" if steps else "")
        yield _row(what, one, f"{one['episodes_per_s']:,.4g} episodes/s")
    for one in found.get("checkpoint", ()):
        yield _checkpoint("checkpoint of all", one["of_all"])
        yield _checkpoint("checkpoint of what changed", one)


def _iteration(one: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    what = (
        f"call at {one['fraction']:g}: {one['lanes']} lanes, {one['frames']:,} frames"
    )
    spread = (one["slowest_call_s"] - one["fastest_call_s"]) / one["call_s"]
    yield (
        what,
        _ms(one["call_s"]),
        f"{spread:.0%}",
        f"{one['searched_states_per_s']:,.5g} states/s",
        *_share(one),
        f"{one['compile_s']:.1f} s",
    )
    updates = one["updates_of_a_call"]
    yield (
        f"  without its {updates:.3g} updates",
        _ms(one["call_without_updates_s"]),
        *[""] * 5,
    )


def _row(what: str, one: dict[str, Any], rate: str) -> tuple[str, ...]:
    spread = (one["slowest_s"] - one["fastest_s"]) / one["median_s"]
    return (
        what,
        _ms(one["median_s"]),
        f"{spread:.0%}",
        rate,
        *_share(one),
        f"{one['compile_s']:.1f} s",
    )


def _share(one: dict[str, Any]) -> tuple[str, str]:
    if "flops_per_s" not in one:
        return "", ""
    return f"{one['flops_per_s'] / 1e9:,.4g}", f"{one['share_of_peak']:.0%}"


def _checkpoint(what: str, one: dict[str, Any]) -> tuple[str, ...]:
    held = f"{_ms(one['held_s'])} held"
    wrote = f"{_ms(one['wrote_s'])} beside, {one['bytes'] / 1e6:,.4g} MB"
    return what, held, "", wrote, "", "", ""


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.4g} ms"


def load_note(report: dict[str, Any]) -> str:
    """Returns a warning if others used the machine meanwhile, else nothing."""
    load, cores = report["load"], report["machine"]["cores_of_machine"]
    if load["before"] <= _BUSY * cores:
        return ""
    return (
        f"The load was {load['before']:.2g} on {cores} cores before anything was "
        "measured: others used the machine, and these figures are too low."
    )
