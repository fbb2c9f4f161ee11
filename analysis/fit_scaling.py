"""Fits score = a + b log10(frames) to the runs of a study, and says what it can.

`python analysis/fit_scaling.py` reads results/results.csv, prints for every
environment and fraction the slope per decade of frames with its 95 % interval and
a verdict, and writes fit.json, cells.csv and figures/score_vs_frames.png and .svg.
"""

import contextlib
import dataclasses
import pathlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if not __package__:
    # As a script, the folder of this file comes first on the path, where the
    # package `analysis` is not found unless it was installed.
    sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

if TYPE_CHECKING:
    import pandas as pd

# pandas, scipy and matplotlib are imported where they are used: --help is instant.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What to read and where to write."""

    results: pathlib.Path = pathlib.Path("results")
    """Directory of a study; its results.csv is read."""
    table: tuple[pathlib.Path, ...] = ()
    """Tables to read instead: CSV files with at least the columns frames, fraction,
    seed and score (env, status, control, curve_of and others are used if there)."""
    out: pathlib.Path | None = None
    """Directory to write to (default: that of the results or of the first table)."""


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


def analyse_environment(runs: "pd.DataFrame") -> dict[str, Any]:
    """Returns design, judgements, comparisons and flags of one environment."""
    from analysis import efficiency, inference, lint, table
    from analysis import verdict as verdicts

    curves = table.curves(runs)
    judged = [verdicts.judge(curve) for curve in curves]
    lines = [j.line for j in judged if j.curve.control is None and j.line]
    steps = runs["frames_per_step"].dropna().unique()
    return {
        "env": str(runs["env"].iloc[0]),
        "design": table.design(runs),
        "runs": len(runs),
        "statuses": runs["status"].value_counts().sort_index().to_dict(),
        "frames_per_step": float(steps[0]) if len(steps) == 1 else 1.0,
        "axis": _axis(runs),
        "flags": lint.lint(runs),
        "refusals": table.refusals(runs),
        "fits": judged,
        "equal_slopes": inference.equal_slopes(lines),
        "multipliers": efficiency.multipliers(curves),
    }


def _axis(runs: "pd.DataFrame") -> str:
    stored = max(runs["data_frames"] - runs["frames"]) > 0
    extra = ", data sets and demonstrations included" if stored else ""
    return f"frames{extra} (log scale)"


@contextlib.contextmanager
def status_2() -> Iterator[None]:
    """Turns what is wrong with the user's files into one sentence and status 2."""
    try:
        yield
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def main(settings: Settings) -> None:
    """Reads, analyses, writes and prints."""
    from analysis import efficiency, report, table

    with status_2():
        out = output_directory(settings)
        runs = table.read_tables(sources(settings))
    parts = [part for _, part in runs.groupby("env")]
    found = [analyse_environment(part) for part in parts]
    cells = [efficiency.cells(part) for part in parts]
    files = report.contents(found, cells, sources(settings))
    with status_2():
        report.write(out, files)
    for here, part in zip(found, cells, strict=True):
        report.show(here, part)
    print("\nwrote " + ", ".join(str(out / name) for name in files))


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Settings, description=__doc__))
