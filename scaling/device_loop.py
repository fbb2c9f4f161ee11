"""The loop for device environments: calls run inside one compiled program.

On a mesh each device runs it on its own shards and their environments.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, UInt32

from scaling import accounting, config, iteration, run_state, sharding, types
from scaling import layout as layouts
from scaling.envs import autoreset, interface
from scaling.learner import update
from scaling.replay import best, steps
from scaling.replay import frames as frame_store


class Fixed(NamedTuple):
    """The borrowed data of a run, or () for what there is none of."""

    facts: Any  # `steps.Steps`, fields [G, 1, ...]
    frames: Any  # [G, 1, T, ...]


class Programs(NamedTuple):
    """The compiled programs of a run."""

    begin: Callable[..., run_state.State]
    """(seed, numbers of the shards [G], `Fixed`) → state before any call"""
    advance: Callable[..., run_state.State]
    """(state, calls, number, total updates) → state: runs the first `number` of
    `calls` (an array of each field) with no return to the host"""
    read_log: Callable[..., tuple[run_state.State, run_state.Summary]]
    """state → state with its sums for the log at zero, and what they were"""
    search: Callable[..., types.Searched]
    """(state `for_search`, `run_state.Call`, total updates) → what its lanes find, and
    no more"""


class PackedPrograms(NamedTuple):
    """The compiled programs of several runs; as those of one, on a leading axis."""

    advance: Callable[..., run_state.State]
    read_log: Callable[..., tuple[run_state.State, run_state.Summary]]
    search: Callable[..., types.Searched]


def make_programs(
    env: interface.DeviceEnvironment,
    settings: config.Settings,
    layout: layouts.Layout,
    mesh: jax.sharding.Mesh,
) -> Programs:
    """Returns the programs of all cells of these settings and sizes."""
    parts = iteration.make_parts(settings, env.spec, layout, sharding.mean(mesh))
    begin = functools.partial(_begin, env=env, parts=parts)
    advance = functools.partial(_advance, env=env, parts=parts)
    read_log = functools.partial(iteration.read_log, total=sharding.total(mesh))
    rows, whole = sharding.ROWS, sharding.WHOLE
    state = run_state.specs(run_state.learner_specs(mesh, settings, env.spec))
    return Programs(
        sharding.program(begin, mesh, (whole, rows, rows), state),
        sharding.program(
            advance, mesh, (state, whole, whole, whole), state, donate=(0,)
        ),
        sharding.program(read_log, mesh, (state,), (state, whole), donate=(0,)),
        sharding.program(
            functools.partial(_search, parts=parts),
            mesh,
            (for_search(state), whole, whole),
            rows,
        ),
    )


def make_packed(
    env: interface.DeviceEnvironment,
    settings: config.Settings,
    layout: layouts.Layout,
    mesh: jax.sharding.Mesh,
) -> PackedPrograms:
    """Returns the programs of several runs, which differ in their seeds alone.

    All of a state has a leading axis of runs, of which each device has its own: whole
    runs, so that no device waits for another.
    """
    parts = iteration.make_parts(settings, env.spec, layout)
    advance = functools.partial(_advance, env=env, parts=parts)
    read_log = functools.partial(iteration.read_log, total=lambda tree: tree)
    runs, whole = sharding.ROWS, sharding.WHOLE
    return PackedPrograms(
        sharding.program(
            _of_runs(advance), mesh, (runs, whole, whole, whole), runs, donate=(0,)
        ),
        sharding.program(_of_runs(read_log), mesh, (runs,), (runs, runs), donate=(0,)),
        sharding.program(
            _of_runs(functools.partial(_search, parts=parts)),
            mesh,
            (runs, whole, whole),
            runs,
        ),
    )


def _of_runs(function: Callable) -> Callable:
    """Returns a function of a run's state as one of several, on a leading axis.

    What else it is given is the same for all of them, so what a call does is no matter
    of the run. A device that has one run computes just what it would for that alone.
    """

    def of_runs(states: run_state.State, *shared: Any) -> Any:
        if states.key.size > 1:
            axes = (0, *[None] * len(shared))
            return jax.vmap(function, in_axes=axes)(states, *shared)
        found = function(jax.tree.map(lambda x: x[0], states), *shared)
        return jax.tree.map(lambda x: x[None], found)

    return of_runs


def _begin(
    seed: UInt32[Array, ""],
    number: Int[Array, " G"],
    fixed: Fixed,
    *,
    env: interface.DeviceEnvironment,
    parts: iteration.Parts,
) -> run_state.State:
    layout, spec, key = parts.layout, env.spec, jax.random.key(seed)
    zeros = functools.partial(
        frame_store.empty_on_device,
        frame_shape=spec.observation_shape,
        dtype=spec.observation_dtype,
    )
    frames = zeros((number.size, layout.columns, layout.step_capacity))
    kept: Any = ()
    if layout.best_steps:
        kept = zeros((number.size, 1, layout.best_capacity))
    archived = run_state.ArchivedFrames(fixed.frames, kept)
    observation, rows = frames[:, :, 0], ()
    if layout.environments:
        every = jax.random.split(
            jax.random.fold_in(key, run_state.ENVIRONMENT),
            layout.shards * layout.environments,
        )
        own = frame_store.to_shards(every, layout.shards)[number]
        rows, observation = autoreset.reset(env, frame_store.to_rows(own))
    start = run_state.Start(number, observation, rows, frames, fixed.facts, archived)
    return parts.initial(key, start)


def _advance(
    state: run_state.State,
    calls: accounting.Calls,
    number: Int[Array, ""],
    total_updates: Int[Array, ""],
    *,
    env: interface.DeviceEnvironment,
    parts: iteration.Parts,
) -> run_state.State:
    def body(index: Array, state: run_state.State) -> run_state.State:
        call = run_state.Call(*(field[index] for field in calls))
        return one_call(env, parts, state, call, total_updates)

    return jax.lax.fori_loop(0, number, body, state)


def one_call(
    env: interface.DeviceEnvironment,
    parts: iteration.Parts,
    state: run_state.State,
    call: run_state.Call,
    total_updates: Int[Array, ""],
) -> run_state.State:
    """Returns the state after one call."""
    layout = parts.layout
    with jax.named_scope("place"):
        placed = parts.place(state, call)
    with jax.named_scope("search"):
        searched = _look(parts, state, placed, call, total_updates)
    with jax.named_scope("learn"):
        state = learn(parts, state, placed, call, total_updates)
    placed = _after(placed, state.learner.updates)
    with jax.named_scope("act"):
        state, facts, observation = act(env, layout, state, searched, call)
    with jax.named_scope("record"):
        state = parts.record(state, placed, call, searched, facts)
        return _keep_frames(layout, state, placed, observation)


def _keep_frames(
    layout: layouts.Layout,
    state: run_state.State,
    placed: run_state.Placed,
    observation: Array,
) -> run_state.State:
    """Returns the state with the frames that the environments have come to."""
    if not layout.environments:
        return state
    state, live = _archive(state, placed.live[:, : layout.environments])
    frames = jax.vmap(frame_store.append)(
        state.frames, observation, state.shard.steps.complete, live
    )
    return state._replace(frames=frames)


def _look(
    parts: iteration.Parts,
    state: run_state.State,
    placed: run_state.Placed,
    call: run_state.Call,
    total_updates: Int[Array, ""],
) -> types.Searched:
    """Returns what the lanes find, fields [G, L, ...]."""
    history = types.History(parts.gather(state, placed.stack), placed.past)
    rows, keys = frame_store.to_rows((history, placed.keys))
    heat = parts.temperature(call, total_updates)
    found = parts.look(state.learner.params, rows, keys, heat)
    return frame_store.to_shards(found, state.shard.number.size)


def for_search(state: run_state.State) -> run_state.State:
    """Returns the state with no more of the learner than searches need.

    To hand over all of it takes longer than the search of a small game.
    """
    none: Any = ()
    learner = update.LearnerState(state.learner.params, none, none, none)
    return state._replace(learner=learner)


def _search(
    state: run_state.State,
    call: run_state.Call,
    total_updates: Int[Array, ""],
    *,
    parts: iteration.Parts,
) -> types.Searched:
    """Returns what the lanes of a call find; nothing else of it is done."""
    return _look(parts, state, parts.place(state, call), call, total_updates)


def _archive(state: run_state.State, live: Array) -> tuple[run_state.State, Array]:
    """Returns the state with the frames of the best episodes copied, and `live`.

    The frames are written after they have been read: `live` depends on that.
    """
    kept = state.shard.archives.best
    if not kept:
        return state, live
    archive, copied = best.copy(kept.table.moves, state.frames, state.archived.best)
    archived = state.archived._replace(best=archive)
    return state._replace(archived=archived), live & (copied >= 0)


def _after(placed: run_state.Placed, updates: Int[Array, ""]) -> run_state.Placed:
    """Returns the places for what is written once the updates have been made.

    The stores are read by the updates and written after them. Without a dependency
    XLA cannot know that, and copies every store in every call.
    """
    return placed._replace(live=placed.live & (updates >= 0))


def learn(
    parts: iteration.Parts,
    state: run_state.State,
    placed: run_state.Placed,
    call: run_state.Call,
    total_updates: Int[Array, ""],
) -> run_state.State:
    """Returns the state after the call's updates."""

    def body(index: Array, carry: Any) -> Any:
        learner, metrics = carry
        number = call.first_update + index
        samples = parts.draw(state, placed, call, number)
        stacks = parts.batch_stacks(state, samples)
        frames = tuple(parts.gather(state, stack) for stack in stacks)
        batch = parts.batch(state._replace(learner=learner), samples, frames)
        progress = iteration.progress(number, total_updates)
        learner, new = parts.update(learner, batch, progress)
        return learner, jax.tree.map(jnp.add, metrics, new)

    start = (state.learner, state.metrics)
    learner, metrics = jax.lax.fori_loop(0, call.updates, body, start)
    return state._replace(learner=learner, metrics=metrics)


