"""The whole episodes in the stores of one of the project's own runs.

They are read from a checkpoint: the last one of a finished run that was made with
`--keep-replay`, or the newest of one that was interrupted. An environment's steps are a
ring, so an episode whose first steps were overwritten is left out, as is the one under
way. The observation after an episode's last action is not stored by a run.
"""

import contextlib
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, Int32

from scaling import (
    accounting,
    config,
    hardware,
    loops,
    recording,
    run,
    saving,
    sharding,
    snapshots,
    types,
)
from scaling.datasets import episodes as stores
from scaling.datasets import importing, manifest
from scaling.envs import registry
from scaling.replay import steps

_ONE_DEVICE = hardware.Mesh(data=1, model=1)

Frames = Callable[[int, int, np.ndarray], np.ndarray]
"""(shard, environment, slots [N]) → the frames there [N, ...]"""


class Ring(NamedTuple):
    """The steps of one environment, in a ring of T slots."""

    action: Int32[np.ndarray, " T"]
    reward: Float[np.ndarray, " T"]
    discount: Float[np.ndarray, " T"]
    last: Bool[np.ndarray, " T"]
    age: Int[np.ndarray, " T"]
    complete: int  # steps that were ever completed

    @property
    def first(self) -> int:
        """The oldest step that is there: the pending one has taken a slot."""
        return max(0, self.complete + 1 - len(self.action))


class Span(NamedTuple):
    """The steps of a whole episode by their absolute numbers."""

    first: int
    stop: int


def whole(ring: Ring) -> list[Span]:
    """Returns the episodes whose first and last step are both in the ring."""
    number = np.arange(ring.first, ring.complete)
    slot = number % len(ring.action)
    begins = number[ring.age[slot] == 0].tolist()
    ends = number[ring.last[slot]].tolist()
    if begins:  # else the ring is within one episode
        ends = [end for end in ends if end >= begins[0]]
    pairs = zip(begins, ends, strict=False)  # one may be under way
    return [Span(begin, end + 1) for begin, end in pairs]


class OwnRun:
    """The episodes in a run's newest checkpoint; see `importing.Source`."""

    header: manifest.Header
    left_out = 0

    def __init__(self, directory: pathlib.Path):
        """Finds the checkpoint and checks every byte of it.

        Args:
          directory: of the run.

        Raises:
          ValueError: if there is no whole checkpoint of this run, or it stepped no
            environment.
        """
        self._settings, self._cell = config.load_config(directory)
        self._account = accounting.account_for(
            self._settings,
            self._cell,
            registry.frames_per_step(self._settings.env, self._settings.protocol),
        )
        if not self._account.environments:
            raise ValueError(
                f"{directory} stepped no environment, since it learned from a data "
                "set alone; import that data set instead."
            )
        self._snapshot = _newest(directory, self._settings, self._cell)
        with sharding.precision(self._settings.precision):
            self._spec = _spec(self._settings)
        self.header = recording.header(
            self._spec, self._settings.protocol, self._provenance(directory)
        )

    def _provenance(self, directory: pathlib.Path) -> dict[str, Any]:
        return importing.provenance(
            "own_run",
            directory.resolve(),
            config_hash=config.config_hash(self._settings, self._cell),
            call=self._snapshot.call,
            calls=self._account.calls,
            # Says so if an episode was ended by an interruption.
            notes=self._snapshot.meta["notes"],
        )

    def episodes(self, skip: int) -> Iterator[importing.Read]:
        """Yields the episodes by shard, environment and time.

        Raises:
          ValueError: if the checkpoint is not of these sizes.
        """
        done, self.left_out = 0, 0
        with sharding.precision(self._settings.precision), self._restored() as found:
            stored, frames = found
            shards = len(stored.complete)
            places = list(np.ndindex(shards, self._account.environments // shards))
            for number, (shard, column) in enumerate(places, 1):
                ring = _ring(stored, shard, column)
                spans = whole(ring)
                inside = sum(span.stop - span.first for span in spans)
                self.left_out += ring.complete - ring.first - inside
                for span in spans:
                    done += 1
                    if done <= skip:
                        continue
                    slots = np.arange(*span) % len(ring.action)
                    episode = self._episode(ring, slots, frames(shard, column, slots))
                    origin = manifest.Origin(-1, done - 1)
                    yield importing.Read(episode, origin, number / len(places))

    def _episode(
        self, ring: Ring, slots: np.ndarray, seen: np.ndarray
    ) -> stores.Episode:
        return stores.Episode(
            seen.astype(self._spec.observation_dtype, copy=False),
            ring.action[slots].astype(np.int32),
            ring.reward[slots].astype(np.float32),
            bool(ring.discount[slots[-1]] == 0),
        )

    @contextlib.contextmanager
    def _restored(self) -> Iterator[tuple[steps.Steps, Frames]]:
        """Yields the stored steps, fields [G, E, T], and what reads their frames.

        The frames that the host keeps go to a folder of their own: the run's may be
        in use.
        """
        settings, cell = self._settings, self._cell
        allocate = self._snapshot.meta["allocate_frames"]
        largest = run.largest(settings, cell, self._account, allocate)
        mesh = sharding.make_mesh(_ONE_DEVICE, largest.shards)
        with tempfile.TemporaryDirectory(prefix="stored-frames-") as scratch:
            folder = pathlib.Path(scratch)
            loop = loops.make(settings, cell.seed, largest, mesh, folder)
            # The environments are not put back: nobody steps them.
            host = loop.host and loop.host._replace(environments=None)
            store = snapshots.Store(self._snapshot.directory.parent, keep=1)
            saver = saving.Saver(store, range(largest.shards), 0, host)
            try:
                state = saver.restore(loop.state, self._snapshot).state
                yield (
                    jax.tree.map(np.asarray, state.shard.steps),
                    _frames_of(state.frames, host),
                )
            finally:
                saver.close()
                loop.close()


def _newest(
    directory: pathlib.Path, settings: config.Settings, cell: config.Cell
) -> snapshots.Snapshot:
    snapshot, skipped = snapshots.Store(directory / "checkpoints", keep=1).newest()
    if snapshot is None:
        why = " ".join(skipped) or (
            "a finished run keeps one only if it is made with --keep-replay."
        )
        raise ValueError(
            f"{directory} has no checkpoint to read episodes from: {why}"
            + (" Make the run again with --keep-replay." if skipped else "")
        )
    if snapshot.meta["config_hash"] != config.config_hash(settings, cell):
        raise ValueError(
            f"The checkpoints in {directory} are of another run; make this one again "
            "with --keep-replay."
        )
    return snapshot


def _spec(settings: config.Settings) -> types.EnvSpec:
    """Returns what is known of the settings' environment."""
    if registry.is_device(settings.env):
        return registry.make_device(settings.env, settings.protocol).spec
    env = registry.make_host(settings.env, settings.protocol, 1)
    env.close()
    return env.spec


def _ring(stored: steps.Steps, shard: int, column: int) -> Ring:
    fields: Any = [field[shard, column] for field in stored]
    return Ring(*fields[:-1], complete=int(fields[-1]))


def _frames_of(on_device: Any, host: saving.Host | None) -> Frames:
    """Returns what reads frames, wherever they are."""
    if host is None:
        every = np.asarray(on_device)  # [G, E, T, ...]
        return lambda shard, column, slots: every[shard, column, slots]

    def gather(shard: int, column: int, slots: np.ndarray) -> np.ndarray:
        every: Any = (np.array([column]), slots[None], np.ones((1, len(slots)), bool))
        return host.frames.gather(np.array([shard]), steps.Stack(*every))[0]

    return gather
