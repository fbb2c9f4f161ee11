"""What Minari's metadata.json says, as a header of a store.

The environment's specification is only read: making the environment of it could import
any module.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from scaling.datasets import importing, manifest, manifest_file

OWN = "scaling_unplugged"  # key of what minari_export adds
METADATA, DATA = "metadata.json", "main_data.hdf5"
MOST_BYTES = 2**30  # of metadata.json
MOST_ACTIONS = 2**16


class Spaces(NamedTuple):
    """What Minari's metadata say of observations and actions."""

    shape: tuple[int, ...]
    first_action: int
    num_actions: int


def read(path: pathlib.Path) -> dict[str, Any]:
    """Returns the metadata in a file.

    Raises:
      ValueError: if it is none, or the data are not in HDF5 or have no episodes.
    """
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size:,} bytes; it is not read.")
    try:
        metadata = json.loads(path.read_bytes())
        total, form = metadata["total_episodes"], metadata["data_format"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no metadata of Minari ({error!r}).") from error
    if form != "hdf5":
        raise ValueError(
            f"{path} says that the data are stored as {form!r}, but only hdf5 is read; "
            "save them with data_format='hdf5'."
        )
    if not isinstance(total, int) or total < 1:
        raise ValueError(f"{path} says that there are {total!r} episodes.")
    return metadata


def spaces_of(metadata: Mapping[str, Any], path: pathlib.Path) -> Spaces:
    """Returns one array's shape and the numbers of one discrete action.

    Raises:
      ValueError: if the spaces are others or cannot be read.
    """
    try:
        seen = json.loads(metadata["observation_space"])
        acted = json.loads(metadata["action_space"])
        if (seen["type"], acted["type"]) == ("Box", "Discrete"):
            shape = tuple(int(n) for n in seen["shape"])
            spaces = Spaces(shape, int(acted["start"]), int(acted["n"]))
            manifest_file.expect(0 < spaces.num_actions <= MOST_ACTIONS, "actions")
            return spaces
        found = f"observations {seen['type']} and actions {acted['type']}"
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} has no spaces that can be read ({error!r})."
        ) from error
    raise ValueError(
        f"{path} has {found}, but only Box observations and one Discrete action are "
        "supported."
    )


def new_header(
    data: pathlib.Path,
    metadata: Mapping[str, Any],
    spaces: Spaces,
    env: str | None,
    dtype: np.dtype,
    jpeg: bool,
) -> manifest.Header:
    """Returns the header of a store made of a dataset by anyone.

    Args:
      data: the folder with the metadata and the HDF5 file.
      metadata: Minari's.
      spaces: of observations and actions.
      env: as family:Name; None to take the metadata's.
      dtype: of the observations as they will be stored.
      jpeg: whether they are stored as JPEG.

    Raises:
      ValueError: if the environment is not known or the type is none of numbers.
    """
    name = data.parent if data.name == "data" else data
    told = ("author", "algorithm_name", "code_permalink", "description", "dataset_id")
    known = {key: metadata[key] for key in told if key in metadata}
    first, count = spaces.first_action, spaces.num_actions
    try:
        stored = manifest_file.checked_dtype(dtype.str)
    except ValueError:
        raise ValueError(
            f"{name} has observations of {dtype}, not of numbers."
        ) from None
    return manifest.Header(
        observation_shape=spaces.shape,
        observation_dtype=stored,
        protocol=_recording(metadata, env, count, name),
        action_map={first + i: i for i in range(count)},
        provenance=importing.provenance("minari", name, lossy=jpeg, metadata=known),
        sources=importing.source_files([data / DATA]),
    )


def _recording(
    metadata: Mapping[str, Any], env: str | None, count: int, name: pathlib.Path
) -> manifest.Recording:
    """Returns the protocol as far as the environment's specification tells it."""
    try:
        spec = json.loads(metadata.get("env_spec") or "{}")
        found = _own_name(str(spec["id"])) if "id" in spec else None
        options = dict(spec.get("kwargs") or {})
        full = bool(options.get("full_action_space", False))
        skip = int(options.get("frameskip", 4))
        sticky = float(options.get("repeat_action_probability", 0.25))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{name} has no env_spec that can be read ({error})."
        ) from error
    env = env or found
    if env is None:
        raise ValueError(
            f"{name} does not say what it was played in; name it by --env."
        )
    atari = env.startswith("atari:")
    told = env == found
    return manifest.Recording(
        env=env,
        num_actions=count,
        action_set=("full" if full else "minimal") if atari else "own",
        frame_skip=skip if atari else 1,
        reward_kind="raw",
        sticky=(sticky if atari else 0.0) if told else None,
    )


def _own_name(told: str) -> str:
    """Returns gymnasium's name of an environment as this project's."""
    if told.startswith("ALE/"):
        return f"atari:{told.removeprefix('ALE/').partition('-')[0]}"
    return f"gymnasium:{told}"


def own_header(
    own: Mapping[str, Any], episodes: int, path: pathlib.Path
) -> manifest.Header:
    """Returns the header of the store that `minari_export` wrote.

    Args:
      own: what it added to the metadata.
      episodes: number of them in the dataset.
      path: of the metadata, for errors.

    Raises:
      ValueError: if it does not fit.
    """
    try:
        for key in ("last_observation", "file", "record"):
            fits = len(own[key]) == episodes and all(
                isinstance(v, int) for v in own[key]
            )
            manifest_file.expect(fits, key)
        return manifest_file.header_from_json(own["header"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} has a damaged {OWN} ({error}).") from error
