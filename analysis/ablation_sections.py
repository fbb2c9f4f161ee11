"""What an ablation found, in the order in which it is told: a section a data set."""

from collections.abc import Sequence
from typing import NamedTuple

from analysis import (
    ablation_across,
    ablation_cells,
    ablation_comparisons,
    ablation_findings,
    ablation_notes,
    ablation_orderings,
    ablation_paper,
    ablation_sentences,
    ablation_tables,
    sheets,
)


class Section(NamedTuple):
    """Tables of levels, then of differences, then what they say in words."""

    title: str
    facts: list[str]
    levels: list[sheets.Sheet]
    counted: str  # how many differences there were
    differences: list[sheets.Sheet]
    sentences: list[str]  # one a difference
    orderings: list[str]  # the paper's, sorted out


def sections(findings: ablation_findings.Findings) -> list[Section]:
    """Returns a section for every data set, and one for all environments together."""
    pairs = zip(findings.grids, findings.found, strict=True)
    made = [_of_task(grid, found) for grid, found in pairs]
    made += [
        _over(fraction, overs, ablation_tables.over_levels(findings.levels[fraction]))
        for fraction, overs in findings.over.items()
    ]
    return [*made, _beside(findings)] if len(findings.grids) > 1 else made


def _beside(findings: ablation_findings.Findings) -> Section:
    """Returns the paper's orderings of every table side by side."""
    titles = [grid.task.env for grid in findings.grids]
    if len(set(titles)) < len(titles):
        titles = [ablation_sentences.task(grid.task) for grid in findings.grids]
    of_tables = dict(zip(titles, findings.found, strict=True))
    few = len(of_tables) < ablation_orderings.MOST_BESIDE
    for fraction, overs in findings.over.items() if few else ():
        of_tables[over_title(fraction)] = [over.found for over in overs]
    sheet = ablation_orderings.beside(of_tables)
    return Section("The paper's orderings", [], [sheet], "", [], [], [])


def over_title(fraction: float) -> str:
    """Returns the title of what is found over environments."""
    apart = f", fraction {fraction:g}" if fraction < 1 else ""
    return f"Over environments{apart}"


def _of_task(
    grid: ablation_cells.Grid, found: Sequence[ablation_comparisons.Found]
) -> Section:
    return Section(
        ablation_sentences.task(grid.task),
        [ablation_notes.facts(grid)],
        ablation_tables.levels(grid),
        ablation_sentences.multiplicity(found),
        [sheet for sheet in ablation_tables.differences(found) if sheet.rows],
        [ablation_sentences.sentence(each, grid.normalised) for each in found],
        ablation_orderings.lines(found, grid.task.fraction),
    )


def _over(
    fraction: float, overs: Sequence[ablation_across.Over], levels: sheets.Sheet
) -> Section:
    found = [over.found for over in overs]
    return Section(
        over_title(fraction),
        [ablation_sentences.over_what(overs)],
        [levels] if levels.rows else [],
        ablation_sentences.multiplicity(found),
        [sheet for sheet in ablation_tables.differences(found) if sheet.rows],
        [ablation_sentences.over_sentence(over) for over in overs],
        ablation_orderings.lines(found, fraction),
    )


def published() -> Section:
    """Returns the paper's table as a section without findings of ours."""
    fact = (
        f"Source: {ablation_paper.SOURCE}. Given without intervals; there 100 is a DQN "
        "that learned online, not the mean return of the data: compare orders, not "
        "numbers."
    )
    return Section(
        "The paper's table", [fact], [ablation_tables.published()], "", [], [], []
    )
