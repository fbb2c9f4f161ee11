"""What the compiler said, printed."""

from collections.abc import Sequence

import rich.box
import rich.console
import rich.table

from launch import collectives, compile_report, roofline, sizing
from scaling.envs import registry

# Of functions that make loops, and of programs.
_WHEN = {
    "learn": "in each update",
    "_advance": "in each call",
    "advance": "once for some calls",
    "read_log": "for each line of the log",
}


def print_plan(
    out: rich.console.Console, plan: compile_report.Plan, versions: dict[str, str]
) -> None:
    """Prints what is going to be compiled, and with what."""
    account, target, mesh = plan.account, plan.target, plan.mesh
    made_with = ", ".join(f"{name} {version}" for name, version in versions.items())
    per_update = account.searched / max(1, account.updates)
    lines = (
        f"{target.name}: {target.chips} chips in {target.hosts} hosts, mesh of "
        f"{mesh.data} data × {mesh.model} model; {made_with}",
        f"Sizes, for sweep.py alike: {sizing.flags(plan.settings)}",
        f"Run: {account.frames:,} frames at fraction {plan.cell.fraction:g}, "
        f"{account.calls:,} calls of {account.lanes:,} lanes "
        f"({account.lanes / (mesh.data or 1):g} a chip), {account.updates:,} updates "
        f"of {per_update:,.0f} searched states each",
    )
    for line in lines:
        out.print(line, soft_wrap=True, markup=False)


def print_report(out: rich.console.Console, report: compile_report.Report) -> None:
    """Prints everything that was found."""
    chip, settings = report.plan.target.chip, report.plan.settings
    title = f"Memory of a chip, MB of {chip.memory / 1e6:,.0f}"
    table = rich.table.Table(
        title=title, box=rich.box.SIMPLE_HEAD, pad_edge=False, title_justify="left"
    )
    table.add_column("program", no_wrap=True)
    for name in compile_report.COLUMNS:
        table.add_column(name, justify="right")
    for row in memory_rows(report.programs):
        table.add_row(*row)
    out.print(table)
    search = roofline.flops_per_search(report.networks, settings)
    update = roofline.flops_per_update(report.networks, settings)
    for head, lines in (
        ("Collectives", meeting_lines(report)),
        (
            "Operations: network calls × those of one call (the compiler counts the "
            "body of a loop once)",
            [
                f"a searched state {in_units(search, 'FLOP')}",
                f"an update {in_units(update, 'FLOP')}",
            ],
        ),
        (f"Time, {compile_report.MODEL_ONLY}", time_lines(report)),
    ):
        out.print(f"{head}:", soft_wrap=True, markup=False)
        for line in lines:
            out.print(f"  {line}", soft_wrap=True, markup=False)
    out.print(compile_report.verdict(report), soft_wrap=True, markup=False)


def meeting_lines(report: compile_report.Report) -> list[str]:
    """Returns a line for each kind of collective in each program, and a verdict."""
    lines = []
    for found in report.programs:
        alike: dict[tuple[str, str, int], list[int]] = {}
        for meeting in found.meetings:
            chips = len(meeting.group or ())
            key = (meeting.kind, _when(meeting, found.name), chips)
            alike.setdefault(key, []).append(meeting.bytes)
        lines += [
            f"{found.name}: {len(sizes)} {kind} of {in_units(sum(sizes), 'B')} over "
            f"{chips or 'some'} chips {when}"
            for (kind, when, chips), sizes in alike.items()
        ]
    lines = lines or ["none"]
    inside = report.inside_search
    if refused := [found.name for found in report.programs if found.refusal]:
        return [*lines, f"Not known of what was refused: {', '.join(refused)}."]
    if not any(found.searches for found in report.programs):
        return [*lines, "No search loop was found in the compiled text."]
    if inside:
        kinds = ", ".join(sorted({meeting.kind for meeting in inside}))
        return [*lines, f"Inside the search loop: {len(inside)} ({kinds})."]
    return [*lines, "Inside the search loop: none."]


def in_units(number: float, unit: str) -> str:
    """Returns a number in the thousands that suit it, as `8 MB`."""
    for prefix, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.4g} {prefix}{unit}"
    return f"{number:.4g} {unit}"


def _when(meeting: collectives.Collective, program: str) -> str:
    """Returns how often a collective of a program happens."""
    if any(map(compile_report.is_search, meeting.loops)):
        return "inside the search loop"
    if meeting.loops:
        inner = meeting.loops[0].function
        return _WHEN.get(inner, f"in the loop of {inner or meeting.loops[0].name}")
    return _WHEN.get(program, "in each call")


def memory_rows(found: Sequence[compile_report.Found]) -> list[tuple[str, ...]]:
    """Returns a row for each program: its name and MB on a chip."""
    return [
        (each.name, *(f"{number / 1e6:,.1f}" for number in each.memory.values()))
        if each.memory
        else (each.name, "refused")
        for each in found
    ]


def time_lines(report: compile_report.Report) -> list[str]:
    """Returns the model's times of a call and of the run."""
    times, account, target = report.times, report.plan.account, report.plan.target
    per_call = account.updates / account.calls
    lines = [
        f"search {_ms(times.search)} + {per_call:,.4g} updates of "
        f"{_ms(times.update)} + all-reduce {_ms(times.all_reduce)} = "
        f"{_ms(times.call)} a call",
        f"{account.calls:,} calls in {times.run / 3600:,.3g} h, "
        f"{times.chip_hours(target.chips):,.3g} chip-hours",
    ]
    if account.agent_steps and not registry.is_device(report.plan.settings.env):
        steps = account.agent_steps / times.run / target.hosts
        lines.append(
            f"to keep up, each of {target.hosts} hosts makes {steps:,.0f} environment "
            "steps a second"
        )
    if report.plan.mesh.model > 1:
        lines.append("what the chips of the model axis exchange is not in this model")
    return lines


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.3g} ms"
