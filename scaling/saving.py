"""A run's state into checkpoints and out of them again, to the last bit.

Leaves of the state are of five kinds, by how they change. *Whole* ones (learner, sums
for the log) are the same on every device and go through Orbax. *Rings* are the stores,
steps and the best episodes with their frames, and window: they are written in chunks,
of which only those that changed are written again. *Fixed* ones are borrowed data,
which a run reads again instead. The *rest* of a shard is one small file.

A shard's files do not depend on where it lives, so a run goes on on another mesh, or
split over other processes.
"""

import concurrent.futures
import functools
import math
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from scaling import checkpoint, npy, peers, rings, run_state, sharding, snapshots
from scaling.envs import autoreset
from scaling.replay import frames as frame_store

WHOLE, REST, FIXED = "whole", "rest", "fixed"
STEPS, BEST, WINDOW = "steps", "best", "window"  # rings


class Host(NamedTuple):
    """What of a run's state the host keeps."""

    environments: autoreset.HostRows | None
    frames: frame_store.HostFrames
    best: frame_store.HostFrames | None = None


class Restored(NamedTuple):
    """A run taken up again."""

    state: run_state.State
    begun_anew: int  # environments of this process that could not be put back


class Saved(NamedTuple):
    """A checkpoint that is on the disk, and what it cost."""

    call: int
    size: int  # bytes that were written, of this process
    held_s: float  # seconds that the run waited for it
    wrote_s: float  # seconds of writing, beside the run unless there are processes


def kind_of(name: str) -> str:
    """Returns how the leaf of a state with this path is kept."""
    if name.startswith((".learner", ".metrics", ".key")):
        return WHOLE
    if name.startswith((".shard.window.entries", ".shard.window.priority")):
        return WINDOW
    if name.startswith((".shard.archives.fixed", ".archived.fixed")):
        return FIXED
    if name.endswith(".complete"):
        return REST
    if name.startswith((".shard.archives.best.steps", ".archived.best")):
        return BEST
    return STEPS if name.startswith((".shard.steps", ".frames")) else REST


class Leaf(NamedTuple):
    """A leaf of the state and its place in it."""

    name: str
    value: jax.Array

    @property
    def plain(self) -> jax.Array:
        """The leaf, a key as plain numbers."""
        return jax.random.key_data(self.value) if self.is_key else self.value

    @property
    def is_key(self) -> bool:
        """Whether it is a random key."""
        return jnp.issubdtype(self.value.dtype, jax.dtypes.prng_key)


def leaves_of(state: run_state.State) -> dict[str, list[Leaf]]:
    """Returns the leaves by kind, in the order of the state."""
    every = (WHOLE, REST, FIXED, STEPS, BEST, WINDOW)
    kinds: dict[str, list[Leaf]] = {kind: [] for kind in every}
    for path, value in jax.tree_util.tree_flatten_with_path(state)[0]:
        name = jax.tree_util.keystr(path)
        kinds[kind_of(name)].append(Leaf(name, value))
    return kinds


