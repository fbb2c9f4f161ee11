"""One iteration in parts: place the lanes, search, learn, act, record.

The parts are pure functions of the state. The device loop composes them inside one
compiled program; the host loop runs them as separate programs, so that emulators
step while the device works. In both, an iteration (a *call*) is

    place → search → learn from what was recorded before → act → record,

and learning does not wait for what this call's environments do.

A shard steps, stores and samples for itself: the parts are mapped over the leading axis
of `scaling.run_state`, which holds all shards, or those of one device of a mesh. Only
the means of the learner cross devices.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from scaling import batches, config, looking, mixing, run_state, types
from scaling import layout as layouts
from scaling.agent import model as models
from scaling.learner import loss, sampling, update
from scaling.reanalyse import lanes, sources
from scaling.replay import best, drift, steps, stores, window

# The names of its parts, which traces of compiled programs have too.
PARTS = ("place", "search", "learn", "act", "record")


class Parts(NamedTuple):
    """The parts of an iteration, with what is static bound."""

    layout: layouts.Layout
    initial: Callable[..., run_state.State]
    place: Callable[[run_state.State, run_state.Call], run_state.Placed]
    look: looking.Look
    draw: Callable[
        [run_state.State, run_state.Placed, run_state.Call, Array], sampling.Samples
    ]
    batch: Callable[..., loss.Batch]
    update: Callable[..., tuple[update.LearnerState, update.Metrics]]
    record: Callable[..., run_state.State]
    temperature: Callable[[run_state.Call, Array], Array]
    gather: Callable[[run_state.State, steps.Stack], Array]
    batch_stacks: Callable[[run_state.State, sampling.Samples], tuple[steps.Stack, ...]]


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
        look=looking.make(model, settings, acts=layout.environments > 0),
        draw=bind(batches.draw, settings=settings, layout=layout),
        batch=bind(batches.make_batch, model=model, settings=settings),
        update=bind(update.update, model=model, settings=settings.learner, mean=mean),
        record=bind(record, settings=settings, layout=layout),
        temperature=bind(temperature, settings=settings.search),
        gather=batches.gather,
        batch_stacks=bind(batches.batch_stacks, settings=settings),
    )


def initial(
    key: Key[Array, ""],
    start: run_state.Start,
    *,
    model: models.Model,
    settings: config.Settings,
    spec: types.EnvSpec,
    layout: layouts.Layout,
) -> run_state.State:
    """Returns the state before the first call (`scaling.run_state.initial`).

    How far targets drift is followed where stored steps are searched for their targets.
    """
    state = run_state.initial(
        key, start, model=model, settings=settings, spec=spec, layout=layout
    )
    if not layout.stored_slots or settings.learner.target != "reanalyse":
        return state
    shard = state.shard
    homes = (shard.steps, *shard.archives.stores)
    followed = jax.vmap(lambda _: drift.nothing(drift.slots(homes)))(shard.number)
    searches = shard.window._replace(drift=followed)
    return state._replace(shard=shard._replace(window=searches))


def place(
    state: run_state.State,
    call: run_state.Call,
    *,
    settings: config.Settings,
    layout: layouts.Layout,
    mean: Callable[[Any], Any],
) -> run_state.Placed:
    """Returns where every lane looks, stored lanes between segments placed anew."""
    shards, fresh_rows = layout.shards, layout.environments
    protocol = settings.protocol
    no_turns = jnp.zeros((), jnp.int32)  # all environments step, or none

    def of_shard(shard: run_state.Shard, key: Array):
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
        placed, tally = _begin_segments(shard, live, call, key, settings, layout)
        homes = (shard.steps, *shard.archives.stores)
        at = (placed.column, placed.step)
        stack = stores.stack_at(homes, *at, protocol.stack)
        past = stores.past_actions(homes, *at, protocol.past_actions)
        return placed, live, stack, past, tally

    keys = run_state.keys_of_shards(state, run_state.PLACE, call.number, shards)
    search_key = run_state.key_for(state.key, run_state.SEARCH, call.number)
    placed, live, stack, past, tally = jax.vmap(of_shard)(state.shard, keys)
    return run_state.Placed(
        lanes=placed,
        live=live,
        stack=stack,
        past=past,
        tally=tally,
        keys=lanes.keys_of_rows(search_key, state.shard.number, layout.lanes),
        sampleable=_sampleable(state, call, settings.replay, mean),
    )


def _begin_segments(
    shard: run_state.Shard,
    live: Bool[Array, " L"],
    call: run_state.Call,
    key: Array,
    settings: config.Settings,
    layout: layouts.Layout,
) -> tuple[lanes.Lanes, sources.Tally]:
    """Returns a shard's lanes with those that wait at a start, and the tally."""
    shares = mixing.of_run(settings, layout.environments)
    names = [share.source for share in shares]
    held, reach = shard.lanes, batches.reach(settings.protocol)
    waiting = held.waiting | sources.is_overwritten(
        shard.steps, shard.archives, held.column, held.step, reach
    )
    drawn = sources.draw(
        names, shard.steps, shard.archives, layout.newest, key, layout.lanes
    )
    weights = sources.weights(shares, call.progress)
    horizon = layout.stored_slots * settings.replay.segment_length
    tally, source = sources.choose(
        shard.tally, waiting & live, weights, drawn.available, horizon
    )
    lane = jnp.arange(layout.lanes)
    placed = lanes.place(
        held._replace(waiting=waiting),
        waiting & live,
        drawn.column[source, lane],
        drawn.step[source, lane],
    )
    at = sources.of_column(names, shard.steps, shard.archives, placed.column)
    stored = live & (lane >= layout.environments)
    return placed, sources.count(tally, at, stored, weights)


