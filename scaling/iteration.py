"""One iteration in parts: place the lanes, search, learn, act, record.

The parts are pure functions of the state. The device loop composes them inside one
compiled program; the host loop runs them as separate programs, so that emulators
step while the device works. In both, an iteration (a *call*) is

    place → search → learn from what was recorded before → act → record,

and learning does not wait for what this call's environments do.

Everything with a row axis is laid out [G shards, rows]. A shard steps, stores and
samples for itself: the parts are mapped over the leading axis, which holds all
shards, or those of one device of a mesh. A shard's number is in the state, so the
parts do not know where they run; only the means of the learner cross devices.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

from scaling import config, sharding, types
from scaling import layout as layouts
from scaling.agent import model as models
from scaling.learner import loss, sampling, update
from scaling.reanalyse import lanes
from scaling.replay import frames as frame_store
from scaling.replay import steps, window
from scaling.search import mcts


class Shard(NamedTuple):
    """What a shard keeps; every field has a leading axis G."""

    number: Int[Array, " G"]  # of the shard in the run
    steps: steps.Steps
    lanes: lanes.Lanes
    window: window.Window
    digest: UInt32[Array, " G"]  # of every action and reward


class State(NamedTuple):
    """Everything that changes in a run, but frames kept on the host."""

    learner: update.LearnerState
    shard: Shard
    frames: Any  # [G, E, T, ...] on the device, or () when the host has them
    env: Any  # device environments with autoreset, [G·E] rows, or ()
    episodes: "Episodes"
    metrics: update.Metrics  # sums over the updates since the log last read
    key: Key[Array, ""]  # of the run; never changed


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


class Start(NamedTuple):
    """What a run starts from, beside its key."""

    number: Int[Array, " G"]  # of the shards
    observation: Any  # first ones, [G·E, ...]; () when the host has the frames
    env: Any  # device environments after their reset, [G·E] rows, or ()
    frames: Any  # zeroed, [G, E, T, ...], or ()


class Call(NamedTuple):
    """What one call does: a row of `accounting.Calls`; whole numbers of shape []."""

    number: Any
    fresh: Any
    stored: Any
    first_stored: Any
    updates: Any
    window_from: Any
    first_update: Any


class Placed(NamedTuple):
    """Where the lanes look in this call."""

    lanes: lanes.Lanes  # fields [G, L]
    live: Bool[Array, "G L"]
    stack: steps.Stack  # of the frames, fields [G, L, ...]
    past: Int[Array, "G L H"]  # past actions
    keys: Key[Array, "G L"]
    sampleable: Float[Array, ""]  # mean entries of a shard that the learner may draw


# What a key is for; a key is fold_in(fold_in(run key, purpose), number).
_PLACE, _SEARCH, _SAMPLE, _INIT, ENVIRONMENT = range(5)


class Parts(NamedTuple):
    """The parts of an iteration, with what is static bound."""

    layout: layouts.Layout
    initial: Callable[..., State]
    place: Callable[[State, Call], Placed]
    search: mcts.SearchFunction
    draw: Callable[[State, Placed, Call, Array], sampling.Samples]
    batch: Callable[..., loss.Batch]
    update: Callable[..., tuple[update.LearnerState, update.Metrics]]
    record: Callable[..., State]
    temperature: Callable[[Call, Array], Array]
    gather: Callable[[State, steps.Stack], Array]
    batch_stacks: Callable[[State, sampling.Samples], tuple[steps.Stack, ...]]


def specs(learner: Any) -> Any:
    """Returns where the state lies on a mesh, as a `State`; the learner's is given."""
    whole: Any = sharding.WHOLE
    rows: Any = sharding.ROWS
    return State(
        learner,
        shard=rows,
        frames=rows,
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
    """Returns where the learner lies on a mesh."""
    model = models.make_model(spec, settings)
    begin = functools.partial(update.initial, model=model, settings=settings.learner)
    return sharding.parameters(mesh, jax.eval_shape(begin, jax.random.key(0)))


def make_parts(
    settings: config.Settings,
    spec: types.EnvSpec,
    layout: layouts.Layout,
    mean: Callable[[Any], Any] = lambda tree: tree,
) -> Parts:
    """Returns the parts for an environment and a layout.

    Args:
      settings: of the run.
      spec: of the environment.
      layout: sizes.
      mean: over the devices that hold the shards.
    """
    model = models.make_model(spec, settings)
    bind = functools.partial
    return Parts(
        layout=layout,
        initial=bind(initial, model=model, settings=settings, spec=spec, layout=layout),
        place=bind(place, settings=settings, layout=layout, mean=mean),
        search=mcts.make_search(model, settings.search, settings.learner.discount),
        draw=bind(draw, settings=settings, layout=layout),
        batch=bind(make_batch, model=model, settings=settings),
        update=bind(update.update, model=model, settings=settings.learner, mean=mean),
        record=bind(record, settings=settings, layout=layout),
        temperature=bind(temperature, settings=settings.search),
        gather=gather,
        batch_stacks=bind(batch_stacks, settings=settings),
    )


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
      start: environments, their first observations and empty frames.
      model: the networks.
      settings: of the run.
      spec: of the environment.
      layout: sizes.
    """
    number, observation, env, frames = start

    def repeat(tree: Any) -> Any:
        return jax.tree.map(lambda x: jnp.stack([x] * number.size), tree)

    if not isinstance(frames, tuple):
        first = observation.reshape(*frames.shape[:2], *frames.shape[3:])
        frames = frames.at[:, :, 0].set(first)
    columns = max(1, layout.environments)
    shard = Shard(
        number=number,
        steps=repeat(steps.empty(columns, layout.step_capacity)),
        lanes=repeat(lanes.initial(layout.environments, layout.stored_slots)),
        window=repeat(
            window.empty(layout.lanes, layout.window_capacity, spec.num_actions)
        ),
        digest=jnp.zeros(number.size, jnp.uint32),
    )
    return State(
        learner=update.initial(_key(key, _INIT, 0), model, settings.learner),
        shard=shard,
        frames=frames,
        env=env,
        episodes=_no_episodes(number.size, layout.environments),
        metrics=update.no_metrics(),
        key=key,
    )


def _no_episodes(shards: int, environments: int) -> Episodes:
    zeros = jnp.zeros(shards)
    return Episodes(jnp.zeros((shards, environments)), zeros.astype(jnp.int32), zeros)


def _key(key: Key[Array, ""], purpose: int, number: Any) -> Key[Array, ""]:
    return jax.random.fold_in(jax.random.fold_in(key, purpose), number)


def _keys_of_shards(
    state: State, purpose: int, number: Any, shards: int
) -> Key[Array, " G"]:
    """Returns the shards' keys, the same wherever the shards are."""
    return jax.random.split(_key(state.key, purpose, number), shards)[
        state.shard.number
    ]


def place(
    state: State,
    call: Call,
    *,
    settings: config.Settings,
    layout: layouts.Layout,
    mean: Callable[[Any], Any],
) -> Placed:
    """Returns where every lane looks, stored lanes between segments placed anew."""
    shards, fresh_rows = layout.shards, layout.environments
    protocol = settings.protocol
    no_turns = jnp.zeros((), jnp.int32)  # all environments step, or none

    def of_shard(shard: Shard, key: Array):
        live = jnp.concatenate(
            [
                lanes.live_rows(call.fresh, no_turns, shard.number, shards, fresh_rows),
                lanes.live_rows(
                    call.stored,
                    call.first_stored,
                    shard.number,
                    shards,
                    layout.stored_slots,
                ),
            ]
        )
        placed = lanes.place(shard.lanes, shard.steps, live, layout.newest, key)
        at = (placed.column, placed.step)
        stack = steps.stack_at(shard.steps, *at, protocol.stack)
        past = steps.past_actions(shard.steps, *at, protocol.past_actions)
        return placed, live, stack, past

    keys = _keys_of_shards(state, _PLACE, call.number, shards)
    search_key = _key(state.key, _SEARCH, call.number)
    return Placed(
        *jax.vmap(of_shard)(state.shard, keys),
        keys=lanes.keys_of_rows(search_key, state.shard.number, layout.lanes),
        sampleable=_sampleable(state, call, settings.replay, mean),
    )


def _sampleable(
    state: State, call: Call, settings: config.Replay, mean: Callable[[Any], Any]
) -> Float[Array, ""]:
    """Returns the mean number of entries that a shard's samples are drawn from.

    Uniform draws need it not, so they ask nothing of other devices.
    """
    if settings.priority_exponent == 0:
        return jnp.zeros(())
    number = jax.vmap(window.count_sampleable, in_axes=(0, None))
    return mean(number(state.shard.window, call.window_from).mean())


def gather(state: State, stack: steps.Stack) -> Array:
    """Returns stacked frames [G, B, D, ...] from the device's store."""
    return jax.vmap(frame_store.gather)(state.frames, stack)


def temperature(
    call: Call, total_updates: Int[Array, ""], *, settings: config.Search
) -> Float[Array, ""]:
    """Returns the temperature of acting at the share of updates made so far."""
    progress = call.first_update / jnp.maximum(total_updates, 1)
    value = jnp.asarray(settings.temperatures[0][1], progress.dtype)
    for start, later in settings.temperatures[1:]:
        value = jnp.where(progress >= start, later, value)
    return value


def draw(
    state: State,
    placed: Placed,
    call: Call,
    number: Int[Array, ""],
    *,
    settings: config.Settings,
    layout: layouts.Layout,
) -> sampling.Samples:
    """Returns the samples [G, B/G, ...] of update `number` of the run."""
    rows = settings.learner.batch_size // layout.shards
    keys = _keys_of_shards(state, _SAMPLE, number, layout.shards)
    drawn_from = sampling.From(call.window_from, placed.sampleable)
    draw_all = jax.vmap(sampling.draw, in_axes=(0, None, 0, None, None))
    return draw_all(state.shard.window, drawn_from, keys, rows, settings)


def batch_stacks(
    state: State, samples: sampling.Samples, *, settings: config.Settings
) -> tuple[steps.Stack, ...]:
    """Returns where the frames of a batch lie, fields [G, B/G, ...].

    The first stack is of the root steps; for a target network K + 1 more follow,
    of the steps whose values end the value targets.
    """
    wanted = [samples.step]
    if settings.learner.bootstrap == "target_network":
        wanted += list(jnp.moveaxis(sampling.bootstrap_steps(samples), -1, 0))
    return tuple(
        jax.vmap(steps.stack_at, in_axes=(0, 0, 0, None))(
            state.shard.steps, samples.column, step, settings.protocol.stack
        )
        for step in wanted
    )


def make_batch(
    state: State,
    samples: sampling.Samples,
    frames: tuple[Array, ...],
    *,
    model: models.Model,
    settings: config.Settings,
) -> loss.Batch:
    """Returns the learner's batch, rows of all shards in one axis.

    Args:
      state: of the run.
      samples: drawn for this update.
      frames: stacked, [G, B/G, D, ...], one for each of `batch_stacks`.
      model: the networks.
      settings: of the run.
    """

    def history_at(step: Array, stacked: Array) -> types.History:
        past = jax.vmap(steps.past_actions, in_axes=(0, 0, 0, None))(
            state.shard.steps, samples.column, step, settings.protocol.past_actions
        )
        return frame_store.to_rows(types.History(stacked, past))

    def target_value(step: Array, stacked: Array) -> Array:
        params = state.learner.target_params
        hidden = model.represent(params, history_at(step, stacked))
        return model.decode(model.predict(params, hidden).value_logits)

    rows = frame_store.to_rows(samples)
    bootstrap = rows.bootstrap
    for_roots, *for_ends = frames
    if for_ends:
        ends = jnp.moveaxis(sampling.bootstrap_steps(samples), -1, 0)
        values = [target_value(*pair) for pair in zip(ends, for_ends, strict=True)]
        bootstrap = jnp.stack(values, axis=-1)
    history = history_at(samples.step, for_roots)
    return sampling.batch(rows, history, bootstrap, settings.learner)


def record(
    state: State,
    placed: Placed,
    call: Call,
    searched: types.Searched,
    outcome: steps.Facts,
    *,
    settings: config.Settings,
    layout: layouts.Layout,
) -> State:
    """Returns the state with the call's searches and environment steps recorded.

    Args:
      state: before.
      placed: where the lanes looked.
      call: what the call does.
      searched: results of all lanes, fields [G, L, ...].
      outcome: of the environments' steps, fields [G, E]; means nothing in a call
        in which they do not step.
      settings: of the run.
      layout: sizes.
    """
    one_shard = functools.partial(
        _record_shard, call=call, settings=settings, layout=layout
    )
    of_rows: Any = placed_specs()._replace(sampleable=None)
    axes = jax.tree.map(lambda _: 0, of_rows)
    shard = jax.vmap(one_shard, in_axes=(0, axes, 0, 0))(
        state.shard, placed, searched, outcome
    )
    live = placed.live[:, : layout.environments]
    episodes = _count_episodes(state.episodes, outcome, live)
    return state._replace(shard=shard, episodes=episodes)


def _record_shard(
    shard: Shard,
    placed_lanes: Placed,
    searched: types.Searched,
    outcome: steps.Facts,
    *,
    call: Call,
    settings: config.Settings,
    layout: layouts.Layout,
) -> Shard:
    environments = layout.environments
    placed, live = placed_lanes.lanes, placed_lanes.live
    stored = shard.steps
    if environments:
        stored = steps.append(stored, outcome, live[:environments])
    replayed = steps.facts_at(stored, placed.column, placed.step)
    facts = jax.tree.map(
        lambda new, old: jnp.concatenate([new, old[environments:]]).astype(old.dtype),
        outcome,
        replayed,
    )
    closes = lanes.closing(
        placed, stored, facts.last, settings.replay.segment_length, environments
    )
    entry = window.Entry(
        column=placed.column,
        step=placed.step,
        position=placed.position,
        call=jnp.full_like(placed.step, call.number),
        action=facts.action,
        reward=facts.reward,
        discount=facts.discount,
        value=searched.value,
        policy=searched.policy,
    )
    searches = window.append(shard.window, entry, live, closes)
    if settings.replay.priority_exponent:
        searches = sampling.refresh_priorities(searches, live, settings)
    return Shard(
        number=shard.number,
        steps=stored,
        lanes=lanes.advance(placed, live, closes, environments),
        window=searches,
        digest=_digest(shard.digest, searched.action, facts.reward, live),
    )


def read_log(state: State, *, total: Callable[[Any], Any]) -> tuple[State, Summary]:
    """Returns the state with its sums for the log at zero, and what they were.

    Args:
      state: after some calls.
      total: sum over the devices that hold the shards.
    """
    counts = state.episodes
    finished, returns = total((counts.finished.sum(), counts.total.sum()))
    read = jax.tree.map(jnp.zeros_like, (counts.finished, counts.total))
    episodes = Episodes(counts.running, *read)
    state_read = state._replace(episodes=episodes, metrics=update.no_metrics())
    return state_read, Summary(state.metrics, finished, returns)


def _digest(digest: Array, action: Array, reward: Array, live: Array) -> Array:
    """Returns the rolling hash after the actions and rewards of live rows."""
    bits = jax.lax.bitcast_convert_type(reward.astype(jnp.float32), jnp.uint32)
    place = jnp.arange(live.size, dtype=jnp.uint32)
    word = (action.astype(jnp.uint32) + 1) * jnp.uint32(2654435761)
    word = (word ^ bits) * (2 * place + 1) * jnp.uint32(2246822519)
    word = word ^ (word >> 15)
    mixed = jnp.sum(jnp.where(live, word, 0), dtype=jnp.uint32)
    return digest * jnp.uint32(1664525) + mixed + jnp.uint32(1013904223)


def _count_episodes(episodes: Episodes, outcome: steps.Facts, live: Array) -> Episodes:
    running = episodes.running + jnp.where(live, outcome.reward, 0.0)
    ended = live & outcome.last
    return Episodes(
        running=jnp.where(ended, 0.0, running),
        finished=episodes.finished + ended.sum(axis=1, dtype=jnp.int32),
        total=episodes.total + jnp.where(ended, running, 0.0).sum(axis=1),
    )
