"""A bar for work on a data set: on a terminal, else a line now and then."""

import time
from typing import Any, Self

import rich.console
import rich.progress

from scaling.datasets import importing

LINES_EVERY_S = 30.0  # between lines where there is no terminal


class Bar:
    """How far something is: a bar on a terminal, else a line now and then."""

    def __init__(self, out: rich.console.Console, doing: str):
        self._out, self._doing, self._began = out, doing, time.monotonic()
        self._last = self._began
        self._bar = rich.progress.Progress(
            rich.progress.TextColumn(doing),
            rich.progress.BarColumn(bar_width=40),
            rich.progress.TaskProgressColumn(),
            rich.progress.TimeRemainingColumn(),
            rich.progress.TextColumn("{task.fields[note]}", markup=False),
            console=out,
            disable=not out.is_terminal,
        )
        self._task = self._bar.add_task(doing, total=1.0, note="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def imported(self, progress: importing.Progress) -> None:
        """Shows how far a store is."""
        rate = progress.steps / max(1e-9, time.monotonic() - self._began)
        note = f"{progress.episodes:,} episodes, {rate:,.0f} steps/s"
        self._show(progress.share, note)

    def verified(self, share: float) -> None:
        """Shows a check of a store."""
        self._show(share, "")

    def _show(self, share: float, note: str) -> None:
        self._bar.update(self._task, completed=share, note=note)
        now = time.monotonic()
        if not self._out.is_terminal and now - self._last > LINES_EVERY_S:
            self._last = now
            say(self._out, f"{self._doing}: {share:.0%} {note}")


def say(out: rich.console.Console, line: Any) -> None:
    """Prints a line as it is, however long."""
    out.print(line, soft_wrap=True, markup=False)