def _sampleable(
    state: run_state.State,
    call: run_state.Call,
    settings: config.Replay,
    mean: Callable[[Any], Any],
) -> Float[Array, ""]:
    """Returns the mean number of entries that a shard's samples are drawn from.

    Uniform draws need it not, so they ask nothing of other devices.
    """
    if settings.priority_exponent == 0:
        return jnp.zeros(())
    number = jax.vmap(window.count_sampleable, in_axes=(0, None))
    return mean(number(state.shard.window, call.window_from).mean())


def progress(number: Any, total_updates: Any) -> Float[Array, ""]:
    """Returns the share of the run's updates made before update `number`, in [0, 1].

    Both are whole numbers of shape []. It is as wide as the numbers of the run, in both
    loops: a narrower one in either would be another learning rate.
    """
    whole = jnp.maximum(total_updates, 1)
    return jnp.asarray(number, float) / jnp.asarray(whole, float)


def temperature(
    call: run_state.Call, total_updates: Int[Array, ""], *, settings: config.Search
) -> Float[Array, ""]:
    """Returns the temperature of acting at the share of updates made so far."""
    made = progress(call.first_update, total_updates)
    value = jnp.asarray(settings.temperatures[0][1], made.dtype)
    for start, later in settings.temperatures[1:]:
        value = jnp.where(made >= start, later, value)
    return value


def record(
    state: run_state.State,
    placed: run_state.Placed,
    call: run_state.Call,
    searched: types.Searched,
    outcome: steps.Facts,
    *,
    settings: config.Settings,
    layout: layouts.Layout,
) -> run_state.State:
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
    of_rows: Any = run_state.placed_specs()._replace(sampleable=None)
    axes = jax.tree.map(lambda _: 0, of_rows)
    shard, read = jax.vmap(one_shard, in_axes=(0, axes, 0, 0))(
        state.shard, placed, searched, outcome
    )
    live = placed.live[:, : layout.environments]
    if layout.best_steps:
        # The archive is written after it has been read: else XLA copies it.
        last = live & outcome.last & (read >= 0)[:, None]
        total = state.episodes.running + outcome.reward
        shard = _keep_the_best(shard, last, total)
    episodes = _count_episodes(state.episodes, outcome, live)
    return state._replace(shard=shard, episodes=episodes)


def _keep_the_best(
    shard: run_state.Shard, last: Bool[Array, "G E"], total: Float[Array, "G E"]
) -> run_state.Shard:
    """Returns the shards with the archives after the episodes that have ended."""
    kept, copied = best.keep(shard.archives.best, shard.steps, last, total)
    # What is written to the rings later must wait for the copies made of them.
    rings = shard.steps._replace(complete=shard.steps.complete + jnp.minimum(copied, 0))
    return shard._replace(steps=rings, archives=shard.archives._replace(best=kept))


