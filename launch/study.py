"""A study on disk: whose directory it is, what is done, what is left to run.

DIR/study.json              settings, which no two studies share
DIR/runs/<run_id>/          one run; result.json is its row
DIR/results.csv             the rows of all runs
"""

import dataclasses
import json
import pathlib
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from launch import attempt
from launch.executors.task import Task
from scaling import accounting, config, execution, ledger, results
from scaling.envs import registry

State = Literal["new", "begun", "finished", "failed"]


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


def left(
    tasks: Sequence[Task], planned: Sequence[Planned], rules: attempt.Rules
) -> list[Task]:
    """Returns what is left to run of the tasks of a plan."""
    done = {"finished"} if rules.failed_rows == "retry" else {"finished", "failed"}
    return [
        task
        for task, each in zip(tasks, planned, strict=True)
        if each.state not in done
    ]


def left_failed(
    tasks: Sequence[Task], planned: Sequence[Planned], rules: attempt.Rules
) -> list[Task]:
    """Returns the tasks that have failed and are left alone."""
    states = {each.run_id: each.state for each in planned}
    kept = set(states) - {task.run_id for task in left(tasks, planned, rules)}
    return [t for t in tasks if t.run_id in kept and states[t.run_id] == "failed"]


def check(directory: pathlib.Path, settings: config.Settings) -> None:
    """Refuses a directory that belongs to another study; writes nothing.

    Raises:
      ValueError: naming the settings that differ, or the damaged file.
    """
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"{directory} is a file; choose another directory with --out.")
    path = directory / "study.json"
    try:
        old = _flat(json.loads(path.read_text())["settings"])
    except FileNotFoundError:
        return
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}); choose another directory with "
            "--out."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is damaged ({error!r}); choose another directory with --out, or "
            "delete the file if you know that the settings are the same."
        ) from error
    new = _flat(config.as_dict(settings))
    if other := sorted(set(old) ^ set(new)):
        raise ValueError(
            f"{directory} was made by another version of this program, with other "
            f"settings ({', '.join(other)}); choose another directory with --out. Its "
            "table can be read as before: python analysis/fit_scaling.py --results "
            f"{directory}."
        )
    different = [name for name in new if old[name] != new[name]]
    if different:
        changes = "; ".join(
            f"--{name.replace('_', '-')} is {old[name]!r} there, {new[name]!r} here"
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
        for folder in (directory, directory / "runs"):  # it may be another's
            tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(
            f"{directory} cannot be written ({error.strerror}); choose another "
            "directory with --out, or free some space."
        ) from error


def _state(run_directory: pathlib.Path) -> State:
    row, made = results.read_row(run_directory), ledger.attempts(run_directory)
    if row is None:
        return "begun" if made else "new"
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
