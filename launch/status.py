"""Shows where a study stands."""

import contextlib
import dataclasses
import pathlib
import time
from collections.abc import Sequence
from typing import Annotated

import rich.box
import rich.console
import rich.live
import rich.table
import rich.text
import tyro

from launch import command, display, standing, status_page, status_words
from scaling import lease, results
from scaling.buckets import keeping, mirror

DESCRIPTION = """Shows where a study stands: each run's score, or how far it is, what is
left, when it will end, and why runs failed. It reads the study's directory and changes
no run; the same is written to DIR/status.html. A run whose process died on another
machine is shown as running until it was watched for a minute (--watch)."""
GO_ON = "The study is as it was."
COLOURS = {
    "finished": "green",
    "running": "bold blue",
    "stopped": "yellow",
    "to run": "dim",
    "failed": "bold red",
    "damaged": "bold red",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Status:
    """The flags of `status.py`."""

    directory: Annotated[pathlib.Path, tyro.conf.Positional] = pathlib.Path("results")
    """Directory of the study, or gs://… or s3://…: as it was last copied there."""
    watch: float | None = None
    """Seconds after which to look again, until Ctrl-C (default: look once)."""


def status(argv: Sequence[str]) -> int:
    """Shows where the study stands; returns the exit status: 1 if runs failed.

    Raises:
      ValueError: if there is no such study, or the seconds are out of range.
    """
    flags = tyro.cli(Status, args=list(argv), description=DESCRIPTION)
    if flags.watch is not None and not 0 < flags.watch < float("inf"):
        raise ValueError(
            f"--watch is a number of seconds; got {flags.watch}, use 5 or so."
        )
    with keeping.visiting(flags.directory, mirror.STATES) as visit:
        return _show(flags, visit)


def _show(flags: Status, visit: keeping.Visit | None) -> int:
    observer, out = lease.Observer(), display.console()
    study = _look(flags, observer, visit)
    if visit is not None and (owner := visit.owner()) is not None:
        out.print(
            f"As last copied by {owner}, which has not said that it ended: what is "
            "stopped here may go on there.",
            soft_wrap=True,
            markup=False,
        )
    if flags.watch is None:
        out.print(_shown(study))
    else:
        with rich.live.Live(_shown(study), console=out, auto_refresh=False) as live:
            while study.count("finished") + study.count("failed") < len(study.runs):
                time.sleep(flags.watch)
                if visit is not None:
                    visit.refresh()
                study = _look(flags, observer, visit)
                live.update(_shown(study), refresh=True)
    return 1 if study.count("failed") + study.count("damaged") else 0


def _look(
    flags: Status, observer: lease.Observer, visit: keeping.Visit | None
) -> standing.Study:
    """Returns where the study stands, and writes its page."""
    directory = flags.directory if visit is None else visit.directory
    study = standing.of_study(directory, observer)
    page = status_page.page(study, flags.watch)
    with contextlib.suppress(OSError):  # the study may be another's
        results.write_atomically(directory / "status.html", page)
    return study


def _shown(study: standing.Study) -> rich.console.Group:
    seeds = status_words.seeds(study)
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for name in ("frames", "fraction", *(f"seed {seed}" for seed in seeds)):
        table.add_column(name, justify="right", no_wrap=True)
    for frames, fraction, runs in status_words.rows(study):
        table.add_row(frames, fraction, *(_cell(runs.get(seed)) for seed in seeds))
    lines = [rich.text.Text(status_words.summary(study))]
    lines += [
        rich.text.Text(f"{run.state.capitalize()}: {run.run_id}: {run.note}")
        for run in status_words.troubled(study)
    ]
    return rich.console.Group(table, *lines)


def _cell(run: standing.Standing | None) -> rich.text.Text:
    if run is None:
        return rich.text.Text("")
    return rich.text.Text(status_words.of_run(run), style=COLOURS[run.state])


if __name__ == "__main__":
    command.run(status, GO_ON)
