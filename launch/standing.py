"""How far each run of a study is, read from its directory; nothing is changed there."""

import json
import os
import pathlib
from typing import Any, Literal, NamedTuple

from launch import wanted
from scaling import accounting, config, lease, ledger, results
from scaling.envs import registry

State = Literal["to run", "running", "stopped", "finished", "failed", "damaged"]
STATES: tuple[State, ...] = (
    "finished",
    "running",
    "stopped",
    "to run",
    "failed",
    "damaged",
)
_TAIL = 1 << 16  # bytes of a log that are read from its end


class Standing(NamedTuple):
    """How far a run is."""

    cell: config.Cell
    run_id: str
    state: State
    searched: int  # states, of those that the log has
    total: int  # states in all
    rate: float | None = None  # searched states a second, while it runs
    score: float | None = None
    attempts: int = 0
    by: str = ""  # whose it is now: HOST pid N
    note: str = ""  # of a failure, one line

    @property
    def share(self) -> float:
        """Share of the searched states that are done."""
        return 1.0 if self.state == "finished" else self.searched / max(1, self.total)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until its end at its present rate; None: not known."""
        return (self.total - self.searched) / self.rate if self.rate else None


class Study(NamedTuple):
    """How far a study is."""

    directory: pathlib.Path
    settings: config.Settings
    runs: list[Standing]

    def count(self, state: State) -> int:
        """Returns how many runs are in a state."""
        return sum(run.state == state for run in self.runs)

    @property
    def rate(self) -> float:
        """Searched states a second of all runs that are at work."""
        return sum(run.rate or 0.0 for run in self.runs)

    @property
    def share(self) -> float:
        """Share of all searched states that are done."""
        total = sum(run.total for run in self.runs)
        return sum(run.share * run.total for run in self.runs) / max(1, total)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until all is done at the present rate; None: nothing runs.

        No less than the slowest run at work needs.
        """
        if not self.rate:
            return None
        unfinished = ("to run", "running", "stopped")
        left = sum(
            run.total - run.searched for run in self.runs if run.state in unfinished
        )
        longest = max(run.seconds_left or 0.0 for run in self.runs)
        return max(left / self.rate, longest)


def of_study(directory: pathlib.Path, observer: lease.Observer) -> Study:
    """Returns how far a study is.

    Args:
      directory: of the study.
      observer: of leases; one that has looked for a minute knows stale ones.

    Raises:
      ValueError: if it is not the directory of a study of this version.
    """
    settings = _settings(directory)
    cells = dict.fromkeys(wanted.cells_of(directory))
    cells |= dict.fromkeys(_begun(directory, settings))
    runs = [of_run(directory, settings, cell, observer) for cell in cells]
    runs.sort(key=lambda run: _order(run.cell))
    return Study(directory, settings, runs)


def of_run(
    directory: pathlib.Path,
    settings: config.Settings,
    cell: config.Cell,
    observer: lease.Observer,
) -> Standing:
    """Returns how far the run of a cell is."""
    run_id = config.run_id(settings, cell)
    place = directory / "runs" / run_id
    per_step = registry.frames_per_step(settings.env, settings.protocol)
    total = accounting.account_for(settings, cell, per_step).searched
    standing = Standing(cell, run_id, "to run", 0, total)
    try:
        row, made = results.read_row(place), ledger.attempts(place)
    except ValueError as error:
        return standing._replace(state="damaged", note=str(error))
    standing = standing._replace(attempts=len(made))
    if row is not None:
        return _of_row(standing, row)
    if not made:
        return standing
    lines = _last_lines(place / "metrics.jsonl")
    searched = lines[-1]["searched"] if lines else 0
    standing = standing._replace(searched=searched, note=made[-1].note or "")
    seen = observer.look(place)
    if seen is None or seen.stale:
        return standing._replace(state="stopped")
    return standing._replace(state="running", rate=_rate(lines), by=seen.by, note="")


def _of_row(standing: Standing, row: dict[str, Any]) -> Standing:
    if row.get("status") == "ok":
        return standing._replace(
            state="finished", searched=standing.total, score=row.get("score")
        )
    return standing._replace(state="failed", note=row.get("note") or "")


def _settings(directory: pathlib.Path) -> config.Settings:
    path = directory / "study.json"
    try:
        return config.settings_from_dict(json.loads(path.read_text())["settings"])
    except OSError as error:
        raise ValueError(
            f"{directory} is not the directory of a study: study.json cannot be read "
            f"({error.strerror}); give the --out of a sweep."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is damaged or of another version ({error}); look at it with the "
            "version that made it."
        ) from error


def _begun(directory: pathlib.Path, settings: config.Settings) -> list[config.Cell]:
    """Returns the cells of the runs that have a directory here."""
    found = []
    for path in sorted((directory / "runs").glob("*/config.json")):
        try:
            theirs, cell = config.load_config(path.parent)
        except ValueError:  # shown as damaged if it was wanted
            continue
        if theirs == settings:
            found.append(cell)
    return found


def _order(cell: config.Cell) -> tuple[Any, ...]:
    control = -1.0 if cell.control_for is None else cell.control_for
    return control, cell.frames, cell.fraction, cell.searches or 0, cell.seed


def _last_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """Returns the last lines of training in a log, the newest one last."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            lines = file.read().split(b"\n")
    except OSError:
        return []
    found = []
    for line in lines[:-1]:  # the last one may be half written, the first one cut
        try:
            values = json.loads(line)
            if values["kind"] == "train":
                found.append({k: values[k] for k in ("searched", "seconds")})
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _rate(lines: list[dict[str, Any]]) -> float | None:
    """Returns searched states a second between the last lines of a log."""
    if len(lines) < 2:
        return None
    first, last = lines[max(0, len(lines) - 6)], lines[-1]
    seconds = last["seconds"] - first["seconds"]
    return (last["searched"] - first["searched"]) / seconds if seconds > 0 else None
