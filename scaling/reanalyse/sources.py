"""Which source a stored lane's next segment comes from, and where in it.

Shares are of searched states, and segments differ in length, so every source is owed
what it should have had so far: a lane that begins a segment takes a source in
proportion to what the sources are owed and will be when all lanes have replayed one.
Within that proportion the choice is not random but evenly spread, so a share is met
within about one segment of every lane.

The columns of a shard are numbered through: the environments' rings, then the fixed
archive (a data set, or demonstrations), then the archive of the best episodes.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

from scaling import mixing
from scaling.replay import priorities, steps

# 2^32 divided by the golden ratio: its multiples are spread evenly modulo 2^32.
_GOLDEN = 2_654_435_769


class Archives(NamedTuple):
    """What a shard can replay beside the rings of its environments."""

    fixed: Any  # `steps.Steps` of one column, or () where there is none
    best: Any  # `best.Best`, or ()

    @property
    def stores(self) -> tuple[steps.Steps, ...]:
        """The stores that there are, in the order of their columns."""
        fixed = (self.fixed,) if self.fixed else ()
        return (*fixed, self.best.steps) if self.best else fixed


class Tally(NamedTuple):
    """What the sources of a shard have had, S of them."""

    searched: Int[Array, " S"]  # states
    owed: Float[Array, " S"]  # states that are missing from its share, or too many
    begun: UInt32[Array, ""]  # segments


def no_tally(sources: int) -> Tally:
    """Returns the tally before any search."""
    zeros = jnp.zeros(sources)
    return Tally(zeros.astype(jnp.int32), zeros, jnp.zeros((), jnp.uint32))


def weights(
    shares: Sequence[mixing.Share], progress: Float[Array, ""]
) -> Float[Array, " S"]:
    """Returns the sources' shares at a share of the run's updates."""
    lines = [
        share.start
        + (share.end - share.start) * jnp.minimum(1.0, progress / share.until)
        for share in shares
    ]
    return jnp.stack([jnp.asarray(line, progress.dtype) for line in lines])


def choose(
    tally: Tally,
    starts: Bool[Array, " L"],
    shares: Float[Array, " S"],
    available: Bool[Array, " S"],
    horizon: int,
) -> tuple[Tally, Int[Array, " L"]]:
    """Returns the source of each lane that begins a segment, and the tally of it.

    Args:
      tally: of the shard.
      starts: lanes that begin one; what the others get means nothing.
      shares: of the sources now.
      available: sources that have a step.
      horizon: states that the lanes search in a segment each.
    """
    wanted = jnp.maximum(tally.owed + shares * horizon, 0.0) * available
    # Where all that are owed something are empty, the others fill in.
    wanted = jnp.where(wanted.sum() > 0, wanted, available.astype(wanted.dtype))
    until = jnp.cumsum(wanted) / jnp.maximum(wanted.sum(), 1e-30)
    number = tally.begun + jnp.cumsum(starts, dtype=jnp.uint32)
    point = (number * jnp.uint32(_GOLDEN) >> 8).astype(until.dtype) / 2**24
    source = jnp.searchsorted(until, point, side="right").astype(jnp.int32)
    source = jnp.minimum(source, shares.size - 1)
    return tally._replace(begun=tally.begun + starts.sum(dtype=jnp.uint32)), source


def count(
    tally: Tally, source: Int[Array, " L"], live: Bool[Array, " L"], shares: Array
) -> Tally:
    """Returns the tally after a call's searches.

    Args:
      tally: before.
      source: of each lane.
      live: stored lanes that searched.
      shares: of the sources in this call.
    """
    had = (jax.nn.one_hot(source, shares.size) * live[:, None]).sum(axis=0)
    owed = tally.owed + shares * had.sum() - had
    return tally._replace(searched=tally.searched + had.astype(jnp.int32), owed=owed)


class Drawn(NamedTuple):
    """A place in each source for each of L lanes."""

    column: Int[Array, "S L"]  # numbered through
    step: Int[Array, "S L"]
    available: Bool[Array, " S"]


def draw(
    names: Sequence[str],
    rings: steps.Steps,
    archives: Archives,
    newest: int,
    key: Key[Array, ""],
    lanes: int,
) -> Drawn:
    """Returns a start, uniform over its steps, in every source for every lane.

    Args:
      names: of the sources.
      rings: of the environments.
      archives: of the shard.
      newest: steps of each ring that `recent` draws from.
      key: used once.
      lanes: L.
    """
    keys = [key] if len(names) == 1 else list(jax.random.split(key, len(names)))
    found = [
        _draw_from(_rows(name, rings, archives, newest), own, lanes)
        for name, own in zip(names, keys, strict=True)
    ]
    columns, places, available = zip(*found, strict=True)
    return Drawn(jnp.stack(columns), jnp.stack(places), jnp.stack(available))


class _Rows(NamedTuple):
    """Ranges of steps that may be drawn."""

    first: Int[Array, " R"]
    stop: Int[Array, " R"]
    column: Int[Array, " R"]  # that each range is in


def _rows(name: str, rings: steps.Steps, archives: Archives, newest: int) -> _Rows:
    environments = rings.complete.size
    if name == "recent":
        return _Rows(*steps.newest(rings, newest), jnp.arange(environments))
    if name == "best":
        kept = archives.best.table.kept
        last = environments + len(archives.stores) - 1
        stop = kept.first + kept.length
        return _Rows(kept.first, stop, jnp.full_like(kept.first, last))
    complete = archives.fixed.complete
    column = jnp.full_like(complete, environments)
    return _Rows(jnp.zeros_like(complete), complete, column)


def _draw_from(
    rows: _Rows, key: Key[Array, ""], lanes: int
) -> tuple[Int[Array, " L"], Int[Array, " L"], Bool[Array, ""]]:
    row, step = priorities.draw_uniform(key, rows.first, rows.stop, lanes)
    return rows.column[row].astype(jnp.int32), step, (rows.stop > rows.first).any()


def of_column(
    names: Sequence[str],
    rings: steps.Steps,
    archives: Archives,
    column: Int[Array, " L"],
) -> Int[Array, " L"]:
    """Returns which source each lane's column belongs to."""
    environments = rings.complete.size
    last = environments + len(archives.stores) - 1
    places = {"recent": 0, "best": last, "dataset": environments}
    first = [places.get(name, environments) for name in names]
    at = jnp.where(column < environments, 0, column)
    return jnp.argmax(at[:, None] == jnp.array(first), axis=1).astype(jnp.int32)


def is_overwritten(
    rings: steps.Steps,
    archives: Archives,
    column: Int[Array, " B"],
    step: Int[Array, " B"],
    reach: int,
) -> Bool[Array, " B"]:
    """Returns which places are no longer there: only the best episodes' ring forgets.

    Args:
      rings: of the environments.
      archives: of the shard.
      column: numbered through.
      step: absolute number there.
      reach: steps before it that are needed too, for stacks and past actions.
    """
    if not archives.best:
        return jnp.zeros(column.shape, bool)
    archive = archives.best.steps
    last = rings.complete.size + len(archives.stores) - 1
    oldest = archive.complete[0] - archive.action.shape[1]
    return (column == last) & (step - reach < oldest) & (oldest > 0)
