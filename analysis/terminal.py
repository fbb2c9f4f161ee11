"""What was found, as tables and sentences on the terminal."""

import sys

from rich import console, table

from analysis import across as together
from analysis import sentences, sheets, study, tables

MOST_SHOWN_IN_FULL = 6  # environments; more get slopes and verdicts only


def show(here: study.Environment) -> None:
    """Prints what was found in one environment."""
    out = plain_console()
    _head(out, here)
    for sheet in tables.environment(here):
        out.print(drawn(sheet), "")
    for text in sentences.conclusions(here):
        out.print(f"- {text}", soft_wrap=True)


def show_briefly(here: study.Environment) -> None:
    """Prints the slopes and the verdicts of one environment."""
    out = plain_console()
    _head(out, here)
    out.print(drawn(tables.slopes(here)))
    for text in sentences.notes(here):
        out.print(f"- {text}", soft_wrap=True)


def show_across(whole: together.Across) -> None:
    """Prints what was found over environments."""
    out = plain_console()
    for sheet in (tables.across(whole), tables.pooled(whole)):
        if sheet.rows:
            out.print("", drawn(sheet))
    for text in sentences.across_sentences(whole):
        out.print(f"- {text}", soft_wrap=True)


def plain_console() -> console.Console:
    """Returns a console that prints text as it is."""
    width = None if sys.stdout.isatty() else 120  # a pipe has no width to keep to
    return console.Console(width=width, markup=False, highlight=False)


def _head(out: console.Console, here: study.Environment) -> None:
    counts = ", ".join(f"{n} {status}" for status, n in here.statuses.items())
    out.print(f"\n{here.env}: {here.design} design, runs: {counts}")


def drawn(sheet: sheets.Sheet) -> table.Table:
    """Returns a table of text as rich draws it."""
    made = table.Table(
        title=sheet.title, title_justify="left", box=None, pad_edge=False
    )
    for index, head in enumerate(sheet.heads):
        made.add_column(head, justify="right" if index else "left")
    for row in sheet.rows:
        made.add_row(*row)
    return made