class Saver:
    """Writes the checkpoints of one run, and takes it up from one.

    Args:
      store: of the checkpoints.
      shards: numbers of the shards of this process.
      tail: entries before a window's cursor that may still change.
      host: what the host keeps, if it keeps anything.
    """

    def __init__(
        self,
        store: snapshots.Store,
        shards: Sequence[int],
        tail: int,
        host: Host | None,
    ):
        self._store, self._shards = store, list(shards)
        self._tail, self._host = tail, host
        self._cursors: dict[str, np.ndarray] = {}  # at the last checkpoint
        self._tables: dict[str, list[int]] = {}  # call in which a chunk was written
        self._writer = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
        self._writing: concurrent.futures.Future | None = None
        self.saved: Saved | None = None  # the last checkpoint that is on the disk

    def save(self, state: run_state.State, call: int, meta: dict[str, Any]) -> None:
        """Begins to write a checkpoint; waits only for the one before.

        Args:
          state: after `call` calls.
          call: their number.
          meta: plain JSON to find again in it.

        Raises:
          ValueError: if the one before could not be written.
        """
        began = time.monotonic()
        self.wait()
        kinds = leaves_of(state)
        writes = {
            "whole": [_copy(sharding.everywhere(leaf.plain)) for leaf in kinds[WHOLE]],
            "rest": self._by_shard(kinds[REST]),
            "chunks": self._changed(kinds, state, call),
            "environments": self._environments(),
        }
        meta = {**meta, "tables": self._tables}
        job = functools.partial(self._write, call, writes, meta)
        if peers.group().count > 1:  # the others are waited for; not in a thread
            job(lambda: time.monotonic() - began)
        else:
            held = time.monotonic() - began
            self._writing = self._writer.submit(job, lambda: held)

    def wait(self) -> None:
        """Returns when nothing is being written.

        Raises:
          ValueError: if it could not be written.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def close(self) -> None:
        """Ends the writing thread after what it is at."""
        self._writer.shutdown()

    def _write(
        self,
        call: int,
        writes: dict[str, Any],
        meta: dict[str, Any],
        held_s: Callable[[], float],
    ) -> None:
        began = time.monotonic()
        try:
            files = self._write_files(self._store.begin(call), writes)
            new = {self._store.chunks / name for name, _ in writes["chunks"]}
            new |= {file for file in files if file.parent != self._store.chunks}
            size = sum(file.stat().st_size for file in new)
            self._store.commit(call, files, meta)
            self.saved = Saved(call, size, held_s(), time.monotonic() - began)
        except OSError as error:
            raise ValueError(
                f"The checkpoint of call {call} could not be written to "
                f"{self._store.root} ({error.strerror}); make room and run the same "
                "command again: it goes on from the checkpoint before."
            ) from error

    def _write_files(
        self, directory: pathlib.Path, writes: dict[str, Any]
    ) -> list[pathlib.Path]:
        """Returns all files that this process's part consists of, on the disk."""
        whole = {f"{n:04d}": array for n, array in enumerate(writes["whole"])}
        checkpoint.save_arrays(directory / "whole", whole)
        files = [file for file in (directory / "whole").rglob("*") if file.is_file()]
        for shard, arrays in zip(self._shards, writes["rest"], strict=True):
            file = directory / f"rest-{shard:04d}.bin"
            snapshots.write_bytes(file, *map(_bytes, arrays))
            files.append(file)
        for name, arrays in writes["chunks"]:
            snapshots.write_bytes(self._store.chunks / name, *map(_bytes, arrays))
        if writes["environments"]:
            file = directory / f"environments-{peers.group().number}.npz"
            with file.open("wb") as opened:
                np.savez_compressed(opened, **writes["environments"])
            files.append(file)
        return files + [self._store.chunks / name for name in self._chunk_names()]

    def _chunk_names(self) -> list[str]:
        """Returns the files of all chunks that hold anything."""
        return [
            _chunk_name(ring, shard, chunk, written)
            for ring, table in self._tables.items()
            for chunk, written in enumerate(table)
            if written >= 0
            for shard in self._shards
        ]

    def _by_shard(self, leaves: list[Leaf]) -> list[list[np.ndarray]]:
        """Returns the leaves' parts of each shard of this process."""
        local = [_copy(sharding.to_local(leaf.plain)) for leaf in leaves]
        return [
            [_part(array, index, len(self._shards)) for array in local]
            for index in range(len(self._shards))
        ]

    def _environments(self) -> dict[str, np.ndarray]:
        if self._host is None or self._host.environments is None:
            return {}
        return self._host.environments.save()

    def _changed(
        self, kinds: dict[str, list[Leaf]], state: run_state.State, call: int
    ) -> list[tuple[str, list[np.ndarray]]]:
        """Returns name and arrays of each chunk written since the last checkpoint."""
        found = []
        for ring, cursor, back, ahead in self._rings(state):
            leaves = [leaf.value for leaf in kinds[ring]]
            cut = rings.chunks_of(leaves[0].shape[2])
            now = sharding.to_local(cursor).reshape(-1).astype(np.int64)
            before = self._cursors[ring] if ring in self._cursors else 0 * now
            table = list(self._tables.get(ring, [-1] * cut.number))
            changed = rings.dirty(cut, before - back, now + ahead)
            for chunk in np.flatnonzero(sharding.agree(changed)[1]).tolist():
                table[chunk] = call
                parts = self._chunk(ring, leaves, cut, chunk)
                found += [
                    (_chunk_name(ring, shard, chunk, call), [p[i] for p in parts])
                    for i, shard in enumerate(self._shards)
                ]
            self._cursors[ring], self._tables[ring] = now, table
        return found

    def _rings(self, state: run_state.State) -> list[tuple[str, Any, int, int]]:
        """Returns each ring, its cursors, and entries around them that may change."""
        # The pending step has a frame and an age, but is not complete.
        found = [
            (STEPS, state.shard.steps.complete, 0, 1),
            (WINDOW, state.shard.window.cursor, self._tail, 0),
        ]
        kept = state.shard.archives.best
        if kept:
            found.append((BEST, kept.steps.complete, 0, 0))
        return found

    def _frames(self, ring: str) -> frame_store.HostFrames | None:
        """Returns the frames of a ring's entries that the host keeps, if it does."""
        if self._host is None:
            return None
        return {STEPS: self._host.frames, BEST: self._host.best}.get(ring)

    def _chunk(
        self, ring: str, leaves: list[jax.Array], cut: rings.Chunks, chunk: int
    ) -> list[np.ndarray]:
        """Returns the arrays [G, columns, C, ...] of a chunk of this process."""
        start = cut.start(chunk)
        parts = sharding.to_local(_slices(leaves, start, cut.size))
        if (frames := self._frames(ring)) is not None:
            parts.append(frames.read(start, start + cut.size))
        return parts

    def restore(self, like: run_state.State, snapshot: snapshots.Snapshot) -> Restored:
        """Returns the state of a checkpoint, and puts the environments back.

        Args:
          like: a new state of the same run, for shapes and places.
          snapshot: whole, and of this run.

        Raises:
          ValueError: if its files are not of these sizes.
        """
        kinds = leaves_of(like)
        self._tables = {k: list(v) for k, v in snapshot.meta["tables"].items()}
        found = {
            **self._load_whole(kinds[WHOLE], snapshot.directory / "whole"),
            **self._load_rest(kinds[REST], snapshot.directory),
            **{leaf.name: leaf.value for leaf in kinds[FIXED]},
        }
        for ring, *_ in self._rings(like):
            found |= self._load_ring(ring, kinds[ring])
        paths, tree = jax.tree_util.tree_flatten_with_path(like)
        state = tree.unflatten([found[jax.tree_util.keystr(path)] for path, _ in paths])
        for ring, cursor, _, _ in self._rings(state):
            self._cursors[ring] = sharding.to_local(cursor).reshape(-1).astype(np.int64)
        return self._put_environments_back(state, snapshot.directory)

    def _load_whole(self, leaves: list[Leaf], directory: pathlib.Path) -> dict:
        like = {
            f"{n:04d}": np.zeros(leaf.plain.shape, leaf.plain.dtype)
            for n, leaf in enumerate(leaves)
        }
        loaded = checkpoint.load_arrays(directory, like)
        return {
            leaf.name: _keyed(leaf, jax.device_put(array, leaf.plain.sharding))
            for leaf, array in zip(leaves, loaded.values(), strict=True)
        }

    def _load_rest(self, leaves: list[Leaf], directory: pathlib.Path) -> dict:
        shapes = [_local_shape(leaf.plain, len(self._shards)) for leaf in leaves]
        parts = [
            _read(directory / f"rest-{shard:04d}.bin", shapes) for shard in self._shards
        ]
        return self._placed(
            leaves, [np.concatenate(p) for p in zip(*parts, strict=True)]
        )

    def _load_ring(self, ring: str, leaves: list[Leaf]) -> dict:
        """Returns the leaves of a ring, put together from its chunks."""
        cut = rings.chunks_of(leaves[0].value.shape[2])
        shards = len(self._shards)
        whole = [
            np.zeros((shards, *leaf.value.shape[1:]), leaf.value.dtype)
            for leaf in leaves
        ]
        shapes = [(array.shape[1:], array.dtype) for array in whole]
        if (frames := self._frames(ring)) is not None:
            shapes.append((frames.shape, frames.dtype))
        pieces = [((s[0], cut.size, *s[2:]), dtype) for s, dtype in shapes]
        for chunk, written in enumerate(self._tables[ring]):
            if written < 0:
                continue
            start = cut.start(chunk)
            for index, shard in enumerate(self._shards):
                name = _chunk_name(ring, shard, chunk, written)
                parts = _read(self._store.chunks / name, pieces)
                for array, part in zip(whole, parts, strict=False):
                    array[index, :, start : start + cut.size] = part
                if frames is not None:
                    frames.write(index, start, parts[-1])
        return self._placed(leaves, whole)

    def _placed(self, leaves: list[Leaf], arrays: list[np.ndarray]) -> dict:
        """Returns the arrays of this process's shards as leaves, by name."""
        return {
            leaf.name: _keyed(
                leaf,
                jax.make_array_from_process_local_data(leaf.plain.sharding, array),
            )
            for leaf, array in zip(leaves, arrays, strict=True)
        }

    def _put_environments_back(
        self, state: run_state.State, directory: pathlib.Path
    ) -> Restored:
        if self._host is None or self._host.environments is None:
            return Restored(state, 0)
        saved: dict[str, np.ndarray] = {}
        for file in sorted(directory.glob("environments-*.npz")):
            saved |= npy.arrays_of(file)
        restored = self._host.environments.restore(saved)
        anew = ~restored.exact.reshape(len(self._shards), -1)
        complete = sharding.to_local(state.shard.steps.complete)
        first = restored.observation.reshape(
            *anew.shape, *restored.observation.shape[1:]
        )
        self._host.frames.append(first, complete, anew)
        cut = _begin_anew(state, sharding.like(state.shard.steps.complete, anew))
        return Restored(cut, int(anew.sum()))


