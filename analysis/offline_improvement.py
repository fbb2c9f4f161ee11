"""Offline agents against the policies that made their data.

`python analysis/offline_improvement.py` reads the runs of fraction 1 in
results/results.csv and prints, for every data set and method, the normalised score
(agent - random) / (behaviour - random) with its 95 % interval over seeds: above 1 the
agent is better than the policy that made the data. It writes offline_improvement.csv,
offline_improvement.json and figures/offline_improvement.svg, .png and .csv.
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
    from analysis import offline_levels, offline_runs, offline_scores

# pandas, scipy and matplotlib are imported where they are used: --help is instant.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What to read and where to write."""

    results: tuple[pathlib.Path, ...] = ()
    """Directories of studies; the results.csv of each is read (default: results, if no
    table is given either)."""
    table: tuple[pathlib.Path, ...] = ()
    """Tables to read too: CSV files with at least the columns env, fraction, seed,
    score, behaviour_score and random_score (dataset, dataset_frames, dataset_episodes,
    dataset_best_tenth, target, action, status and others are used if there)."""
    out: pathlib.Path | None = None
    """Directory to write to (default: that of the first table that is read)."""
    compare: bool = False
    """Show the paper's offline scores of 46 Atari games beside ours (behaviour cloning,
    DQN, CRR, MuZero Unplugged; there 1 is a DQN that learned online)."""
    seed: int = 0
    """Seed of every bootstrap."""


def sources(settings: Settings) -> tuple[pathlib.Path, ...]:
    """Returns the tables to read."""
    studies = settings.results
    if not studies and not settings.table:
        studies = (pathlib.Path("results"),)
    return (*(study / "results.csv" for study in studies), *settings.table)


def output_directory(settings: Settings) -> pathlib.Path:
    """Returns where to write.

    Raises:
      ValueError: if a file is in the way.
    """
    return fit_scaling.output_directory(
        fit_scaling.Settings(table=sources(settings), out=settings.out)
    )


def main(settings: Settings) -> None:
    """Reads, computes, writes and prints."""
    with fit_scaling.here(settings) as local:
        _compare(local)


def _compare(settings: Settings) -> None:
    from analysis import files, offline_levels, offline_runs, offline_scores

    with fit_scaling.status_2():
        out = output_directory(settings)
        offline = offline_runs.read(sources(settings))
    found = offline_scores.improvements(offline)
    levels = offline_levels.levels(found, settings.seed)
    made = written(settings, offline, found, levels)
    with fit_scaling.status_2():
        files.write(out, made)
    _print(settings, offline, found, levels)
    print(f"\nwrote {', '.join(str(out / name) for name in made)}")


def written(
    settings: Settings,
    offline: "offline_runs.Offline",
    found: "list[offline_scores.Improvement]",
    levels: "list[offline_levels.Level]",
) -> dict[str, bytes]:
    """Returns the files by name below the output directory, the figure's last."""
    from analysis import gallery, offline_plots, offline_records

    record = offline_records.as_json(
        offline, found, levels, sources(settings), settings.seed
    )
    made = {
        "offline_improvement.csv": offline_records.as_csv(found).encode(),
        "offline_improvement.json": record.encode(),
    }
    drawing = offline_plots.improvement(found, settings.compare)
    if drawing is not None:
        drawn = gallery.rendered(drawing)
        stem = f"figures/{drawn.name}"
        made |= {f"{stem}.svg": drawn.svg, f"{stem}.png": drawn.png}
        made[f"{stem}.csv"] = drawn.csv
    return made


def _print(
    settings: Settings,
    offline: "offline_runs.Offline",
    found: "list[offline_scores.Improvement]",
    levels: "list[offline_levels.Level]",
) -> None:
    from analysis import offline_sentences, offline_tables, terminal

    envs = [here.data.env for here in found]
    tables = [*offline_tables.data_sets(found), offline_tables.over_data_sets(levels)]
    said = offline_sentences.conclusions(found, levels)
    said += offline_sentences.left_out(offline, found)
    said += offline_sentences.doubts(offline.runs)
    if settings.compare:
        tables.append(offline_tables.published(envs))
        said += offline_sentences.published(envs)
    out = terminal.plain_console()
    for sheet in tables:
        if sheet.rows:
            out.print("", terminal.drawn(sheet))
    out.print()
    for text in said:
        out.print(f"- {text}", soft_wrap=True)


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Settings, description=__doc__))
