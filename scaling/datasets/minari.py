"""Importing Minari datasets, as their HDF5 files lie on the disk.

NAME/data/metadata.json and NAME/data/main_data.hdf5 with a group `episode_N` of
`observations` [T + 1, ...], `actions`, `rewards`, `terminations`, `truncations` [T]
(source: Minari 0.5.4, `dataset/_storages/hdf5_storage.py`). They are read with h5py
alone: sizes are looked at before anything is allocated, and no environment is made of
what the metadata say, which could import any module.

Minari writes images as JPEG unless told otherwise. Whether it did is seen by the shape
that is stored: bytes instead of pixels. What `minari_export` wrote has the header of
the store that it came from beside it, and becomes that store again, byte for byte.
"""

import importlib
import importlib.util
import io
import math
import os
import pathlib
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from PIL import Image

from scaling.datasets import hdf5, importing, manifest, minari_metadata
from scaling.datasets.episodes import Episode
from scaling.datasets.minari_metadata import DATA, METADATA

FIELDS = ("observations", "actions", "rewards", "terminations", "truncations")
NEEDS_H5PY = "Minari datasets need h5py; run: pip install 'minari[hdf5]'."


def folder(source: str) -> pathlib.Path | None:
    """Returns the folder with the data of a path or of a name that Minari has here."""
    root = pathlib.Path(
        os.environ.get("MINARI_DATASETS_PATH", "~/.minari/datasets")
    ).expanduser()
    named = root / source
    inside = named.resolve().is_relative_to(root.resolve())
    for path in (pathlib.Path(source), *([named] if inside else [])):
        for data in (path, path / "data"):
            if (data / METADATA).is_file():
                return data
    return None


class Minari:
    """A Minari dataset; see `importing.Source`."""

    header: manifest.Header
    left_out = 0

    def __init__(
        self, data: pathlib.Path, env: str | None, lossy: Literal["refuse", "decode"]
    ):
        """Reads the metadata and looks at the first episode.

        Args:
          data: folder with metadata.json.
          env: the environment as family:Name; None to take the metadata's.
          lossy: what to do with images that are stored as JPEG.

        Raises:
          ValueError: if it cannot be read, if its spaces are not supported, or if
            images are lossy and that is refused.
        """
        self._path = data / DATA
        self._metadata = minari_metadata.read(data / METADATA)
        self._spaces = minari_metadata.spaces_of(self._metadata, data / METADATA)
        dtype, self._jpeg = self._look()
        if self._jpeg and lossy == "refuse":
            raise ValueError(
                f"{self._path} stores its images as JPEG, which is lossy: the agent "
                "would see other pixels than in play. Give --allow-lossy to import "
                "them anyway."
            )
        self._own = self._metadata.get(minari_metadata.OWN)
        self.header = self._header(data, env, dtype)

    def _header(
        self, data: pathlib.Path, env: str | None, dtype: np.dtype
    ) -> manifest.Header:
        if self._own is not None:
            total = self._metadata["total_episodes"]
            return minari_metadata.own_header(self._own, total, data / METADATA)
        return minari_metadata.new_header(
            data, self._metadata, self._spaces, env, dtype, self._jpeg
        )

    def episodes(self, skip: int) -> Iterator[importing.Read]:
        """Yields the episodes by number.

        Raises:
          ValueError: naming the file and the episode that cannot be read.
        """
        h5py = importlib.import_module("h5py")
        total = self._metadata["total_episodes"]
        with hdf5.sentences(self._path), h5py.File(self._path, "r") as file:
            for number in range(skip, total):
                named = f"{self._path.name}, episode {number},"
                episode = self._episode(file, number, named)
                yield importing.Read(
                    episode, self._origin(number), (number + 1) / total
                )

    def _look(self) -> tuple[np.dtype, bool]:
        """Returns the type of observations, and whether they are stored as JPEG."""
        if importlib.util.find_spec("h5py") is None:
            raise ValueError(NEEDS_H5PY)
        h5py = importlib.import_module("h5py")
        named = f"{self._path.name}, episode 0,"
        with hdf5.sentences(self._path), h5py.File(self._path, "r") as file:
            stored = hdf5.dataset(file, "episode_0", "observations", named)
            shape = self._spaces.shape
            jpeg = len(shape) > 1 and stored.ndim < 3 and stored.shape[1:] != shape
            return (np.dtype(np.uint8) if jpeg else stored.dtype), jpeg

    def _episode(self, file: Any, number: int, named: str) -> Episode:
        group = f"episode_{number}"
        arrays = [hdf5.dataset(file, group, name, named) for name in FIELDS]
        actions, rewards, terminations, truncations = (a[()] for a in arrays[1:])
        observations = (
            _decoded(arrays[0], self._spaces.shape, named)
            if self._jpeg
            else arrays[0][()]
        )
        if self._own is not None and not self._own["last_observation"][number]:
            observations = observations[:-1]  # the exporter repeated it
        with np.errstate(over="ignore"):  # an infinity is refused by the writer
            rewards = rewards.astype(np.float32)
        return Episode(
            observations=observations,
            actions=self._mapped(actions, named),
            rewards=rewards,
            terminated=_terminated(terminations, truncations, named),
        )

    def _mapped(self, actions: np.ndarray, named: str) -> np.ndarray:
        if actions.ndim != 1 or actions.dtype.kind not in "iu":
            raise ValueError(
                f"{named} has actions of {actions.dtype} {actions.shape[1:]}, but only "
                "one integer a step is supported."
            )
        if self._own is not None:  # mapped before it was exported
            return actions.astype(np.int32)
        return importing.mapped(actions, self.header.action_map, named)

    def _origin(self, number: int) -> manifest.Origin:
        if self._own is None:
            return manifest.Origin(0, number)
        return manifest.Origin(self._own["file"][number], self._own["record"][number])


def _terminated(terminations: np.ndarray, truncations: np.ndarray, named: str) -> bool:
    """Returns whether an episode terminated at its end; it must end there only."""
    ends = np.asarray(terminations, bool) | np.asarray(truncations, bool)
    if not ends.size or not ends[-1]:
        raise ValueError(
            f"{named} has no end: it is neither terminated nor truncated at its last "
            "step."
        )
    if ends[:-1].any():
        step = int(np.flatnonzero(ends)[0])
        raise ValueError(f"{named} goes on after it ended at step {step}.")
    return bool(terminations[-1])


def _decoded(stored: Any, shape: tuple[int, ...], named: str) -> np.ndarray:
    """Returns the pixels of JPEGs, whose sizes are checked before they are unpacked.

    They are read one at a time: many could be references to a large one.
    """
    size = len(stored) * math.prod(shape)
    if size > hdf5.MOST_BYTES:
        raise ValueError(f"{named} claims {size:,} bytes of pixels; it is not read.")
    images = np.empty((len(stored), *shape), np.uint8)
    for step in range(len(stored)):
        try:
            packed = io.BytesIO(np.asarray(stored[step], np.uint8).tobytes())
            with Image.open(packed, formats=["JPEG"]) as image:
                bands = (len(image.getbands()),) if len(shape) == 3 else ()
                if (*image.size[::-1], *bands) != shape:
                    raise ValueError(
                        f"{named} has a JPEG of {image.size} pixels at step {step}, "
                        f"but its observations have the shape {shape}."
                    )
                images[step] = np.asarray(image)
        except (OSError, Image.DecompressionBombError) as error:
            raise ValueError(
                f"{named} has no whole JPEG at step {step} ({error})."
            ) from error
    return images