@jax.jit
def _begin_anew(state: run_state.State, anew: jax.Array) -> run_state.State:
    """Returns the state with the episodes of some environments ended where they are.

    The step before the pending one becomes an episode's last, without termination;
    the lane's segment closes, and the pending step is the first of a new episode.
    """
    shard = state.shard
    shards, environments, capacity = shard.steps.action.shape
    at = jnp.arange(shards)[:, None], jnp.arange(environments)[None]
    pending = shard.steps.complete % capacity
    before = (shard.steps.complete - 1) % capacity
    ended = shard.steps.last.at[*at, before].max(anew & (shard.steps.complete > 0))
    age = shard.steps.age.at[*at, pending].min(jnp.where(anew, 0, 2**30))
    lanes, window = shard.lanes, shard.window
    fresh = slice(None), slice(0, environments)
    position = jnp.where(anew, 0, lanes.position[fresh])
    closed = jnp.where(anew, window.cursor[fresh], window.closed[fresh])
    shard = shard._replace(
        steps=shard.steps._replace(last=ended, age=age),
        lanes=lanes._replace(position=lanes.position.at[fresh].set(position)),
        window=window._replace(closed=window.closed.at[fresh].set(closed)),
    )
    running = jnp.where(anew, 0, state.episodes.running)
    episodes = state.episodes._replace(running=running)
    return state._replace(shard=shard, episodes=episodes)


