"""The result row, its columns, and the table made of the rows of all runs.

One run writes one `result.json`; `results.csv` is made from all of them and
replaced in one step, so runs that finish side by side never tear it.
"""

import csv
import fcntl
import importlib.metadata
import io
import json
import os
import pathlib
import uuid
from collections.abc import Mapping
from typing import Any

from scaling import config

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
    "sources": "where stored states came from, with the shares as run",
    "target": "what the policy learned: reanalyse (a search), supervised (logged), crr",
    "unroll_steps": "model steps of the loss, K; at 0 there is no model",
    "acting": "how training acts: mcts, policy or value; empty at fraction 1",
    "action": "how evaluation acts: mcts, policy (sampled) or value (one model step)",
    "score_mcts": "mean return of the final network that acts by a search",
    "score_policy": "the same by a sample of the policy head",
    "score_value": "the same by the highest value after one model step",
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
    "dataset": "name and content of the borrowed data, as name@hash",
    "dataset_episodes": "episodes of the borrowed data that this run learned from",
    "dataset_best_tenth": "mean return of the best tenth of those episodes",
    "behaviour_score": "mean return of those episodes: of the policy that made them",
    "random_score": "mean return of the uniformly random policy, if measured",
    "digest": "hash of every action and reward, equal for equal runs",
    "config_hash": "hash of settings and cell",
    "code_version": "version of this program",
    "note": "what a reader of the score must know; the reason of a failure",
}


def write_atomically(path: pathlib.Path, text: str) -> None:
    """Writes `text` so that readers see the old file or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("x", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def identity(
    settings: config.Settings, cell: config.Cell, design: str
) -> dict[str, Any]:
    """Returns the columns of a row that are known before the run."""
    return {
        "run_id": config.run_id(settings, cell),
        "study": config.study_hash(settings),
        "env": settings.env,
        "frames": cell.frames if cell.fraction < 1 else 0,
        "dataset_frames": 0 if cell.fraction < 1 else cell.frames,
        "demonstration_frames": 0,
        "fraction": cell.fraction,
        "seed": cell.seed,
        "design": design,
        "control": cell.control_for,
        "dataset": _data(settings, cell),
        "target": settings.learner.target,
        "unroll_steps": settings.learner.unroll_steps,
        "acting": settings.acting.action if cell.fraction < 1 else "",
        "action": settings.evaluation.action,
        "config_hash": config.config_hash(settings, cell),
        "code_version": importlib.metadata.version("scaling-unplugged"),
    }


def _data(settings: config.Settings, cell: config.Cell) -> str | None:
    """Returns the data set of fraction 1, else the demonstrations, if there are any."""
    data = settings.data
    return (data.dataset if cell.fraction == 1 else data.demonstrations) or None


def failed_row(
    known: Mapping[str, Any], status: str, note: str, attempts: int, resumes: int = 0
) -> dict[str, Any]:
    """Returns the row of a run that ended without a score, and why.

    Args:
      known: columns known before the run, as `identity` gives them.
      status: failed or diverged.
      note: the reason, one line.
      attempts: times the run was started, this one included.
      resumes: times it went on from a checkpoint.
    """
    tries = {"attempts": attempts, "resumes": resumes}
    return {**known, "status": status, "note": note, **tries}


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


def remove_row(run_directory: pathlib.Path) -> bool:
    """Takes a run's row away, since the run is made again; tells if there was one."""
    try:
        (run_directory / "result.json").unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def read_row(run_directory: pathlib.Path) -> dict[str, Any] | None:
    """Returns a run's row, or None where there is none yet.

    A row of an older version may lack columns.

    Raises:
      ValueError: if the file is damaged, or of a version with other columns.
    """
    path = run_directory / "result.json"
    try:
        row = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:  # not JSON, or not UTF-8
        raise ValueError(
            f"{path} is not valid JSON ({error}); delete it to run the cell again."
        ) from error
    if not isinstance(row, dict):
        raise ValueError(f"{path} holds no row; delete it to run the cell again.")
    if unknown := ", ".join(sorted(set(row) - set(COLUMNS))):
        raise ValueError(
            f"{path} was written by another version of this program: its columns "
            f"{unknown} are unknown here; use that version, or delete the file to run "
            "the cell again."
        )
    return row


def write_table(directory: pathlib.Path) -> pathlib.Path:
    """Writes `results.csv` from every `runs/*/result.json`, sorted by run.

    One writer at a time: of two that end together the later one reads both rows.

    Raises:
      ValueError: if a run's file is damaged; the table has all others then.
    """
    path = directory / "results.csv"
    with (directory / ".results.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file closes
        rows, damaged = _read_rows(directory)
        write_atomically(path, _as_csv(rows))
    if damaged:
        raise ValueError(" ".join(damaged))
    return path


def read_rows(directory: pathlib.Path) -> list[dict[str, Any]]:
    """Returns the rows of every run under `directory`, in the table's order.

    Raises:
      ValueError: if a run's file is damaged.
    """
    rows, damaged = _read_rows(directory)
    if damaged:
        raise ValueError(" ".join(damaged))
    return rows


def _read_rows(directory: pathlib.Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Returns the rows that are sound, and a sentence for each other one."""
    rows, damaged = [], []
    for path in sorted(directory.glob("runs/*/result.json")):
        try:
            row = read_row(path.parent)
        except ValueError as error:
            damaged.append(str(error))
            continue
        rows += [] if row is None else [row]
    return sorted(rows, key=_sort_key), damaged


def _sort_key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    order = ("env", "fraction", "control", "frames", "seed", "run_id")
    return tuple((row.get(name) is not None, row.get(name)) for name in order)


def _as_csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(
        text, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
