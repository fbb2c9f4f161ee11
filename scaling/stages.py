"""The networks of a run at its curve points, kept with `--keep-stages`.

    RUN/stages/<call>/params   the network after that call, as RUN/params is the last

A stage is numbered from 1, in the order of the calls.
"""

import json
import pathlib
from typing import NamedTuple


class Stage(NamedTuple):
    """A network of a run that was kept."""

    call: int  # after which it was kept
    directory: pathlib.Path  # holds the parameters as a run's own directory does


def folder(stages: pathlib.Path, call: int) -> pathlib.Path:
    """Returns where the network of a call is kept."""
    return stages / f"{call:012d}"


def every(run_directory: pathlib.Path) -> list[Stage]:
    """Returns the stages of a run, first to last; none if none were kept."""
    there = sorted((run_directory / "stages").glob("[0-9]*/params"))
    return [Stage(int(path.parent.name), path.parent) for path in there]


def at(run_directory: pathlib.Path, number: int) -> Stage:
    """Returns the stage of a number, from 1.

    Raises:
      ValueError: if there is none, saying which there are.
    """
    found = every(run_directory)
    if not found:
        raise ValueError(
            f"{run_directory} kept no networks of its curve points; make the run with "
            "--keep-stages, or leave --stage out for its last network."
        )
    if not 1 <= number <= len(found):
        calls = ", ".join(f"{n} (call {s.call:,})" for n, s in enumerate(found, 1))
        raise ValueError(
            f"--stage is {number}, but {run_directory} has the stages {calls}; choose "
            "one of them, or leave --stage out for its last network."
        )
    return found[number - 1]


def score(run_directory: pathlib.Path, stage: Stage) -> float | None:
    """Returns the score of the stage's curve point, None if the log has none."""
    try:
        lines = (run_directory / "metrics.jsonl").read_text().splitlines()
        points = [json.loads(line) for line in lines]
        curve = {p["call"]: p["score"] for p in points if p["kind"] == "curve"}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return curve.get(stage.call)
