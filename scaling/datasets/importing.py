"""Importing: from a source of episodes into a store."""

import dataclasses
import importlib.metadata
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from scaling.datasets import episodes, manifest, writer


class Read(NamedTuple):
    """An episode of a source."""

    episode: episodes.Episode
    origin: manifest.Origin
    share: float  # of the source that has been read, 0 to 1


@runtime_checkable
class Source(Protocol):
    """A data set of another project, opened."""

    header: manifest.Header
    left_out: int  # steps that were read but belong to no whole episode

    def episodes(self, skip: int) -> Iterator[Read]:
        """Yields its whole episodes in a fixed order, without the first `skip`.

        Raises:
          ValueError: naming the file and the episode that cannot be read.
        """
        ...


class Progress(NamedTuple):
    """How far an import is."""

    episodes: int  # in the store, the ones from before included
    steps: int  # read by this process
    share: float  # of the source that has been read


def import_source(
    source: Source,
    path: pathlib.Path,
    report: Callable[[Progress], None] = lambda progress: None,
) -> episodes.EpisodeStore:
    """Makes the store `path` from a source, or goes on where that was interrupted.

    Args:
      source: what to read.
      path: directory to make.
      report: told after each episode.

    Raises:
      ValueError: naming the file and the episode that is damaged or does not fit; the
        chunks before it are kept beside `path`, which is not made.
    """
    with writer.EpisodeWriter(path, source.header) as store:
        steps = 0
        for number, read in enumerate(source.episodes(store.kept), store.kept + 1):
            store.append(read.episode, read.origin)
            steps += len(read.episode.actions)
            report(Progress(number, steps, read.share))
        store.finish()
    return episodes.open_store(path)


def is_of(store: manifest.Header, source: manifest.Header) -> bool:
    """Returns whether a finished store was made of a source, however commanded."""
    kind = store.protocol.reward_kind  # decided at the end
    protocol = dataclasses.replace(source.protocol, reward_kind=kind)
    source = dataclasses.replace(source, protocol=protocol)
    return store == source.with_command(store.provenance.get("command"))


def provenance(kind: str, source: pathlib.Path, **known: Any) -> dict[str, Any]:
    """Returns what a header says of where data came from.

    Args:
      kind: layout of the source.
      source: what was imported; its name is kept, not where it lay.
      **known: licence, citation and the like; JSON values.
    """
    version = importlib.metadata.version("scaling-unplugged")
    return {
        "kind": kind,
        "name": source.name,
        "licence": None,
        "citation": None,
        "lossy": False,
        **known,
        "importer": f"scaling-unplugged {version}",
        "command": None,
    }


def source_files(paths: list[pathlib.Path]) -> tuple[manifest.SourceFile, ...]:
    """Returns names and sizes of the files that will be read, in order."""
    return tuple(manifest.SourceFile(p.name, p.stat().st_size) for p in paths)


def mapped(actions: Any, table: Mapping[int, int], named: str) -> Any:
    """Returns the store's actions [T] int32 for the source's.

    Args:
      actions: [T] integers of the source.
      table: action of the source → action of the store.
      named: words for the file and the episode.

    Raises:
      ValueError: naming the first action that the table lacks.
    """
    values, where = np.unique(actions, return_inverse=True)
    missing = [int(value) for value in values if int(value) not in table]
    if missing:
        raise ValueError(
            f"{named} has the action {missing[0]}, but only "
            f"{', '.join(map(str, table))} map to actions of the environment; give "
            "the map with --actions."
        )
    return np.array([table[int(v)] for v in values], np.int32)[where].reshape(-1)
