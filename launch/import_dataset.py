"""Imports a data set into the project's own lossless store of episodes."""

import dataclasses
import pathlib
import shlex
from collections.abc import Sequence
from typing import Annotated

import tyro

from launch import command, display, stores
from launch.bar import Bar, say
from scaling import config
from scaling.buckets import flags as buckets
from scaling.datasets import episodes, importing, sources
from scaling.envs import registry

DESCRIPTION = """Makes PATH, a lossless store of whole episodes, of a data set that is
on this machine: a Minari dataset (its folder or its name), RL Unplugged's Atari
TFRecords (a file or the folder of a game), DQN Replay's dumps (the folder of a run), or
with --from-run what one of this project's runs has stored. Nothing is downloaded.
Interrupted, the same command goes on."""
GO_ON = "What is whole is kept; the same command goes on."


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportDataset:
    """The flags of `import_dataset.py`."""

    source: Annotated[str | None, tyro.conf.Positional] = None
    """The data set: a file, a folder (gs://… and s3://… are copied here before), or the
    name of a local Minari dataset."""
    from_run: pathlib.Path | None = None
    """Instead of it a run, DIR/runs/RUN_ID: the whole episodes in its stores, which a
    finished run keeps only if it is made with --keep-replay."""
    out: pathlib.Path
    """Directory to make; a finished one is left as it is. gs://BUCKET/FOLDER and
    s3://BUCKET/FOLDER get it when it is whole."""
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
    given = tyro.cli(ImportDataset, args=list(argv), description=DESCRIPTION)
    words = shlex.join(["import_dataset.py", *argv])
    with buckets.here(given, keeps=("out",)) as flags:
        return _import_here(flags, words)


def _import_here(flags: ImportDataset, words: str) -> int:
    """Makes the store in a directory of this machine."""
    try:
        _import(flags, words)
    except OSError as error:
        where = error.filename or flags.out
        raise ValueError(
            f"{where} cannot be read or written ({error.strerror or error}). {GO_ON}"
        ) from error
    return 0


def _import(flags: ImportDataset, words: str) -> None:
    source = _opened(flags)
    if source.header.provenance.get("command") is None:
        source.header = source.header.with_command(words)
    console = display.console()
    store = stores.finished(flags.out, source.header)
    if store is None:
        with Bar(console, "importing") as bar:
            store = importing.import_source(source, flags.out, bar.imported)
        if source.left_out:
            say(console, f"Left out: {source.left_out:,} steps of cut episodes.")
    if flags.verify:
        with Bar(console, "verifying") as bar:
            episodes.verify(flags.out, bar.verified)
    checked = ", every checksum verified" if flags.verify else ""
    say(console, stores.summary(store) + checked)


def _opened(flags: ImportDataset) -> importing.Source:
    """Returns the source that the flags name."""
    if flags.source is not None and flags.from_run is None:
        return _data_set(flags.source, flags)
    if flags.source is not None or flags.from_run is None:
        raise ValueError(
            "Name one thing to import: a data set as SOURCE, or a run with --from-run."
        )
    for_others = {"env": flags.env, "actions": flags.actions}
    given = [name for name, value in for_others.items() if value is not None]
    if given or flags.allow_lossy:
        raise ValueError(
            f"--{(given or ['allow-lossy'])[0]} is for data sets of others; leave it "
            "out with --from-run."
        )
    return _own_run(flags.from_run)


def _own_run(directory: pathlib.Path) -> importing.Source:
    from scaling import sharding  # late: `--help` must not load JAX

    sharding.start()
    from scaling import recorded

    return recorded.OwnRun(directory)


def _data_set(named: str, flags: ImportDataset) -> importing.Source:
    """Returns the data set of a name, its environment checked."""
    if (pathlib.Path(named) / "config.json").is_file():
        raise ValueError(f"{named} is a run; import its episodes with --from-run.")
    layout = sources.find(named)
    env = flags.env or layout.env
    if env is not None:
        registry.check_name(env, config.Protocol())
    lossy = "decode" if flags.allow_lossy else "refuse"
    return sources.open_source(layout, flags.env, flags.actions, lossy)


if __name__ == "__main__":
    command.run(import_dataset, GO_ON)
