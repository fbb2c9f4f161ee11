"""A study on disk: whose directory it is, what is done, what is left to run.

DIR/study.json              settings, which no two studies share
DIR/runs/<run_id>/          one run; result.json is its row
DIR/results.csv             the rows of all runs
"""

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from launch.executors.task import Task
from scaling import accounting, config, execution, results
from scaling.envs import registry

State = Literal["new", "finished", "failed"]


class Planned(NamedTuple):
    """A cell, its exact account, and how far it is."""

    cell: config.Cell
    account: accounting.Account
    run_id: str
    state: State


def plan(
    settings: config.Settings, cells: Iterable[config.Cell], directory: pathlib.Path
) -> list[Planned]:
    """Returns every cell with its account and its state in `directory`.

    Raises:
      ValueError: if a cell cannot be run as asked, or a row on disk is damaged.
    """
    frames_per_step = registry.frames_per_step(settings.env, settings.protocol)
    return [
        Planned(
            cell=cell,
            account=accounting.account_for(settings, cell, frames_per_step),
            run_id=(run_id := config.run_id(settings, cell)),
            state=_state(directory / "runs" / run_id),
        )
        for cell in cells
    ]


def tasks(
    settings: config.Settings,
    planned: Sequence[Planned],
    directory: pathlib.Path,
    how: execution.Execution,
) -> list[Task]:
    """Returns the plan's runs, each sized for the largest budget of the plan."""
    largest = max(each.cell.frames for each in planned)
    how = dataclasses.replace(how, allocate_frames=largest)
    return [
        Task(
            run_id=each.run_id,
            settings=settings,
            cell=each.cell,
            directory=directory / "runs" / each.run_id,
            how=how,
            group=(each.account.stored_slots, each.cell.control_for),
            work=each.account.searched + each.account.samples,
        )
        for each in planned
    ]


def left(tasks: Sequence[Task], planned: Sequence[Planned]) -> list[Task]:
    """Returns what is left to run of the tasks of a plan."""
    pairs = zip(tasks, planned, strict=True)
    return [task for task, each in pairs if each.state != "finished"]


def check(directory: pathlib.Path, settings: config.Settings) -> None:
    """Refuses a directory that belongs to another study; writes nothing.

    Raises:
      ValueError: naming the settings that differ, or the damaged file.
    """
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"{directory} is a file; choose another directory with --out.")
    path = directory / "study.json"
    try:
        there = json.loads(path.read_text())["settings"]
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged ({error!r}); choose another directory with --out, or "
            "delete the file if you know that the settings are the same."
        ) from error
    old, new = _flat(there), _flat(config.as_dict(settings))
    different = [name for name in {**new, **old} if old.get(name) != new.get(name)]
    if different:
        changes = "; ".join(
            f"--{name.replace('_', '-')} is {old.get(name)!r} there, "
            f"{new.get(name)!r} here"
            for name in different
        )
        raise ValueError(
            f"{directory} belongs to another study: {changes}. Choose another "
            "directory with --out, or use the same settings."
        )


def claim(directory: pathlib.Path, settings: config.Settings) -> None:
    """Makes `directory` the study of these settings, or finds that it is.

    Raises:
      ValueError: if it belongs to another study or cannot be written.
    """
    check(directory, settings)
    path = directory / "study.json"
    values = {
        "study": config.study_hash(settings),
        "settings": config.as_dict(settings),
    }
    try:
        if not path.exists():
            results.write_atomically(path, json.dumps(values, indent=1) + "\n")
        (directory / "runs").mkdir(exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"{directory} cannot be written ({error.strerror}); choose another "
            "directory with --out."
        ) from error


def record_failure(task: Task, status: str, note: str) -> None:
    """Writes the row of a run that failed: how (`status`) and why, in one line."""
    known = results.identity(task.settings, task.cell, task.how.design)
    attempts = results.attempts_before(task.directory) + 1
    results.write_row(task.directory, results.failed_row(known, status, note, attempts))


def _state(run_directory: pathlib.Path) -> State:
    row = results.read_row(run_directory)
    if row is None:
        return "new"
    return "finished" if row.get("status") == "ok" else "failed"


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested settings as `{"learner.batch_size": 256}`."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
