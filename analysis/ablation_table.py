"""What carries the gain: the table of an ablation and the paper's beside it.

`python analysis/ablation_table.py --results DIR` reads the columns that
`launch/ablation.py --out DIR` made, and prints for every environment and data set the
table of action selections (rows) by trainings (columns) with 95 % intervals over seeds;
what unrolling, search in acting and the training target contribute, as differences with
intervals; and which of the paper's orderings hold, do not hold or are undecided. It
writes ablation.csv, ablation_differences.csv, ablation.json, ablation.md and
figures/ablation.svg, .png and .csv.
"""

import dataclasses
import pathlib
import sys
from typing import TYPE_CHECKING

if not __package__:
    # As a script, the folder of this file comes first on the path, where the
    # package `analysis` is not found unless it was installed.
    sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

from analysis import fit_scaling

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich import console

    from analysis import ablation_findings, ablation_sections

# pandas, scipy and matplotlib are imported where they are used: --help is instant.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What to read and where to write."""

    results: tuple[pathlib.Path, ...] = ()
    """Directories of ablations (the results.csv of each column is read,
    DIR/*/results.csv) or of a plain study (DIR/results.csv). Default: results/ablation,
    where launch/ablation.py writes, if no table is given either."""
    table: tuple[pathlib.Path, ...] = ()
    """Tables to read too: CSV files with at least the columns env, fraction, seed,
    target, unroll_steps, score_mcts, score_value and score_policy (dataset,
    dataset_frames, behaviour_score, random_score, status and others are used if
    there)."""
    out: pathlib.Path | None = None
    """Directory to write to (default: the first of --results, or that of the first
    table)."""
    compare: bool = False
    """Show the paper's table too (medians over 46 Atari games, offline), as a table and
    as a panel of the figure. Its orderings are always held against ours."""
    seed: int = 0
    """Seed of every bootstrap."""


def directories(settings: Settings) -> tuple[pathlib.Path, ...]:
    """Returns the directories to read."""
    if settings.results or settings.table:
        return settings.results
    return (pathlib.Path("results/ablation"),)


def output_directory(settings: Settings) -> pathlib.Path:
    """Returns where to write.

    Raises:
      ValueError: if a file is in the way.
    """
    first = (*directories(settings), *(path.parent for path in settings.table))[0]
    return fit_scaling.output_directory(fit_scaling.Settings(out=settings.out or first))


def main(settings: Settings) -> None:
    """Reads, computes, writes and prints."""
    with fit_scaling.here(settings) as local:
        _tabulate(local)


def _tabulate(settings: Settings) -> None:
    from analysis import ablation_findings, ablation_runs, ablation_sections, files

    with fit_scaling.status_2():
        out = output_directory(settings)
        of_columns = map(ablation_runs.tables, directories(settings))
        sources = [*(path for paths in of_columns for path in paths), *settings.table]
        unmade = ablation_runs.unmade(directories(settings))
        ablation = ablation_runs.read(sources, unmade)
    found = ablation_findings.findings(ablation, settings.seed)
    told = ablation_sections.sections(found)
    if settings.compare:
        told.append(ablation_sections.published())
    made = written(settings, sources, found, told)
    with fit_scaling.status_2():
        files.write(out, made)
    _print(told, found.notes)
    print(f"\nwrote {', '.join(str(out / name) for name in made)}")


def written(
    settings: Settings,
    sources: list[pathlib.Path],
    found: "ablation_findings.Findings",
    told: "list[ablation_sections.Section]",
) -> dict[str, bytes]:
    """Returns the files by name below the output directory, the figure's last."""
    from analysis import ablation_markdown, ablation_plots, ablation_records, gallery

    made = {
        "ablation.csv": ablation_records.as_csv(found),
        "ablation_differences.csv": ablation_records.differences_csv(found),
        "ablation.json": ablation_records.as_json(found, sources),
        "ablation.md": ablation_markdown.page(told, found.notes),
    }
    drawing = ablation_plots.heat_maps(found, settings.compare)
    figure: dict[str, bytes] = {}
    if drawing is not None:
        drawn = gallery.rendered(drawing)
        stem = f"figures/{drawn.name}"
        figure = {f"{stem}.svg": drawn.svg, f"{stem}.png": drawn.png}
        figure[f"{stem}.csv"] = drawn.csv
    return {name: text.encode() for name, text in made.items()} | figure


def _print(told: "list[ablation_sections.Section]", notes: list[str]) -> None:
    from analysis import terminal

    out = terminal.plain_console()
    few = len(told) <= terminal.MOST_SHOWN_IN_FULL
    for section in told:
        out.print(f"\n{section.title}", *section.facts, sep="\n", soft_wrap=True)
        for sheet in section.levels:
            out.print("", terminal.drawn(sheet))
        out.print()
        words = [*section.sentences * few, section.counted, *section.orderings]
        _print_list(out, filter(None, words))
    _print_list(out, notes)


def _print_list(out: "console.Console", said: "Iterable[str]") -> None:
    for text in said:
        out.print(f"- {text}", soft_wrap=True)


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Settings, description=__doc__))
