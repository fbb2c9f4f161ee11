"""What an ablation found, as tables of text."""

from collections.abc import Mapping, Sequence

from analysis import (
    ablation_cells,
    ablation_comparisons,
    ablation_differences,
    ablation_paper,
    ablation_runs,
    ablation_sentences,
    inference,
    sentences,
    sheets,
)

KINDS = {
    "unroll": "(a) Unroll: more model steps against fewer (other trainings, Welch t)",
    "action": "(b) Acting: more search against less (the same networks, paired t)",
    "target": "(c) Target: more search against less (other trainings, Welch t)",
}
SPREAD = "mean over seeds ± half the 95 % t interval"
NO_MODEL, NOTHING = "no model", "–"


def levels(grid: ablation_cells.Grid) -> list[sheets.Sheet]:
    """Returns the table of a data set: normalised if it can be, and raw."""
    made = [_levels(grid, f"Mean return, {SPREAD}", ablation_cells.raw)]
    if grid.normalised:
        title = f"Normalised score, {SPREAD}"
        made.insert(0, _levels(grid, title, ablation_cells.shown))
    return made


def _levels(
    grid: ablation_cells.Grid, title: str, scores: ablation_comparisons.Scores
) -> sheets.Sheet:
    rows = [
        [
            ablation_sentences.action(action),
            *(_cell(grid, column, action, scores) for column in grid.columns),
        ]
        for action in ablation_runs.ACTIONS
    ]
    rows.append(["networks", *(str(count) for count in grid.seeds.values())])
    if any(grid.lost.values()):
        rows.append(["lost", *(str(count) for count in grid.lost.values())])
    return sheets.Sheet(title, heads(grid.columns), rows)


def heads(columns: Sequence[ablation_cells.Column]) -> tuple[str, ...]:
    """Returns the heads of a table: the first column is of ways of acting."""
    return ("acting", *map(ablation_sentences.column, columns))


def _cell(
    grid: ablation_cells.Grid,
    column: ablation_cells.Column,
    action: str,
    scores: ablation_comparisons.Scores,
) -> str:
    cell = grid.cells.get((column, action))
    if cell is None:
        return missing(column, action)
    values = scores(cell)
    found = ablation_cells.mean_interval(values)
    text = level(float(values.mean()), found)
    fewer = f", n = {values.size}" if values.size != grid.seeds[column] else ""
    return text + fewer


def missing(column: ablation_cells.Column, action: str) -> str:
    """Returns what stands where there is no score."""
    return NO_MODEL if action == "mcts" and column.unroll == 0 else NOTHING


def level(value: float, found: inference.Interval | None) -> str:
    """Returns a mean with its interval, if it has one."""
    text = sentences.number(value)
    return f"{text} ± {sentences.number(found.half_width)}" if found else text


def over_levels(
    means: Mapping[ablation_comparisons.Side, ablation_differences.Difference],
) -> sheets.Sheet:
    """Returns the mean over data sets of every cell that all have."""
    keys = {side.column for side in means}
    columns = sorted(keys, key=ablation_cells.column_order)
    rows = []
    for action in ablation_runs.ACTIONS:
        sides = [ablation_comparisons.Side(column, action) for column in columns]
        cells = [
            level(means[side].value, means[side].interval)
            if side in means
            else missing(side.column, action)
            for side in sides
        ]
        rows.append([ablation_sentences.action(action), *cells])
    title = "Mean over data sets of normalised scores ± half the 95 % t interval"
    return sheets.Sheet(title, heads(columns), rows)


def differences(
    found: Sequence[ablation_comparisons.Found],
) -> list[sheets.Sheet]:
    """Returns one table a contribution, one row a difference."""
    names = ("first against second", "difference", "95 % interval", "p", "Holm p")
    names += ("seeds", "paper", "paper's order")
    return [
        sheets.Sheet(
            title, names, [_row(f) for f in found if f.comparison.kind == kind]
        )
        for kind, title in KINDS.items()
    ]


def _row(found: ablation_comparisons.Found) -> list[str]:
    difference = found.difference
    interval = difference.reason
    if difference.interval is not None:
        low, high = map(ablation_sentences.signed, difference.interval)
        interval = f"{low} to {high}"
    return [
        ablation_sentences.comparison(found.comparison),
        ablation_sentences.signed(difference.value),
        interval,
        *(_p(p) for p in (difference.p, found.holm)),
        ablation_sentences.seeds(difference).removesuffix(" seeds"),
        _medians(found),
        found.agreement.removesuffix(ablation_comparisons.NOT_PUBLISHED),
    ]


def _p(p: float | None) -> str:
    return "" if p is None else ablation_sentences.p_value(p)


def _medians(found: ablation_comparisons.Found) -> str:
    if found.published is None:
        return NOTHING
    return " against ".join(f"{median:g}" for median in found.published)


def published() -> sheets.Sheet:
    """Returns the paper's table."""
    columns = [ablation_cells.Column(*network) for network in ablation_paper.MEDIANS]
    rows = []
    for action in ablation_runs.ACTIONS:
        medians = [ablation_paper.median(*column, action) for column in columns]
        cells = [
            missing(column, action) if median is None else f"{median:.1f}"
            for column, median in zip(columns, medians, strict=True)
        ]
        rows.append([ablation_sentences.action(action), *cells])
    return sheets.Sheet(f"Published: {ablation_paper.UNIT}", heads(columns), rows)
