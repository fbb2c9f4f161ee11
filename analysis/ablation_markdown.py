"""ablation.md: the tables and what they say, as a page of Markdown."""

from collections.abc import Sequence

from analysis import ablation_sections, sheets

HEAD = (
    "Rows are ways of acting with the same networks, columns are trainings. A "
    "difference is the first minus the second; its 95 % interval decides an order only "
    "if it excludes 0."
)


def page(sections: Sequence[ablation_sections.Section], notes: Sequence[str]) -> str:
    """Returns the page, headings from the second level on.

    Args:
      sections: in order.
      notes: what was left out and what is doubtful, in sentences.
    """
    blocks = [HEAD]
    for section in sections:
        blocks += _section(section)
    if notes:
        blocks += ["## What to know of these runs", _listed(notes)]
    return "\n\n".join(blocks) + "\n"


def _section(section: ablation_sections.Section) -> list[str]:
    blocks = [f"## {escaped(section.title)}", *map(escaped, section.facts)]
    for sheet in section.levels:
        blocks += [f"**{escaped(sheet.title)}**", table(sheet)]
    if section.differences:
        blocks += ["### Contributions", section.counted]
    for sheet in section.differences:
        blocks += [f"**{escaped(sheet.title)}**", table(sheet)]
    if section.sentences:
        summary = "<summary>Every difference in words</summary>"
        blocks += [f"<details>{summary}", _listed(section.sentences), "</details>"]
    if section.orderings:
        blocks += ["### The paper's orderings", _listed(section.orderings)]
    return blocks


def _listed(said: Sequence[str]) -> str:
    return "\n".join(f"- {escaped(text)}" for text in said)


def table(sheet: sheets.Sheet) -> str:
    """Returns a table of text; the first column is left-aligned."""
    rule = ["---", *("---:" for _ in sheet.heads[1:])]
    rows = [sheet.heads, rule, *sheet.rows]
    return "\n".join(f"| {' | '.join(map(escaped, row))} |" for row in rows)


def escaped(text: str) -> str:
    """Returns a text in which nothing is markup."""
    for mark in ("\\", "|", "*", "_", "<", "`", "["):
        text = text.replace(mark, f"\\{mark}")
    return text