def act(
    env: interface.DeviceEnvironment,
    layout: layouts.Layout,
    state: run_state.State,
    searched: types.Searched,
    call: run_state.Call,
) -> tuple[run_state.State, steps.Facts, Array]:
    """Returns the state, facts [G, E] and observations after the environments act.

    In a call without fresh rows they stay as they are. In the trimmed last call all
    of them step and only the live rows are recorded.
    """
    shards = state.shard.number.size
    action = searched.action[:, : layout.environments]
    if not layout.environments:
        none = jnp.zeros((shards, 0))
        return state, steps.Facts(none.astype(jnp.int32), none, none, none > 0), none

    def step(rows: Any) -> tuple[Any, types.Outcome]:
        return autoreset.step(env, rows, action.reshape(-1))

    def stay(rows: Any) -> tuple[Any, types.Outcome]:
        _, outcome = jax.eval_shape(step, rows)
        return rows, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), outcome)

    rows, outcome = jax.lax.cond(call.fresh > 0, step, stay, state.env)
    outcome = frame_store.to_shards(outcome, shards)
    facts = steps.Facts(
        action=action,
        reward=outcome.reward,
        discount=outcome.discount,
        last=outcome.terminated | outcome.truncated,
    )
    return state._replace(env=rows), facts, outcome.observation