def _record_shard(
    shard: run_state.Shard,
    placed_lanes: run_state.Placed,
    searched: types.Searched,
    outcome: steps.Facts,
    *,
    call: run_state.Call,
    settings: config.Settings,
    layout: layouts.Layout,
) -> tuple[run_state.Shard, Int[Array, ""]]:
    """Returns the shard, and a number from 0 on that is there when all is read."""
    environments = layout.environments
    placed, live = placed_lanes.lanes, placed_lanes.live
    stored = shard.steps
    if environments:
        stored = steps.append(stored, outcome, live[:environments])
    homes = (stored, *shard.archives.stores)
    replayed = stores.facts_at(homes, placed.column, placed.step)
    facts = jax.tree.map(
        lambda new, old: jnp.concatenate([new, old[environments:]]).astype(old.dtype),
        outcome,
        replayed,
    )
    closes = lanes.closing(
        placed,
        stores.complete_of(homes, placed.column),
        facts.last,
        settings.replay.segment_length,
        environments,
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
        policy=looking.policy_target(searched, facts.action, settings.learner.target),
    )
    searches = _append(shard.window, homes, entry, live, closes, environments)
    if settings.replay.priority_exponent:
        searches = sampling.refresh_priorities(searches, live, settings)
    recorded = run_state.Shard(
        number=shard.number,
        steps=stored,
        archives=shard.archives,
        lanes=lanes.advance(placed, live, closes, environments),
        tally=placed_lanes.tally,
        window=searches,
        digest=_digest(shard.digest, searched.action, facts.reward, live),
    )
    return recorded, jnp.stack([(field != 0).sum() for field in facts]).sum()


def _append(
    searches: window.Window,
    homes: Sequence[steps.Steps],
    entry: window.Entry,
    live: Bool[Array, " L"],
    closes: Bool[Array, " L"],
    environments: int,
) -> window.Window:
    """Returns the window with a call's searches, compared with those before them."""
    if searches.drift:
        followed, read = drift.follow(searches, homes, entry, live, environments)
        searches = searches._replace(drift=followed)
        live = live & (read >= 0)  # written once it has been read: else XLA copies it
    return window.append(searches, entry, live, closes)


def read_log(
    state: run_state.State, *, total: Callable[[Any], Any]
) -> tuple[run_state.State, run_state.Summary]:
    """Returns the state with its sums for the log at zero, and what they were.

    Args:
      state: after some calls.
      total: sum over the devices that hold the shards.
    """
    counts = state.episodes
    finished, returns = total((counts.finished.sum(), counts.total.sum()))
    read = jax.tree.map(jnp.zeros_like, (counts.finished, counts.total))
    episodes = run_state.Episodes(counts.running, *read)
    state_read = state._replace(episodes=episodes, metrics=update.no_metrics())
    summary = run_state.Summary(state.metrics, finished, returns)
    searches = state.shard.window
    if not searches.drift:
        return state_read, summary
    summary = summary._replace(drift=total(drift.total(searches.drift)))
    searches = searches._replace(drift=drift.begun_anew(searches.drift))
    shard = state.shard._replace(window=searches)
    return state_read._replace(shard=shard), summary


def _digest(digest: Array, action: Array, reward: Array, live: Array) -> Array:
    """Returns the rolling hash after the actions and rewards of live rows."""
    bits = jax.lax.bitcast_convert_type(reward.astype(jnp.float32), jnp.uint32)
    place = jnp.arange(live.size, dtype=jnp.uint32)
    word = (action.astype(jnp.uint32) + 1) * jnp.uint32(2654435761)
    word = (word ^ bits) * (2 * place + 1) * jnp.uint32(2246822519)
    word = word ^ (word >> 15)
    mixed = jnp.sum(jnp.where(live, word, 0), dtype=jnp.uint32)
    return digest * jnp.uint32(1664525) + mixed + jnp.uint32(1013904223)


def _count_episodes(
    episodes: run_state.Episodes, outcome: steps.Facts, live: Array
) -> run_state.Episodes:
    running = episodes.running + jnp.where(live, outcome.reward, 0.0)
    ended = live & outcome.last
    return run_state.Episodes(
        running=jnp.where(ended, 0.0, running),
        finished=episodes.finished + ended.sum(axis=1, dtype=jnp.int32),
        total=episodes.total + jnp.where(ended, running, 0.0).sum(axis=1),
    )
