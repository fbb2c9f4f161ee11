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


Row = tuple[str, ...]


def rows(found: dict[str, Any]) -> Iterator[Row]:
    """Yields the rows of a workload's table."""
    for part, show in _ROWS.items():
        for one in found.get(part, ()):
            yield from show(one)


def _search(one: dict[str, Any]) -> Iterator[Row]:
    what = f"search of {one['lanes']} states × {one['simulations']} simulations"
    yield _row(what, one, f"{one['searched_states_per_s']:,.5g} states/s")
    yield "", "", "", f"{one['simulations_per_s']:,.5g} simulations/s", "", "", ""
    what = f"  × {one['time_of_bare_mctx']:.3f} of a bare call of mctx"
    bare = f"{one['bare_mctx_simulations_per_s']:,.5g} simulations/s"
    yield _row(what, one["bare_mctx"], bare)


def _learner(one: dict[str, Any]) -> Iterator[Row]:
    rate = f"{one['updates_per_s']:,.4g} updates/s"
    yield _row(f"update of a batch of {one['batch']}", one, rate)


def _environment(one: dict[str, Any]) -> Iterator[Row]:
    what = f"{one['environments']} environments"
    yield _row(what, one, f"{one['frames_per_s']:,.5g} frames/s")


def _evaluation(one: dict[str, Any]) -> Iterator[Row]:
    steps = one["steps_of_an_episode"]
    what = f"{one['episodes']} episodes" + (f" of {steps} steps" if steps else "")
    yield _row(what, one, f"{one['episodes_per_s']:,.4g} episodes/s")


def _checkpoints(one: dict[str, Any]) -> Iterator[Row]:
    yield _checkpoint("checkpoint of all", one["of_all"])
    yield _checkpoint("checkpoint of what changed", one)


def _run(one: dict[str, Any]) -> Iterator[Row]:
    yield _row(f"a whole run of {one['calls']} calls", one, "")


def _iteration(one: dict[str, Any]) -> Iterator[Row]:
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
    what = f"  × {one['time_of_search']:.3f} of its searches by themselves"
    yield what, _ms(one["search_s"]), *[""] * 5
    if "traced_call_s" in one:
        yield "  traced, which takes time", _ms(one["traced_call_s"]), *[""] * 5
    for part, share in (one.get("at_work") or {}).items():
        yield f"    {part} at work", f"{share:.1%}", *[""] * 5


def _precision(one: dict[str, Any]) -> Iterator[Row]:
    errors = {
        "policy logits": one["policy_logits"],
        "value logits": one["value_logits"],
        "reward logits": one["reward_logits"],
        "gradient": one["gradient"],
        "root values of a search": one["searched_value"],
    }
    yield f"{one['precision']} against f32, errors of norms", *[""] * 6
    for what, error in errors.items():
        yield f"  {what}", f"{error:.2%}", *[""] * 5
    yield (
        "  total variation of its policies",
        f"{one['searched_policy']:.2%}",
        "",
        f"{one['same_action']:.1%} same actions",
        *[""] * 3,
    )


def _row(what: str, one: dict[str, Any], rate: str) -> Row:
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


def _checkpoint(what: str, one: dict[str, Any]) -> Row:
    held = f"{_ms(one['held_s'])} held"
    wrote = f"{_ms(one['wrote_s'])} beside, {one['bytes'] / 1e6:,.4g} MB"
    return what, held, "", wrote, "", "", ""


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.4g} ms"


_ROWS = {
    "search": _search,
    "learner": _learner,
    "environment": _environment,
    "iteration": _iteration,
    "evaluation": _evaluation,
    "checkpoint": _checkpoints,
    "run": _run,
    "precision": _precision,
}


def load_note(report: dict[str, Any]) -> str:
    """Returns a warning if others used the machine meanwhile, else nothing."""
    load, cores = report["load"], report["machine"]["cores_of_machine"]
    if load["before"] <= _BUSY * cores:
        return ""
    return (
        f"The load was {load['before']:.2g} on {cores} cores before anything was "
        "measured: others used the machine, and these figures are too low."
    )
