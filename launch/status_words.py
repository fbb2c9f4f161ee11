"""Where a study stands, in words: what the terminal and the page have in common."""

import datetime

from launch import progress
from launch.standing import STATES, Standing, Study


def summary(study: Study) -> str:
    """Returns how far a study is, in one line."""
    runs = "1 run" if len(study.runs) == 1 else f"{len(study.runs)} runs"
    counts = [f"{n} {state}" for state in STATES if (n := study.count(state))]
    parts = [f"{runs}: {', '.join(counts) or 'none'}", f"{study.share:.0%} of the work"]
    if study.rate:
        parts.append(f"{study.rate:,.0f} searched states/s")
    if (left := study.seconds_left) is not None:
        end = datetime.datetime.now() + datetime.timedelta(seconds=left)
        day = "" if left < 12 * 3600 else f"{end:%a %d %b} "
        parts.append(f"end expected in {progress.duration(left)}, at {day}{end:%H:%M}")
    return "; ".join(parts) + "."


def of_run(run: Standing) -> str:
    """Returns how far a run is, in a few words."""
    if run.state == "finished":
        return "finished" if run.score is None else f"{run.score:.4g}"
    if run.state == "running":
        left = run.seconds_left
        more = "" if left is None else f", {progress.duration(left)}"
        return f"{run.share:.0%}{more}"
    if run.state == "stopped":
        return f"stopped, {run.share:.0%}"
    return run.state


def seeds(study: Study) -> list[int]:
    """Returns the seeds of a study in order."""
    return sorted({run.cell.seed for run in study.runs})


def rows(study: Study) -> list[tuple[str, str, dict[int, Standing]]]:
    """Returns frames, fraction and runs by seed of each cell, in order."""
    found: dict[tuple[str, str], dict[int, Standing]] = {}
    for run in study.runs:
        cell = run.cell
        fraction = f"{cell.fraction:.6g}"
        if cell.control_for is not None:
            fraction += f" (control of {cell.control_for:.6g})"
        found.setdefault((f"{cell.frames:,}", fraction), {})[cell.seed] = run
    return [(*name, runs) for name, runs in found.items()]


def troubled(study: Study) -> list[Standing]:
    """Returns the runs that somebody must look at, or that stopped with a reason."""
    bad = [run for run in study.runs if run.state in ("failed", "damaged")]
    stopped = [run for run in study.runs if run.state == "stopped" and run.note]
    return bad + stopped
