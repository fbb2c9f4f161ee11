"""Lockstep groups of a host loop's lanes: one acts while the next is searched.

A group takes every n-th fresh and every n-th stored row of each device, so that it
is spread over the mesh like the batch itself.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Int

from scaling import layout as layouts
from scaling import sharding


class Group(NamedTuple):
    """The rows of one group, the environments' rows first."""

    rows: Int[np.ndarray, " n"]  # of the search batch of one device
    fresh: int  # how many of them step an environment
    environments: Int[np.ndarray, " e"]  # these, of one device


class LocalGroup(NamedTuple):
    """The rows of one group on all devices of this process."""

    rows: Int[np.ndarray, " n"]  # of this process's search batch, device by device
    is_fresh: Bool[np.ndarray, " n"]
    environments: Int[np.ndarray, " e"]  # of this process


def make(most: int, layout: layouts.Layout, mesh: jax.sharding.Mesh) -> list[Group]:
    """Returns the groups: the most, up to `most`, that divide a device's rows."""
    shards = layout.shards // mesh.shape[sharding.DATA]
    rows = np.arange(shards * layout.lanes).reshape(shards, -1)
    fresh = rows[:, : layout.environments].reshape(-1)
    stored = rows[:, layout.environments :].reshape(-1)
    number = max(
        n for n in range(1, most + 1) if fresh.size % n == 0 and stored.size % n == 0
    )
    return [
        Group(
            rows=np.concatenate([fresh[first::number], stored[first::number]]),
            fresh=fresh[first::number].size,
            environments=np.arange(fresh.size)[first::number],
        )
        for first in range(number)
    ]


def order(groups: list[Group]) -> Int[np.ndarray, " L"]:
    """Returns the places of a device's rows in the groups' rows, joined."""
    return np.argsort(np.concatenate([group.rows for group in groups]))


def local(
    groups: list[Group], layout: layouts.Layout, mesh: jax.sharding.Mesh
) -> list[LocalGroup]:
    """Returns the groups' rows on all devices of this process, device by device."""
    devices = len(sharding.local_shards(mesh, mesh.shape[sharding.DATA]))
    shards = layout.shards // mesh.shape[sharding.DATA]

    def everywhere(rows: np.ndarray, of_device: int) -> np.ndarray:
        return (np.arange(devices)[:, None] * of_device + rows).reshape(-1)

    return [
        LocalGroup(
            rows=everywhere(group.rows, shards * layout.lanes),
            is_fresh=np.tile(np.arange(group.rows.size) < group.fresh, devices),
            environments=everywhere(group.environments, shards * layout.environments),
        )
        for group in groups
    ]