@functools.partial(jax.jit, static_argnums=2)
def _slices(leaves: list[jax.Array], start: Any, size: int) -> list[jax.Array]:
    return [jax.lax.dynamic_slice_in_dim(leaf, start, size, axis=2) for leaf in leaves]


def _copy(array: np.ndarray) -> np.ndarray:
    """Returns an array of its own: the device's is given away to the next call."""
    return np.array(array)


def _chunk_name(ring: str, shard: int, chunk: int, call: int) -> str:
    return f"{ring}-{shard:04d}-{chunk:05d}-{call:012d}.bin"


def _keyed(leaf: Leaf, plain: jax.Array) -> jax.Array:
    return jax.random.wrap_key_data(plain) if leaf.is_key else plain


def _part(array: np.ndarray, index: int, parts: int) -> np.ndarray:
    """Returns one of equal parts of the leading axis."""
    size = array.shape[0] // parts
    return array[index * size : (index + 1) * size]


def _local_shape(array: jax.Array, shards: int) -> tuple[tuple[int, ...], Any]:
    """Returns shape and type of one shard's part of a leaf."""
    local = sharding.local_rows(array) // shards
    return (local, *array.shape[1:]), np.dtype(array.dtype)


def _bytes(array: np.ndarray) -> memoryview | bytes:
    return np.ascontiguousarray(array).tobytes()


def _read(
    file: pathlib.Path, shapes: Sequence[tuple[tuple[int, ...], Any]]
) -> list[np.ndarray]:
    """Returns arrays of known shapes from a file of exactly their bytes.

    Raises:
      ValueError: if the file is of another size.
    """
    sizes = [math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in shapes]
    if file.stat().st_size != sum(sizes):
        raise ValueError(
            f"{file} has {file.stat().st_size} bytes where this run's arrays have "
            f"{sum(sizes)}; it is of another run or version. Delete the checkpoints "
            "of the run to begin it again."
        )
    content, arrays, at = file.read_bytes(), [], 0
    for (shape, dtype), size in zip(shapes, sizes, strict=True):
        arrays.append(np.frombuffer(content[at : at + size], dtype).reshape(shape))
        at += size
    return arrays
