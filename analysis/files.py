"""All files of an analysis, and how they are written."""

import concurrent.futures
import functools
import multiprocessing
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from analysis import across as together
from analysis import gallery, plots, records, report, study, table

MOST_PANELS = 9  # of the figure of all environments
PARALLEL_RUNS = 20_000  # rows from which starting processes pays


class Analysis(NamedTuple):
    """Everything found, and its files by name below the output directory."""

    found: list[study.Environment]
    whole: together.Across | None
    files: dict[str, bytes]


def analysed(
    runs: pd.DataFrame,
    sources: Sequence[pathlib.Path],
    options: study.Options,
    compare: bool,
) -> Analysis:
    """Returns the analysis of all environments and its files."""
    parts = [part for _, part in runs.groupby("env")]
    few = len(parts) <= report.FULL_ENVIRONMENTS
    draw = gallery.of_environment if few else gallery.brief
    work = functools.partial(_one, options=options, draw=draw, compare=compare)
    results = _in_parallel(work, parts) if len(runs) > PARALLEL_RUNS else None
    pairs = results or [work(part) for part in parts]
    found, figures = [here for here, _ in pairs], [drawn for _, drawn in pairs]
    whole = together.across(found, parts, options.seed)
    shared = gallery.of_all(found, whole)
    files = _data_files(found, whole, sources)
    page = report.written(found, whole, figures, shared, sources, files, compare)
    files["report.html"] = page
    files.update(_figure_files(found, figures, shared))
    files.update(_first_figure(found, runs, compare))
    return Analysis(found, whole, files)


def options_for(runs: pd.DataFrame, options: study.Options) -> study.Options:
    """Returns the options, without slow profiles where there are many curves."""
    parts = [part for _, part in runs.groupby("env")]
    count = sum(len(table.curves(part)) for part in parts)
    if count <= study.MOST_PROFILED_CURVES:
        return options
    return study.without_profiles(options)


def _one(runs: pd.DataFrame, options: study.Options, draw, compare: bool):
    here = study.analyse(runs, options)
    return here, draw(here, runs, compare)


def _in_parallel(work, parts: list[pd.DataFrame]) -> list | None:
    workers = min(len(os.sched_getaffinity(0)), len(parts))
    if workers < 2:
        return None
    # Spawned, since forking a process that has threads may hang.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, context) as pool:
        return list(pool.map(work, parts))


def _data_files(
    found: list[study.Environment],
    whole: together.Across | None,
    sources: Sequence[pathlib.Path],
) -> dict[str, bytes]:
    rows = pd.concat([here.cells for here in found]).to_csv(
        index=False, float_format=f"%.{records.DIGITS}g", lineterminator="\n"
    )
    return {
        "fit.json": records.as_json(found, whole, sources).encode(),
        "cells.csv": rows.encode(),
    }


def _figure_files(
    found: list[study.Environment],
    figures: Sequence[Sequence[gallery.Rendered]],
    shared: Sequence[gallery.Rendered],
) -> dict[str, bytes]:
    folders = gallery.folders([here.env for here in found])
    files: dict[str, bytes] = {}
    for folder, drawn in [*zip(folders, figures, strict=True), ("", shared)]:
        for each in drawn:
            stem = "/".join(part for part in ("figures", folder, each.name) if part)
            files[f"{stem}.svg"] = each.svg
            files[f"{stem}.png"] = each.png
            files[f"{stem}.csv"] = each.csv
    return files


def _first_figure(
    found: list[study.Environment], runs: pd.DataFrame, compare: bool
) -> dict[str, bytes]:
    if len(found) > MOST_PANELS:
        return {}
    made = gallery.score_against_frames(found, runs, plots.WIDE, compare)
    drawn = gallery.rendered(made)
    stem = "figures/score_vs_frames"
    return {
        **{f"{stem}.svg": drawn.svg, f"{stem}.png": drawn.png},
        f"{stem}.csv": drawn.csv,
    }


def write(out: pathlib.Path, files: dict[str, bytes]) -> None:
    """Writes every file, each in one step.

    Raises:
      ValueError: if the directory cannot be written to.
    """
    for name, content in files.items():
        path = out / name
        part = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content)
            part.replace(path)
        except OSError as error:
            raise ValueError(
                f"{path} cannot be written ({error.strerror}); name another "
                "directory with --out."
            ) from error
