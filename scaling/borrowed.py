"""The data that a run borrows: a data set at fraction 1, demonstrations elsewhere."""

import math
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from scaling import config, execution, mixing, types
from scaling.datasets import compatibility, episodes, identity, manifest, spread
from scaling.replay import steps

# Frames of a data set up to this are put on the device; larger ones are read from the
# store, call by call.
MOST_ON_DEVICE = 2 * 2**30


class Borrowed(NamedTuple):
    """Data of a run, spread over its shards."""

    kind: str  # dataset or demonstrations
    name: str  # name@hash
    store: episodes.EpisodeStore  # of the episodes that are used
    columns: tuple[spread.Column, ...]  # of all shards of the run
    capacity: int  # slots of a column

    @property
    def statistics(self) -> manifest.Statistics:
        """What the episodes that are used amount to."""
        return self.store.statistics()

    @property
    def frame_bytes(self) -> int:
        """Bytes of all frames, as the device would hold them."""
        header = self.store.header
        one = header.dtype("observations").itemsize * math.prod(
            header.observation_shape
        )
        return one * self.capacity * len(self.columns)

    def facts(self, shards: Sequence[int]) -> steps.Steps:
        """Returns what the steps of some shards are, fields [G, 1, ...]."""
        found = [
            spread.facts(self.store, self.columns[shard], self.capacity)
            for shard in shards
        ]
        fields: Any = (np.stack(field) for field in zip(*found, strict=True))
        return steps.Steps(*fields)

    def frames(self, shards: Sequence[int], dtype: Any) -> np.ndarray:
        """Returns the frames of some shards, [G, 1, T, ...]."""
        return np.stack(
            [
                spread.frames(self.store, self.columns[shard], self.capacity, dtype)
                for shard in shards
            ]
        )

    def on_host(self, shards: Sequence[int]) -> spread.StoredFrames:
        """Returns the frames of some shards, left where they are."""
        return spread.StoredFrames(self.store, [self.columns[n] for n in shards])

    def row(self) -> dict[str, Any]:
        """Returns the columns of the result row that tell of the data."""
        found = self.statistics
        frames = {f"{self.kind}_frames".replace("ations_", "ation_"): found.frames}
        return {
            **frames,
            "dataset_episodes": found.episodes,
            "dataset_best_tenth": found.best_tenth,
            "behaviour_score": found.mean_return,
        }


def borrow(
    settings: config.Settings,
    cell: config.Cell,
    how: execution.Execution,
    shards: int,
    spec: types.EnvSpec,
) -> Borrowed | None:
    """Returns what the run borrows, checked; None if it borrows nothing.

    At fraction 1 a budget of frames takes whole episodes of the data set, chosen by the
    seed; demonstrations are taken whole.

    Raises:
      ValueError: if the data are not those of the study, or not of its environment.
    """
    if cell.fraction == 1:
        kind, path, name = "dataset", how.dataset, settings.data.dataset
    elif cell.fraction > 0 and mixing.uses(settings, "demonstrations"):
        kind, path = "demonstrations", how.demonstrations
        name = settings.data.demonstrations
    else:
        return None
    store = _opened(kind, path, name, spec)
    if kind == "dataset" and cell.frames < store.statistics().frames:
        store = store.subset(cell.frames, cell.seed)
    columns = spread.columns(store, shards)
    return Borrowed(kind, name, store, columns, spread.capacity(columns))


def _opened(
    kind: str, path: str | None, name: str, spec: types.EnvSpec
) -> episodes.EpisodeStore:
    if path is None:
        raise ValueError(f"The {kind} {name} has no path; give it with --{kind} PATH.")
    found = identity.identity(pathlib.Path(path))
    if not identity.is_same(found, name):
        raise ValueError(
            f"{path} is {found}, but this study was begun with {name}; give the same "
            "data, or another --out."
        )
    store = episodes.open_store(pathlib.Path(path), mapped=episodes.ALL_CHUNKS)
    compatibility.check(store.header, spec, path)
    return store
