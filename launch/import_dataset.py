"""Imports a data set into the project's own lossless store of episodes."""

import dataclasses
import pathlib
import shlex
import time
from collections.abc import Sequence
from typing import Annotated, Any, Self

import rich.console
import rich.progress
import tyro

from launch import command, display
from scaling import config
from scaling.datasets import (
    episodes,
    importing,
    manifest,
    manifest_file,
    sources,
    writer,
)
from scaling.envs import registry

DESCRIPTION = """Makes PATH, a lossless store of whole episodes, of a data set that is
on this machine: a Minari dataset (its folder or its name), RL Unplugged's Atari
TFRecords (a file or the folder of a game) or DQN Replay's dumps (the folder of a run).
Nothing is downloaded. Interrupted, the same command goes on."""
GO_ON = "What is whole is kept; the same command goes on."
LINES_EVERY_S = 30.0  # between lines where there is no terminal


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportDataset:
    """The flags of `import_dataset.py`."""

    source: Annotated[str, tyro.conf.Positional]
    """The data set: a file, a folder, or the name of a local Minari dataset."""
    out: pathlib.Path
    """Directory to make; a finished one is left as it is."""
    env: str | None = None
    """Environment as family:Name; None: what the data set or its folders say."""
    actions: str | None = None
    """Atari: the environment's actions for the source's 0, 1, …, as 0,2,5; None: the
    game's minimal set, as Dopamine has it, mapped to all its actions."""
    allow_lossy: bool = False
    """Import images that are stored as JPEG, which play will not reproduce."""
    verify: bool = False
    """Read the whole store when it is finished and compare every checksum."""


def import_dataset(argv: Sequence[str]) -> int:
    """Makes the store that the flags describe; returns the exit status.

    Raises:
      ValueError: if the source cannot be imported; nothing is written then but what
        is whole, which the same command goes on with.
    """
    flags = tyro.cli(ImportDataset, args=list(argv), description=DESCRIPTION)
    try:
        _import(flags, shlex.join(["import_dataset.py", *argv]))
    except OSError as error:
        where = error.filename or flags.out
        raise ValueError(
            f"{where} cannot be read or written ({error.strerror or error}). {GO_ON}"
        ) from error
    return 0


def _import(flags: ImportDataset, words: str) -> None:
    source = _opened(flags, words)
    console = display.console()
    store = _finished(flags.out, source)
    if store is None:
        with Bar(console, "importing") as bar:
            store = importing.import_source(source, flags.out, bar.imported)
        if source.left_out:
            _say(console, f"Left out: {source.left_out:,} steps of cut episodes.")
    if flags.verify:
        with Bar(console, "verifying") as bar:
            episodes.verify(flags.out, bar.verified)
    _say(console, _summary(store, flags.verify))


def _opened(flags: ImportDataset, words: str) -> importing.Source:
    """Returns the source that the flags name, its environment checked."""
    layout = sources.find(flags.source)
    env = flags.env or layout.env
    if env is not None:
        registry.check_name(env, config.Protocol())
    lossy = "decode" if flags.allow_lossy else "refuse"
    source = sources.open_source(layout, flags.env, flags.actions, lossy)
    if source.header.provenance.get("command") is None:
        source.header = source.header.with_command(words)
    return source


def _finished(
    out: pathlib.Path, source: importing.Source
) -> episodes.EpisodeStore | None:
    """Returns the store if it is finished; refuses one of another source."""
    writer.settle(out)
    if not (out / manifest_file.NAME).is_file():
        return None
    store = episodes.open_store(out)
    if not importing.is_of(store.header, source.header):
        raise ValueError(
            f"{out} holds another data set, or this one by other flags; name another "
            "--out."
        )
    return store


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
        """Shows an import."""
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
            _say(self._out, f"{self._doing}: {share:.0%} {note}")


def _summary(store: episodes.EpisodeStore, verified: bool) -> str:
    stats: manifest.Statistics = store.statistics()
    protocol = store.header.protocol
    returns = (
        f"mean return {stats.mean_return:,.1f} (sd {stats.sd_return:,.1f}, best "
        f"{stats.best_return:,.1f})"
    )
    checked = ", every checksum verified" if verified else ""
    return (
        f"{store.path}: {stats.episodes:,} episodes of {protocol.env}, "
        f"{stats.steps:,} steps, {stats.frames:,} frames, {protocol.reward_kind} "
        f"rewards, {returns}{checked}"
    )


def _say(out: rich.console.Console, line: Any) -> None:
    out.print(line, soft_wrap=True, markup=False)


if __name__ == "__main__":
    command.run(import_dataset, GO_ON)
