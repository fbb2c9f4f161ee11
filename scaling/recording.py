"""What a store of episodes that this program played itself says of itself."""

from typing import Any

import numpy as np

from scaling import config, types
from scaling.datasets import manifest
from scaling.envs import atari


def header(
    spec: types.EnvSpec,
    protocol: config.Protocol,
    provenance: dict[str, Any],
    chunk_bytes: int = manifest.CHUNK_BYTES,
) -> manifest.Header:
    """Returns the header of episodes of an environment under a protocol.

    Args:
      spec: of the environment.
      protocol: that it was made with.
      provenance: as `importing.provenance` makes it.
      chunk_bytes: bytes of observations after which a chunk is closed.
    """
    return manifest.Header(
        observation_shape=tuple(spec.observation_shape),
        observation_dtype=np.dtype(spec.observation_dtype).str,
        protocol=recording(spec, protocol),
        action_map={action: action for action in range(spec.num_actions)},
        provenance=provenance,
        chunk_bytes=chunk_bytes,
    )


def recording(spec: types.EnvSpec, protocol: config.Protocol) -> manifest.Recording:
    """Returns the protocol as a store has it: of what the environment's family heeds.

    A class of the user's own is given the whole protocol; what all families have is
    recorded of it.
    """
    family = spec.name.partition(":")[0]
    return manifest.Recording(
        env=spec.name,
        num_actions=spec.num_actions,
        action_set=_action_set(family, protocol),
        frame_skip=spec.frames_per_step,
        reward_kind="raw",
        sticky=_sticky(family, protocol),
        max_frames=protocol.max_frames,
        **_of_family(family, protocol),
    )


def _action_set(family: str, protocol: config.Protocol) -> Any:
    if family != "atari":
        return "own"
    return "full" if protocol.full_action_space else "minimal"


def _sticky(family: str, protocol: config.Protocol) -> float:
    standard = atari.STANDARD_STICKY if family == "atari" else 0.0
    return standard if protocol.sticky is None else protocol.sticky


def _of_family(family: str, protocol: config.Protocol) -> dict[str, Any]:
    """Returns what only some environments have."""
    if family == "atari":
        return {"image_size": protocol.image_size, "colour": protocol.colour}
    if family == "gymnasium":
        return {}
    board = protocol.view == "board"
    return {
        "random_start": protocol.random_start,
        "view": protocol.view,
        "view_size": None if board else protocol.view_size,
    }
