"""The two kinds of environment and what each promises.

A *device environment* is a pair of pure functions over a batch, made for `jit`:
the training loop calls them with no host round trip. A *host environment* is a
NumPy vector interface for emulators and other Python code. Neither resets by
itself: `scaling.envs.autoreset` does, at the same step, for both kinds.

Rewards are raw. `terminated` is the end of the task; `truncated` is a time limit
or anything else after which the value should still be bootstrapped.

For videos an environment may have `render(state, row)`, on the host `render(row)`: a
picture [height, width, 3] uint8, or None where the observation is picture enough.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from scaling import types


class Transition(NamedTuple):
    """What one step of B environments returned, with no reset applied."""

    observation: Any  # [B, ...] the step's own, the episode's last if it ended
    reward: Any  # [B] float32
    terminated: Any  # [B] bool
    truncated: Any  # [B] bool


@runtime_checkable
class DeviceEnvironment(Protocol):
    """A batch of environments as pure functions of JAX arrays."""

    spec: types.EnvSpec

    def reset(self, keys: Any) -> tuple[types.EnvState, Any]:
        """Returns states and first observations [B, ...] of `keys` [B]."""
        ...

    def step(
        self, state: types.EnvState, action: Any
    ) -> tuple[types.EnvState, Transition]:
        """Returns the states and transitions after `action` [B] int32."""
        ...


class NeverStepped:
    """Stands for the environment of a run that learns from a data set alone.

    Args:
      spec: of the environment that its network is evaluated in.
    """

    def __init__(self, spec: types.EnvSpec):
        self.spec = spec

    def reset(self, keys: Any) -> tuple[types.EnvState, Any]:
        """Refuses: nothing is to be played.

        Raises:
          RuntimeError: always.
        """
        raise RuntimeError(f"A run without environments has begun {self.spec.name}.")

    def step(
        self, state: types.EnvState, action: Any
    ) -> tuple[types.EnvState, Transition]:
        """Refuses: nothing is to be played.

        Raises:
          RuntimeError: always.
        """
        raise RuntimeError(f"A run without environments has stepped {self.spec.name}.")


@runtime_checkable
class HostEnvironment(Protocol):
    """A vector of environments stepped by the host.

    Rows are addressed by index, so that groups of them can step while the device
    works on others. Everything random in a row comes from the seed of its reset.
    """

    spec: types.EnvSpec
    size: int

    def reset(self, rows: Sequence[int], seeds: Sequence[int]) -> np.ndarray:
        """Begins an episode in each of `rows`; returns observations [rows, ...]."""
        ...

    def step(self, rows: Sequence[int], action: np.ndarray) -> Transition:
        """Steps `rows` with `action` [rows] int; blocks until all are done.

        Safe to call from another thread, for disjoint rows at the same time.
        """
        ...

    def close(self) -> None:
        """Frees what the environments hold."""
        ...


@runtime_checkable
class Restorable(Protocol):
    """A host environment whose rows can go on in another process.

    A class without these methods is a whole `HostEnvironment` all the same: its rows
    begin new episodes when a run is resumed. Between steps only, and only of rows
    that have begun an episode and not ended it.
    """

    def save(self, rows: Sequence[int]) -> list[dict[str, np.ndarray]]:
        """Returns one record a row: arrays of numbers or bytes (uint8), no objects.

        A record has one array at least. The arrays are the caller's: later steps do
        not change them.
        """
        ...

    def restore(
        self, rows: Sequence[int], records: Sequence[Mapping[str, np.ndarray]]
    ) -> np.ndarray:
        """Puts `rows` where the ones of `records` were; returns [rows] bool.

        True means that the row goes on bit for bit: the same actions bring the same
        observations, rewards and ends, and the same draws. False means that it could
        not; the row's state then means nothing, and the caller resets it.

        Raises:
          ValueError: naming the row, if its record is malformed. Records may have
            been written by anybody: check types, shapes and ranges before use.
        """
        ...
