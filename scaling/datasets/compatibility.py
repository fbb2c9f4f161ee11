"""Whether a store's episodes are of the environment that an agent will play."""

from collections.abc import Iterator

import numpy as np

from scaling import config, types
from scaling.datasets import manifest


def check(header: manifest.Header, spec: types.EnvSpec, name: str) -> None:
    """Refuses a store whose steps another environment made.

    Args:
      header: of the store.
      spec: of the environment.
      name: of the store, for errors.

    Raises:
      ValueError: naming what differs: environment, actions, shape or type of
        observations, or frames of a step.
    """
    protocol = header.protocol
    pairs = {
        "environment": (protocol.env, spec.name),
        "number of actions": (protocol.num_actions, spec.num_actions),
        "observation shape": (header.observation_shape, tuple(spec.observation_shape)),
        "observation type": (
            header.dtype("observations"),
            np.dtype(spec.observation_dtype),
        ),
        "frames of a step": (protocol.frame_skip, spec.frames_per_step),
    }
    for what, (stored, played) in pairs.items():
        if stored != played:
            raise ValueError(
                f"{name} has the {what} {stored}, but {spec.name} has {played} under "
                "this protocol; change --protocol or take another data set."
            )


def warnings(header: manifest.Header, protocol: config.Protocol) -> list[str]:
    """Returns a sentence for each thing that makes scores hard to compare."""
    return list(_warnings(header, protocol))


def _warnings(header: manifest.Header, protocol: config.Protocol) -> Iterator[str]:
    recorded = header.protocol
    if recorded.reward_kind == "clipped":
        yield (
            "the data set's rewards seem to be clipped to ±1, so its returns are not "
            "scores."
        )
    played = {
        "sticky": protocol.sticky,
        "max_frames": protocol.max_frames,
        "random_start": protocol.random_start,
    }
    for field, value in played.items():
        stored = getattr(recorded, field)
        if stored is not None and value is not None and stored != value:
            yield (
                f"the data were recorded with {field} {stored}, but evaluation has "
                f"{value}."
            )
    if header.provenance.get("lossy"):
        yield "the data set's images are lossy: play will show other pixels."
