"""Keeps a study's table up to date while runs are made, and remembers what failed."""

import contextlib
import pathlib
from collections.abc import Iterator, Sequence

import rich.console

from launch import errors, progress
from launch.executors.task import Event, Task
from scaling import peers, results


class Keeper:
    """An executor's report that keeps the table up to date, and shows events.

    Args:
      directory: of the study.
      show: told of every event.
      left_failed: runs that have a failed row and are left alone.
    """

    def __init__(
        self, directory: pathlib.Path, show: progress.Display, left_failed: list[Task]
    ):
        self._directory, self._show = directory, show
        self.failed = list(left_failed)

    def __call__(self, event: Event) -> None:
        """Writes what the event means for the table, then shows it."""
        if event.kind == "failed":
            self.failed.append(event.task)
        self._show(event)
        if event.kind in ("finished", "failed"):
            write_table(self._directory)


@contextlib.contextmanager
def disk(directory: pathlib.Path) -> Iterator[None]:
    """Turns what the disk of a study refuses into a sentence.

    Raises:
      ValueError: instead of such an error.
    """
    try:
        yield
    except Exception as error:
        sentence = errors.of_the_disk(error, directory)
        if sentence is None:
            raise
        raise ValueError(sentence) from error


def write_table(directory: pathlib.Path) -> str | None:
    """Writes the table; returns a sentence if a row is damaged and so not in it."""
    try:
        results.write_table(directory)
    except ValueError as error:
        return str(error)
    return None


def close(
    out: rich.console.Console,
    directory: pathlib.Path,
    failed: Sequence[Task],
    left: Sequence[Task],
) -> int:
    """Prints where the table is and what to do next; returns the exit status.

    Args:
      out: where to.
      directory: of the study.
      failed: runs that have a failed row.
      left: runs that can go on.
    """

    def say(text: str) -> None:
        out.print(text, soft_wrap=True, markup=False)

    damaged = write_table(directory)
    say(f"Table: {directory / 'results.csv'}")
    if damaged:
        say(f"Not in the table: {damaged}")
    for task in failed:
        say(f"Failed: {task.run_id}, see {task.directory / 'log.txt'}")
    if failed:
        say("Failed runs are left alone; --retry-failed runs them again.")
    for task in left:
        say(f"Interrupted: {task.run_id}; the same command goes on with it.")
    where = "" if str(directory) == "results" else f" --results {directory}"
    say(f"Next: python analysis/fit_scaling.py{where}")
    if failed or damaged:
        return 1
    return peers.RESUME_STATUS if left else 0
