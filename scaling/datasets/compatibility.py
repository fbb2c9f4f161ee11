"""Whether a store's episodes are of the environment that an agent will play."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from scaling import config
from scaling.datasets import manifest

if TYPE_CHECKING:
    from scaling.types import EnvSpec
else:  # it imports JAX, and a dry run must not wait for that
    EnvSpec = Any


def check(header: manifest.Header, spec: EnvSpec, name: str) -> None:
    """Refuses a store whose steps another environment made.

    Args:
      header: of the store.
      spec: of the environment.
      name: of the store, for errors.

    Raises:
      ValueError: naming what differs: environment, actions, shape or type of
        observations, or frames of a step.
    """
    check_protocol(header, spec.name, spec.frames_per_step, name)
    pairs = {
        "number of actions": (header.protocol.num_actions, spec.num_actions),
        "observation shape": (header.observation_shape, tuple(spec.observation_shape)),
        "observation type": (
            header.dtype("observations"),
            np.dtype(spec.observation_dtype),
        ),
    }
    _compare(pairs, name, spec.name)


def check_protocol(
    header: manifest.Header, env: str, frames_per_step: int, name: str
) -> None:
    """Refuses what can be refused before an environment is made; as `check`."""
    protocol = header.protocol
    pairs = {
        "environment": (protocol.env, env),
        "frames of a step": (protocol.frame_skip, frames_per_step),
    }
    _compare(pairs, name, env)


def _compare(pairs: Mapping[str, tuple[Any, Any]], name: str, env: str) -> None:
    for what, (stored, played) in pairs.items():
        if stored != played:
            raise ValueError(
                f"{name} has the {what} {stored}, but {env} has {played} under "
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
