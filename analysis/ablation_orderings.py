"""Which of the paper's orderings hold in a table, which do not, which are undecided.

An ordering is decided only if the 95 % interval of the difference leaves out 0. One
marked as a near tie hangs on less than 5 % in the paper, which has no intervals.
"""

from collections.abc import Mapping, Sequence

from analysis import (
    ablation_comparisons,
    ablation_paper,
    ablation_sentences,
    sheets,
)

HEADS = {
    ablation_comparisons.HOLDS: "hold here",
    ablation_comparisons.FAILS: "do not hold here",
    ablation_comparisons.UNDECIDED: "are undecided here",
}
ORDERING = "better > worse in the paper"
MOST_BESIDE = 6  # tables that stand side by side
OFFLINE = (
    "The paper's table is of offline data; these networks interacted with their "
    "environment too."
)


def sorted_out(
    found: Sequence[ablation_comparisons.Found],
) -> dict[str, list[str]]:
    """Returns the paper's orderings by whether they hold, each as a > b."""
    return {
        agreement: [
            ordering(each, *each.published)
            for each in found
            if each.agreement == agreement and each.published is not None
        ]
        for agreement in HEADS
    }


def ordering(found: ablation_comparisons.Found, first: float, second: float) -> str:
    """Returns the paper's order of two cells: the better one first."""
    kind, *sides = found.comparison
    better, worse = sides if first > second else sides[::-1]
    if kind == "action":
        text = f"{better.action} > {worse.action} ({better.column.name})"
    else:
        text = f"{better.column.name} > {worse.column.name} ({better.action})"
    near = ablation_paper.near_tie(first, second)
    return text[:-1] + ", near tie)" if near else text


def lines(found: Sequence[ablation_comparisons.Found], fraction: float) -> list[str]:
    """Returns the three lists in words, how sure they are, and what they are worth."""
    known = sorted_out(found)
    said = [
        f"{len(items)} {HEADS[agreement]}{': ' * bool(items)}{'; '.join(items)}."
        for agreement, items in known.items()
    ]
    total = sum(map(len, known.values()))
    said[0] = f"Of {total} orderings of the paper, {said[0]}"
    said.append(_after_holm(found))
    return said + [OFFLINE] * (fraction < 1)


def beside(
    of_tables: Mapping[str, Sequence[ablation_comparisons.Found]],
) -> sheets.Sheet:
    """Returns the paper's orderings, a row each, with a column for every table.

    Where the tables are many, they are counted instead.

    Args:
      of_tables: what was compared, by the title of the table.
    """
    cells: dict[str, dict[str, str]] = {}
    for title, found in of_tables.items():
        for each in found:
            if each.published is not None:
                name = ordering(each, *each.published)
                cells.setdefault(name, {})[title] = each.agreement
    heads, rows = (ORDERING, *of_tables), []
    for name, known in cells.items():
        rows.append([name, *(known.get(title, "") for title in of_tables)])
    if len(of_tables) > MOST_BESIDE:
        heads = (ORDERING, *HEADS)
        rows = [
            [name, *(str(row.count(word)) for word in HEADS)] for name, *row in rows
        ]
    return sheets.Sheet("Table by table, decided by 95 % intervals", heads, rows)


def _after_holm(found: Sequence[ablation_comparisons.Found]) -> str:
    sure = [
        each
        for each in found
        if each.holm is not None and each.holm < ablation_sentences.ALPHA
    ]
    held = sum(each.agreement == ablation_comparisons.HOLDS for each in sure)
    failed = sum(each.agreement == ablation_comparisons.FAILS for each in sure)
    return (
        f"With Holm-adjusted p values below {ablation_sentences.ALPHA:.2g} alone, "
        f"{held} would hold and {failed} not."
    )
