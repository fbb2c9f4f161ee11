"""Borrowed data, as a command is told of them: a data set, demonstrations."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import tyro

from launch import grid
from scaling import config, mixing, selection
from scaling.datasets import compatibility, episodes, identity, manifest
from scaling.envs import known, registry


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """Data that others made; stores of launch/collect.py or import_dataset.py."""

    dataset: pathlib.Path | None = None
    """Data set that fraction 1 learns from; no environment is stepped in training."""
    demonstrations: pathlib.Path | None = None
    """Demonstrations, which are never evicted; --sources says what share of the stored
    searches is theirs."""


FlatData = Annotated[Data, tyro.conf.arg(name="")]
NO_DATA = Data()


class Bound(NamedTuple):
    """Settings that name their data by content, and what the data are."""

    settings: config.Settings
    dataset: manifest.Statistics | None
    warnings: list[str]


def bind(settings: config.Settings, data: Data, fractions: Sequence[float]) -> Bound:
    """Returns the settings with the data in them, both checked.

    Raises:
      ValueError: if a store is damaged or of another environment, or if data, sources
        and fractions do not go together.
    """
    held = {
        kind: path
        for kind, path in dataclasses.asdict(data).items()
        if path is not None
    }
    names = {kind: identity.identity(path) for kind, path in held.items()}
    settings = dataclasses.replace(settings, data=config.Data(**names))
    mixing.check(settings, fractions)
    selection.check(settings, fractions)
    warnings, found = _about_sources(settings), {}
    for kind, path in held.items():
        store = episodes.open_store(path)
        compatibility.check_protocol(
            store.header,
            settings.env,
            registry.frames_per_step(settings.env, settings.protocol),
            str(path),
        )
        found[kind] = store.statistics()
        told = compatibility.warnings(store.header, settings.protocol)
        warnings += [f"{path}: {warning}" for warning in told]
    return Bound(settings, found.get("dataset"), warnings)


def budgets(bound: Bound, text: str | None, what: str) -> tuple[int, ...]:
    """Returns the sizes of the data set that runs of fraction 1 use, in frames.

    Args:
      bound: with a data set.
      text: as given, None for all of it.
      what: name of the flag.

    Raises:
      ValueError: if the data set is smaller.
    """
    assert bound.dataset is not None
    if text is None:
        return (bound.dataset.frames,)
    sizes = grid.budgets(text, what)
    if max(sizes) > bound.dataset.frames:
        raise ValueError(
            f"{what} asks for {max(sizes):,} frames of a data set that has "
            f"{bound.dataset.frames:,}; lower it, or leave it out to use all."
        )
    return sizes


def searches(text: str | None) -> int:
    """Returns the searched states of a run of fraction 1.

    Raises:
      ValueError: if they are not given, or are no number.
    """
    if text is None:
        raise ValueError(
            "At fraction 1 frames do not say how much is searched; give the number of "
            "searched states with --searches, for example --searches 6e5."
        )
    return grid.count(text, "--searches")


def _about_sources(settings: config.Settings) -> list[str]:
    """Returns the paper's warning about the best of random episodes, if it is due."""
    if not mixing.uses(settings, "best"):
        return []
    sticky = registry.sticky(settings.env, settings.protocol)
    if sticky == 0 and settings.env in known.DETERMINISTIC:
        return []
    why = f"has sticky actions of {sticky}" if sticky else "may be random"
    return [
        f"{settings.env} {why}: episodes of highest return are then lucky ones too, "
        "and replaying them biases the values upwards (arXiv 2104.06294, section 3)."
    ]
