"""Fits score = a + b log10(frames) to the runs of a study, and says what it can.

`python analysis/fit_scaling.py` reads results/results.csv, prints for every
environment and fraction the slope per decade of frames with its 95 % interval and
a verdict, and writes report.html, fit.json, cells.csv and figures/.
"""

import contextlib
import dataclasses
import pathlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

if not __package__:
    # As a script, the folder of this file comes first on the path, where the
    # package `analysis` is not found unless it was installed.
    sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

if TYPE_CHECKING:
    from analysis import study

T = TypeVar("T")
# pandas, scipy and matplotlib are imported where they are used: --help is instant.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What to read and where to write."""

    results: pathlib.Path = pathlib.Path("results")
    """Directory of a study, or gs://… or s3://…; its results.csv is read."""
    table: tuple[pathlib.Path, ...] = ()
    """Tables to read instead: CSV files with at least the columns frames, fraction,
    seed and score (env, status, control, curve_of and others are used if there)."""
    out: pathlib.Path | None = None
    """Directory to write to (default: that of the results or of the first table)."""
    target: tuple[float, ...] = ()
    """Scores to find the frames for (default: quarters of the range of means)."""
    power: tuple[float, ...] = (0.5, 0.3, 0.2)
    """Differences between two slopes, as shares of the slope, to plan seeds for: how
    many seeds a budget find them four times in five."""
    reference: tuple[str, ...] = ()
    """What counts as a normalised score of 1, as ENV=SCORE (57 Atari games and some
    others have one; random scores come from the column random_score)."""
    compare: bool = False
    """Mark the paper's published points in the figures (57 Atari games, 200 M frames,
    fraction 0.95)."""
    seed: int = 0
    """Seed of every bootstrap."""


def sources(settings: Settings) -> tuple[pathlib.Path, ...]:
    """Returns the tables to read."""
    return settings.table or (settings.results / "results.csv",)


def output_directory(settings: Settings) -> pathlib.Path:
    """Returns where to write.

    Raises:
      ValueError: if a file is in the way.
    """
    out = settings.out or sources(settings)[0].parent
    blocked = [path for path in (out, *out.parents) if path.is_file()]
    if blocked:
        raise ValueError(f"{blocked[0]} is a file; give --out a directory.")
    return out


def options(settings: Settings) -> "study.Options":
    """Returns what to ask of each environment.

    Raises:
      ValueError: if a reference or a difference cannot be read.
    """
    from analysis import study

    references = {}
    for text in settings.reference:
        env, separator, score = text.rpartition("=")
        try:
            references[env] = float(score)
        except ValueError:
            separator = ""
        if not separator or not env:
            raise ValueError(f"--reference takes ENV=SCORE (got {text!r}).")
    for share in settings.power:
        if not 0 < share <= 10:
            raise ValueError(
                f"--power takes differences as shares of the slope (got {share:g}); "
                "give values such as 0.5."
            )
    return study.Options(
        targets=settings.target,
        differences=settings.power,
        references=references,
        seed=settings.seed,
    )


@contextlib.contextmanager
def status_2() -> Iterator[None]:
    """Turns what is wrong with the user's files into one sentence and status 2."""
    try:
        yield
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


@contextlib.contextmanager
def here(settings: T) -> Iterator[T]:
    """Yields settings with copies in place of what is in buckets; status 2 without."""
    from scaling.buckets import flags, mirror

    with contextlib.ExitStack() as stack:
        with status_2():
            local = stack.enter_context(flags.here(settings, without=mirror.STATES))
        yield local
        with status_2():
            stack.close()  # what was written goes to the bucket


def main(settings: Settings) -> None:
    """Reads, analyses, writes and prints."""
    with here(settings) as local:
        _analyse(local)


def _analyse(settings: Settings) -> None:
    from analysis import files, table, terminal

    with status_2():
        out = output_directory(settings)
        asked = options(settings)
        runs = table.read_tables(sources(settings))
    asked = files.options_for(runs, asked)
    made = files.analysed(runs, sources(settings), asked, settings.compare)
    with status_2():
        files.write(out, made.files)
    few = len(made.found) <= terminal.MOST_SHOWN_IN_FULL
    for here in made.found:
        (terminal.show if few else terminal.show_briefly)(here)
    if made.whole is not None:
        terminal.show_across(made.whole)
    print(f"\nwrote {out / 'report.html'}, {_listed(list(made.files), out)}")


def _listed(names: list[str], out: pathlib.Path) -> str:
    data = [str(out / name) for name in ("fit.json", "cells.csv")]
    figures = sum(name.endswith(".svg") for name in names)
    return f"{', '.join(data)} and {figures} figures in {out / 'figures'}"


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Settings, description=__doc__))
