"""What a user sees while runs are made: live bars on a terminal, else plain lines.

Both are an executor's `Report`, to be used in a `with` block.
"""

import datetime
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self

import rich.console
import rich.progress

from launch.executors.task import Event, Task

LINES_EVERY_S = 30.0  # between lines on how far all is, where there is no terminal


class Tally:
    """How far a set of tasks is, counted from their events.

    Rates are taken from what is gained between reports: what was compiled before the
    first, or made before a run went on from a checkpoint, says nothing about how fast
    the rest will be.
    """

    def __init__(self, tasks: Sequence[Task]):
        self.runs, self.finished, self.failed = len(tasks), 0, 0
        self._total = max(1, sum(task.work for task in tasks))
        self._shares: dict[str, float] = {}  # of each run's work that is done
        self._work = {task.run_id: task.work for task in tasks}
        self._searched: dict[str, int] = {}  # in the attempt that is at work
        self._since: float | None = None  # the first report
        self._gained_searched, self._gained_share = 0, 0.0

    def count(self, event: Event) -> None:
        """Takes an event into account."""
        run_id = event.task.run_id
        if event.kind == "progress" and "searched" in event.detail:
            self._advance(event)
        elif event.kind in ("finished", "failed"):
            self._shares[run_id] = 1.0
            self.finished += event.kind == "finished"
            self.failed += event.kind == "failed"
        elif event.kind == "started":
            self._searched.pop(run_id, None)

    def _advance(self, event: Event) -> None:
        """Takes a report of searched states into account."""
        run_id, searched = event.task.run_id, event.detail["searched"]
        total = max(1, event.detail["searched_total"])
        gained = searched - self._searched.get(run_id, searched)
        self._searched[run_id] = searched
        self._shares[run_id] = searched / total
        self._gained_searched += gained
        self._gained_share += gained / total * self._work[run_id] / self._total
        if self._since is None:
            self._since = time.monotonic()

    @property
    def share(self) -> float:
        """Share of the predicted work that is done."""
        done = sum(self._work[run] * share for run, share in self._shares.items())
        return done / self._total

    def summary(self) -> str:
        """Returns runs done, rate and expected end in one line."""
        parts = [f"{self.finished + self.failed} of {self.runs} runs"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self._since is not None and self._gained_share > 0:
            elapsed = max(1e-9, time.monotonic() - self._since)
            rate = self._gained_searched / elapsed
            parts.append(f"{rate:,.0f} searched states/s")
            left = elapsed * (1 - self.share) / self._gained_share
            end = datetime.datetime.now() + datetime.timedelta(seconds=left)
            parts.append(f"end expected in {duration(left)}, at {end:%H:%M}")
        return ", ".join(parts)


class Display(Protocol):
    """Shows what happens to a set of tasks."""

    def __enter__(self) -> Self:
        """Begins to show."""
        ...

    def __exit__(self, *exception: object) -> None:
        """Leaves the output as it was."""
        ...

    def __call__(self, event: Event) -> None:
        """Shows an event."""
        ...


class Lines:
    """Plain lines: one for each beginning and end, and one now and then."""

    def __init__(self, out: rich.console.Console, tasks: Sequence[Task]):
        self._out, self._tally = out, Tally(tasks)
        self._last = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __call__(self, event: Event) -> None:
        """Prints what the event means, if it is worth a line."""
        self._tally.count(event)
        if (text := _line(event)) is not None:
            self._print(text)
        elif time.monotonic() - self._last > LINES_EVERY_S:
            self._print(self._tally.summary())

    def _print(self, line: str) -> None:
        self._last = time.monotonic()
        self._out.print(line, soft_wrap=True, markup=False)
        self._out.file.flush()


class Live:
    """A bar for all runs and one for each worker; what ends scrolls by above."""

    def __init__(self, out: rich.console.Console, tasks: Sequence[Task], parallel: int):
        self._out, self._tally = out, Tally(tasks)
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}", markup=False),
            rich.progress.BarColumn(bar_width=24),
            rich.progress.TaskProgressColumn(),
            rich.progress.TextColumn("{task.fields[note]}", markup=False),
            console=out,
        )
        self._all = self._bars.add_task("all runs", total=1.0, note="")
        self._places = [
            self._bars.add_task("", total=1.0, note="", visible=False)
            for _ in range(parallel)
        ]

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def __call__(self, event: Event) -> None:
        """Moves the bars; prints a line when a run has ended."""
        self._tally.count(event)
        bar = self._places[event.worker]
        text = _line(event)
        if event.kind == "started":
            self._bars.reset(bar, description=event.task.run_id, visible=True)
            self._bars.update(bar, note="starting")
            text = None
        elif event.kind == "progress":
            self._bars.update(bar, **_bar(event.detail))
        else:
            self._bars.update(bar, visible=False)
        if text is not None:
            self._out.print(text, soft_wrap=True, markup=False)
        share, note = self._tally.share, self._tally.summary()
        self._bars.update(self._all, completed=share, note=note)


def display_for(
    out: rich.console.Console, tasks: Sequence[Task], parallel: int
) -> Display:
    """Returns the display that suits `out`."""
    return Live(out, tasks, parallel) if out.is_terminal else Lines(out, tasks)


def duration(seconds: float) -> str:
    """Returns a duration as a person says it: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _bar(detail: dict[str, Any]) -> dict[str, Any]:
    """Returns what a run's report changes in its bar."""
    if detail["event"] == "phase":
        return {"note": detail["name"]}
    if "searched" not in detail:
        return {}
    share = detail["searched"] / max(1, detail["searched_total"])
    updates = f", {detail['updates']:,} updates" if "updates" in detail else ""
    return {"completed": share, "note": f"{detail['searched']:,} searched{updates}"}


def _line(event: Event) -> str | None:
    """Returns the line that an event is worth, None if it is worth none."""
    if event.kind == "progress":
        if event.detail["event"] != "resumed":
            return None
        text = _resumed(event.detail)
    else:
        text = _NEWS[event.kind](event.detail)
    return f"{event.task.run_id}: {text}"


def _resumed(detail: dict[str, Any]) -> str:
    """Returns where a run goes on, and which checkpoints were of no use."""
    skipped = detail.get("skipped", ())
    return " ".join([f"goes on from call {detail['call']:,}.", *skipped])


def _again(detail: dict[str, Any]) -> str:
    which = f"attempt {detail['number']} " if "number" in detail else "its start "
    return f"{which}failed and is made again: {detail['note']}"


def _finished(detail: dict[str, Any]) -> str:
    """Returns a score and its cost, as far as they are known."""
    row = detail["row"]
    text = f"score {row['score']:,.1f}" if row.get("score") is not None else "finished"
    if row.get("score_sd") is not None:
        text += f" (sd {row['score_sd']:,.1f})"
    if row.get("wall_clock_s") is not None:
        text += f" in {duration(row['wall_clock_s'])}"
    return text


_NEWS: dict[str, Callable[[dict[str, Any]], str]] = {
    "started": lambda detail: "started",
    "finished": _finished,
    "failed": lambda detail: f"FAILED: {detail['note']}",
    "again": _again,
    "interrupted": lambda detail: f"interrupted: {detail['note']}",
    "taken": lambda detail: f"taken by {detail['by']}; waiting for it",
}
