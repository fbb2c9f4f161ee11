"""The result row, its columns, and the table made of the rows of all runs.

One run writes one `result.json`; `results.csv` is made from all of them and
replaced in one step, so runs that finish side by side never tear it.
"""

import csv
import io
import json
import os
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

COLUMNS: dict[str, str] = {
    "run_id": "environment, frames, fraction, seed and hash of the settings",
    "study": "hash of all settings except budgets, fractions and seeds",
    "env": "environment, as family:Name",
    "frames": "environment frames of this run's own interaction, the budget",
    "agent_steps": "environment steps (frames / frames_per_step)",
    "frames_per_step": "emulator frames of one agent step",
    "dataset_frames": "frames of a data set that this run learned from",
    "demonstration_frames": "frames of demonstrations that this run learned from",
    "fraction": "requested share of searched states that are stored ones",
    "realised_fraction": "stored searched states / searched states, as run",
    "seed": "seed of everything random in the run",
    "score": "mean return over the evaluation episodes of the final network",
    "score_sd": "standard deviation of the return over those episodes",
    "eval_episodes": "number of evaluation episodes",
    "searched_states": "states searched, fresh and stored",
    "learner_updates": "gradient steps",
    "samples": "positions the learner drew",
    "samples_per_search": "samples / searched states",
    "environments": "environments that stepped together",
    "lanes": "rows of a search batch, fresh and stored",
    "sources": "where stored steps came from, with shares",
    "flops": "floating-point operations of the networks, by closed formula",
    "wall_clock_s": "seconds from start to result, compilation included",
    "hardware": "devices, as the run saw them",
    "status": "ok, failed, diverged or interrupted",
    "attempts": "times the run was started",
    "resumes": "times it went on from a checkpoint",
    "design": "factorial or path",
    "control": "fraction whose number of updates this run took, if a control",
    "score_kind": "final: of the last network; nothing else is a result",
    "curve_of": "run whose learning curve the row belongs to, if it does",
    "behaviour_score": "mean return of the policy that made the data set",
    "random_score": "mean return of the uniformly random policy, if measured",
    "digest": "hash of every action and reward, equal for equal runs",
    "config_hash": "hash of settings and cell",
    "code_version": "version of this program",
    "note": "what a reader of the score must know; the reason of a failure",
}


def write_atomically(path: pathlib.Path, text: str) -> None:
    """Writes `text` so that readers see the old file or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        pathlib.Path(name).unlink(missing_ok=True)
        raise


def write_row(run_directory: pathlib.Path, row: Mapping[str, Any]) -> None:
    """Writes a run's row as its `result.json`.

    Raises:
      ValueError: if the row has a column that is not registered.
    """
    unknown = sorted(set(row) - set(COLUMNS))
    if unknown:
        raise ValueError(
            f"The row has unregistered columns {unknown}; add them to "
            "scaling.results.COLUMNS with a description."
        )
    ordered = {name: row.get(name) for name in COLUMNS}
    text = json.dumps(ordered, indent=1, allow_nan=False) + "\n"
    write_atomically(run_directory / "result.json", text)


def read_row(run_directory: pathlib.Path) -> dict[str, Any] | None:
    """Returns a run's row, or None where there is none yet.

    Raises:
      ValueError: if the file is damaged.
    """
    path = run_directory / "result.json"
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path} is not valid JSON ({error}); delete it to run the cell again."
        ) from error


def write_table(directory: pathlib.Path) -> pathlib.Path:
    """Writes `results.csv` from every `runs/*/result.json`, sorted by run."""
    rows = [read_row(path.parent) for path in directory.glob("runs/*/result.json")]
    present = [row for row in rows if row is not None]
    present.sort(key=_sort_key)
    path = directory / "results.csv"
    write_atomically(path, _as_csv(present))
    return path


def _sort_key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    order = ("env", "fraction", "control", "frames", "seed", "run_id")
    return tuple((row.get(name) is not None, row.get(name)) for name in order)


def _as_csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
