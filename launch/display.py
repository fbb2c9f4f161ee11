"""The plan of a study, printed: a row per cell, and what to know before it runs."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence

import rich.box
import rich.console
import rich.table

from launch import attempt
from launch.study import Planned
from scaling import config, layout, peers
from scaling.envs import registry

STATES = {
    "new": "to run",
    "begun": "begun",
    "failed": "failed",
    "finished": "finished",
}
PLAIN_WIDTH = 120  # columns, where the output is not a terminal


def console(group: peers.Alone | None = None) -> rich.console.Console:
    """Returns standard output, wide enough for the plan where it is a file.

    Of several processes only the first one is heard.
    """
    quiet = group is not None and not group.first
    out = rich.console.Console(highlight=False, quiet=quiet)
    if not out.is_terminal:
        out.width = PLAIN_WIDTH
    return out


def print_plan(
    out: rich.console.Console,
    planned: Sequence[Planned],
    settings: config.Settings,
    rules: attempt.Rules,
    more_warnings: Sequence[str] = (),
) -> None:
    """Prints the table of cells, what is to be done and what to beware of.

    Args:
      out: where to.
      planned: all runs of the study that was asked for.
      settings: of the study.
      rules: when a run is worth another attempt.
      more_warnings: of what the runs learn from.
    """
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for name in ("frames", "fraction", "lanes", "searched states", "updates"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("seeds", no_wrap=True)
    table.add_column("state")
    for cells in _by_cell(planned):
        table.add_row(*_row(cells))
    out.print(table)
    out.print(_summary(planned, rules))
    if sizes := registry.sizes(settings.env, settings.protocol):
        out.print(_disk(planned, settings, *sizes))
    typical = registry.typical_episode_steps(settings.env)
    for warning in (*warnings(planned, typical), *more_warnings):
        out.print(f"Warning: {warning}", style="yellow", soft_wrap=True)


def warnings(planned: Sequence[Planned], typical_steps: int | None) -> list[str]:
    """Returns a sentence for each thing that makes scores hard to read.

    Args:
      planned: all runs of the study that was asked for.
      typical_steps: agent steps of a typical episode, if known.
    """
    found = []
    accounts = [each.account for each in planned]
    short = {
        account.frames: account.agent_steps // account.environments
        for account in accounts
        if typical_steps
        and account.agent_steps
        and account.agent_steps < account.environments * typical_steps
    }
    if short:
        cells = ", ".join(f"{frames:,} frames ({n:,})" for frames, n in short.items())
        found.append(
            "each environment steps fewer times than a typical episode lasts "
            f"({typical_steps:,} steps) at {cells}; use fewer --environments or larger "
            "budgets."
        )
    idle = sorted({account.frames for account in accounts if not account.updates})
    if idle:
        found.append(
            f"nothing is learned at {', '.join(f'{n:,}' for n in idle)} frames: the "
            "searched states do not make one batch; raise --samples-per-search or the "
            "budget, or lower --learner.batch-size."
        )
    return found


def _disk(
    planned: Sequence[Planned],
    settings: config.Settings,
    observation: int,
    actions: int,
) -> str:
    """Returns how much disk a run needs while it lasts, beside its network."""
    most = max(
        layout.store_bytes(
            layout.layout_for(settings, each.account), observation, actions
        )
        for each in planned
    )
    return (
        f"The stores of a run, and so its checkpoints, take up to {size(most)} until "
        "it has finished (longer with --keep-replay)."
    )


def size(number: int) -> str:
    """Returns bytes as a person says them: `740 MB`."""
    scale = min(4, max(0, (len(str(number)) - 1) // 3))
    unit = ("bytes", "kB", "MB", "GB", "TB")[scale]
    return f"{number / 1000**scale:.3g} {unit}"


def _by_cell(planned: Iterable[Planned]) -> list[list[Planned]]:
    """Returns the runs of each cell, which differ in seed alone."""
    cells: dict[tuple[object, ...], list[Planned]] = {}
    for each in planned:
        cell = each.cell
        key = (cell.frames, cell.fraction, cell.searches, cell.control_for)
        cells.setdefault(key, []).append(each)
    return list(cells.values())


def _row(runs: Sequence[Planned]) -> tuple[str, ...]:
    cell, account = runs[0].cell, runs[0].account
    control = cell.control_for
    fraction = f"{cell.fraction:.6g}"
    return (
        f"{account.frames or cell.frames:,}",  # of fraction 1: of its data set
        fraction if control is None else f"{fraction} (control of {control:.6g})",
        f"{account.lanes:,}",
        f"{account.searched:,}",
        f"{account.updates:,}",
        _ranges([run.cell.seed for run in runs]),
        _counts(runs),
    )


def _ranges(seeds: Sequence[int]) -> str:
    """Returns the seeds as `0-2, 7`."""
    spans = []
    for _, group in itertools.groupby(
        enumerate(sorted(seeds)), key=lambda pair: pair[1] - pair[0]
    ):
        members = [seed for _, seed in group]
        ends = dict.fromkeys((members[0], members[-1]))
        spans.append("-".join(map(str, ends)))
    return ", ".join(spans)


def _counts(runs: Sequence[Planned]) -> str:
    """Returns the states of some runs, with numbers where they differ."""
    counts = Counter(run.state for run in runs)
    if len(counts) == 1:
        return STATES[runs[0].state]
    return ", ".join(f"{counts[s]} {STATES[s]}" for s in STATES if counts[s])


def _summary(planned: Sequence[Planned], rules: attempt.Rules) -> str:
    counts = Counter(each.state for each in planned)
    retried = counts["failed"] if rules.failed_rows == "retry" else 0
    parts = [f"{counts['new'] + counts['begun'] + retried} to run"]
    if counts["begun"]:
        parts.append(f"{counts['begun']} of them begun before and gone on with")
    if retried:
        parts.append(f"{retried} of them failed before and run again")
    elif counts["failed"]:
        parts.append(
            f"{counts['failed']} failed before and left alone (--retry-failed runs "
            "failed ones again)"
        )
    if counts["finished"]:
        parts.append(f"{counts['finished']} finished already and skipped")
    searched = sum(each.account.searched for each in planned)
    runs = "1 run" if len(planned) == 1 else f"{len(planned)} runs"
    return f"{runs}, {searched:,} searched states: {', '.join(parts)}."
