"""Exporting a store to Minari, without loss."""

import importlib
import importlib.util
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np

from scaling.datasets import episodes, manifest_file
from scaling.datasets.minari_metadata import OWN

NEEDED = ("minari", "h5py")


def export(
    store: episodes.EpisodeStore, path: pathlib.Path, dataset_id: str
) -> pathlib.Path:
    """Writes the store as a Minari dataset in `path`, in one step.

    Images stay pixels (`jpeg_encoding=False`). An episode whose last observation is
    not known has its last one twice, since Minari's have one more than steps; the
    metadata say of which episodes that is so. They also hold the store's header, so
    that importing gives the same store again, byte for byte.

    Args:
      store: what to export.
      path: directory to make; Minari finds what lies in its own under `dataset_id`.
      dataset_id: Minari's name, such as `pacman/rollout-v0`.

    Returns:
      The folder that `minari.MinariDataset` opens.

    Raises:
      ValueError: if Minari is not installed, `path` exists, or the name is not one.
    """
    _check(path, dataset_id)
    part = path.with_name(f"{path.name}.partial")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        _write(store, part / "data", dataset_id)
        part.replace(path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return path / "data"


def _check(path: pathlib.Path, dataset_id: str) -> None:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"Exporting to Minari needs {missing[0]}, which is not installed; run: "
            "pip install 'minari[hdf5]'."
        )
    minari_dataset = importlib.import_module("minari.dataset.minari_dataset")
    if not minari_dataset.DATASET_ID_RE.fullmatch(dataset_id) or "-v" not in dataset_id:
        raise ValueError(
            f"{dataset_id!r} is no name of a Minari dataset; write one such as "
            "pacman/rollout-v0."
        )
    if path.exists():
        raise ValueError(f"{path} exists already; name another directory.")


def _write(store: episodes.EpisodeStore, data: pathlib.Path, dataset_id: str) -> None:
    from gymnasium import spaces

    version = importlib.import_module("minari").__version__
    storages: Any = importlib.import_module("minari.dataset.minari_storage")
    header = store.header
    low, high = _bounds(header.dtype("observations"))
    storage = storages.MinariStorage.new(
        data,
        observation_space=spaces.Box(
            low, high, header.observation_shape, header.dtype("observations").type
        ),
        action_space=spaces.Discrete(header.protocol.num_actions),
        env_spec=_env_spec(header.protocol.env),
        data_format="hdf5",
        jpeg_encoding=False,
    )
    storage.update_metadata(
        {
            "dataset_id": dataset_id,
            "minari_version": version,
            "description": f"Episodes of {header.protocol.env}",
            OWN: _own(store),
        }
    )
    storage.update_episodes(_buffers(store))


def _own(store: episodes.EpisodeStore) -> dict[str, Any]:
    """Returns what makes the dataset into the same store again."""
    index = store.index
    return {
        "header": manifest_file.header_to_json(store.header),
        "last_observation": index.last_observation.tolist(),
        "file": index.file.tolist(),
        "record": index.record.tolist(),
    }


def _buffers(store: episodes.EpisodeStore) -> Iterator[Any]:
    """Yields the episodes one by one as Minari takes them."""
    buffer: Any = importlib.import_module("minari.data_collector").EpisodeBuffer
    for number, episode in enumerate(store):
        steps = len(episode.actions)
        seen = episode.observations
        if not episode.has_last_observation:
            seen = np.concatenate([seen, seen[-1:]])
        at_end = np.arange(steps) == steps - 1
        yield buffer(
            id=number,
            observations=seen,
            actions=episode.actions.astype(np.int64),
            rewards=episode.rewards,
            terminations=at_end & episode.terminated,
            truncations=at_end & episode.truncated,
        )


def _bounds(dtype: np.dtype) -> tuple[float, float]:
    """Returns the least and the largest value of observations."""
    if dtype.kind == "f":
        return -np.inf, np.inf
    if dtype.kind == "b":
        return 0.0, 1.0
    return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)


def _env_spec(env: str) -> Any:
    """Returns gymnasium's specification of one of its environments, else None."""
    import gymnasium

    family, _, name = env.partition(":")
    if family != "gymnasium":
        return None
    try:
        return gymnasium.spec(name)
    except gymnasium.error.Error:
        return None
