"""What changes in a run, and what of it lies where on a mesh.

Everything with a row axis is laid out [G shards, rows]; a mesh spreads the leading
axis. A shard's number is in the state, so nothing depends on where it is.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

from scaling import config, mixing, sharding, types
from scaling import layout as layouts
from scaling.agent import model as models
from scaling.learner import update
from scaling.reanalyse import lanes, sources
from scaling.replay import best, steps, window


class Shard(NamedTuple):
    """What a shard keeps; every field has a leading axis G."""

    number: Int[Array, " G"]  # of the shard in the run
    steps: steps.Steps
    archives: sources.Archives
    lanes: lanes.Lanes
    tally: sources.Tally
    window: window.Window
    digest: UInt32[Array, " G"]  # of every action and reward


class State(NamedTuple):
    """Everything that changes in a run, but frames kept on the host."""

    learner: update.LearnerState
    shard: Shard
    frames: Any  # [G, E, T, ...] on the device, or () when the host has them
    archived: "ArchivedFrames"
    env: Any  # device environments with autoreset, [G·E] rows, or ()
    episodes: "Episodes"
    metrics: update.Metrics  # sums over the updates since the log last read
    key: Key[Array, ""]  # of the run; never changed


class ArchivedFrames(NamedTuple):
    """Frames of a shard's archives, or () where there is none or the host has them."""

    fixed: Any  # [G, 1, T, ...]
    best: Any  # [G, 1, T, ...]


class Episodes(NamedTuple):
    """Returns of training episodes, for the log."""

    running: Float[Array, "G E"]  # return so far of the episode under way
    finished: Int[Array, " G"]  # episodes that ended since the log last read
    total: Float[Array, " G"]  # sum of their returns


class Summary(NamedTuple):
    """What some calls did, over all shards; the same on every device."""

    metrics: update.Metrics  # sums over the updates
    finished: Int[Array, ""]  # episodes that ended
    total: Float[Array, ""]  # sum of their returns
    drift: Any = ()  # `drift.Sums`, or () where nothing is searched again


class Start(NamedTuple):
    """What a run starts from, beside its key."""

    number: Int[Array, " G"]  # of the shards
    observation: Any  # first ones, [G·E, ...]; () when the host has the frames
    env: Any  # device environments after their reset, [G·E] rows, or ()
    frames: Any  # zeroed, [G, E, T, ...], or ()
    fixed: Any  # `steps.Steps` of the fixed archive, fields [G, 1, ...], or ()
    archived: "ArchivedFrames"


class Call(NamedTuple):
    """What one call does: a row of `accounting.Calls`; whole numbers of shape []."""

    number: Any
    fresh: Any
    stored: Any
    first_stored: Any
    updates: Any
    window_from: Any
    first_update: Any
    progress: Any  # share of the run's searches made before


class Placed(NamedTuple):
    """Where the lanes look in this call."""

    lanes: lanes.Lanes  # fields [G, L]
    live: Bool[Array, "G L"]
    stack: steps.Stack  # of the frames, fields [G, L, ...]
    past: Int[Array, "G L H"]  # past actions
    keys: Key[Array, "G L"]
    tally: sources.Tally  # with this call's stored searches, fields [G, ...]
    sampleable: Float[Array, ""]  # mean entries of a shard that the learner may draw


# What a key is for; a key is fold_in(fold_in(run key, purpose), number).
PLACE, SEARCH, SAMPLE, INIT, ENVIRONMENT = range(5)


def specs(learner: Any) -> Any:
    """Returns where the state lies on a mesh, as a `State`; the learner's is given.

    That is `learner_specs`, or () for a state without its learner.
    """
    whole: Any = sharding.WHOLE
    rows: Any = sharding.ROWS
    return State(
        learner,
        shard=rows,
        frames=rows,
        archived=rows,
        env=rows,
        episodes=rows,
        metrics=whole,
        key=whole,
    )


def placed_specs() -> Any:
    """Returns where the lanes' places lie on a mesh, as a `Placed`."""
    whole: Any = sharding.WHOLE
    rows: list[Any] = [sharding.ROWS] * (len(Placed._fields) - 1)
    return Placed(*rows, sampleable=whole)


def learner_specs(mesh: Any, settings: config.Settings, spec: types.EnvSpec) -> Any:
    """Returns where the learner lies on a mesh, as a `LearnerState`."""
    model = models.make_model(spec, settings)
    begin = functools.partial(update.initial, model=model, settings=settings.learner)
    shapes = jax.eval_shape(begin, jax.random.key(0))
    return update.LearnerState(*(sharding.parameters(mesh, part) for part in shapes))


def initial(
    key: Key[Array, ""],
    start: Start,
    *,
    model: models.Model,
    settings: config.Settings,
    spec: types.EnvSpec,
    layout: layouts.Layout,
) -> State:
    """Returns the state before the first call.

    Args:
      key: of the run.
      start: environments, their first observations, empty frames, data.
      model: the networks.
      settings: of the run.
      spec: of the environment.
      layout: sizes.
    """
    number, observation, env, frames, fixed, archived = start

    def repeat(tree: Any) -> Any:
        return jax.tree.map(lambda x: jnp.stack([x] * number.size), tree)

    if not isinstance(frames, tuple):
        first = observation.reshape(*frames.shape[:2], *frames.shape[3:])
        frames = frames.at[:, :, 0].set(first)
    shares, kept = mixing.of_run(settings, layout.environments), ()
    if layout.best_steps:
        kept = best.empty(layout.columns, layout.best_steps, layout.best_episodes)
    shard = Shard(
        number=number,
        steps=repeat(steps.empty(layout.columns, layout.step_capacity)),
        archives=sources.Archives(fixed, repeat(kept)),
        tally=repeat(sources.no_tally(len(shares))),
        lanes=repeat(lanes.initial(layout.environments, layout.stored_slots)),
        window=repeat(
            window.empty(layout.lanes, layout.window_capacity, spec.num_actions)
        ),
        digest=jnp.zeros(number.size, jnp.uint32),
    )
    return State(
        learner=update.initial(key_for(key, INIT, 0), model, settings.learner),
        shard=shard,
        frames=frames,
        archived=archived,
        env=env,
        episodes=_no_episodes(number.size, layout.environments),
        metrics=update.no_metrics(),
        key=key,
    )


def _no_episodes(shards: int, environments: int) -> Episodes:
    zeros = jnp.zeros(shards)
    return Episodes(jnp.zeros((shards, environments)), zeros.astype(jnp.int32), zeros)


def key_for(key: Key[Array, ""], purpose: int, number: Any) -> Key[Array, ""]:
    """Returns the key of the run for a purpose and a number."""
    return jax.random.fold_in(jax.random.fold_in(key, purpose), number)


def keys_of_shards(
    state: State, purpose: int, number: Any, shards: int
) -> Key[Array, " G"]:
    """Returns the shards' keys, the same wherever the shards are."""
    return jax.random.split(key_for(state.key, purpose, number), shards)[
        state.shard.number
    ]
