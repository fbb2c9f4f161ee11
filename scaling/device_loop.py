"""The loop for device environments: calls run inside one compiled program."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from scaling import accounting, iteration, types
from scaling import layout as layouts
from scaling.envs import autoreset, interface
from scaling.learner import update
from scaling.replay import frames as frame_store
from scaling.replay import steps

Advance = Callable[..., tuple[iteration.State, update.Metrics]]


def make_begin(
    env: interface.DeviceEnvironment, parts: iteration.Parts
) -> Callable[[Key[Array, ""]], iteration.State]:
    """Returns a compiled function from a run's key to its state before any call."""
    layout, spec = parts.layout, env.spec
    rows = layout.shards * layout.environments
    shape = (layout.shards, max(1, layout.environments), layout.step_capacity)

    def begin(key: Key[Array, ""]) -> iteration.State:
        frames = frame_store.empty_on_device(
            shape, spec.observation_shape, spec.observation_dtype
        )
        observation, env_rows = frames[:, :, 0], ()
        if rows:
            row_key = jax.random.fold_in(key, iteration.ENVIRONMENT)
            env_rows, observation = autoreset.reset(
                env, jax.random.split(row_key, rows)
            )
        return parts.initial(key, iteration.Start(observation, env_rows, frames))

    return jax.jit(begin)


def make_advance(env: interface.DeviceEnvironment, parts: iteration.Parts) -> Advance:
    """Returns a compiled (state, calls, number, total updates) → state, metrics.

    It runs the first `number` of `calls` (an array of each field) with no return
    to the host; the metrics are sums over the updates made.
    """

    def advance(
        state: iteration.State,
        calls: accounting.Calls,
        number: Int[Array, ""],
        total_updates: Int[Array, ""],
    ) -> tuple[iteration.State, update.Metrics]:
        def body(index: Array, carry: Any) -> Any:
            call = iteration.Call(*(field[index] for field in calls))
            state, metrics = carry
            return one_call(env, parts, state, metrics, call, total_updates)

        return jax.lax.fori_loop(0, number, body, (state, update.no_metrics()))

    return jax.jit(advance, donate_argnums=0)


def one_call(
    env: interface.DeviceEnvironment,
    parts: iteration.Parts,
    state: iteration.State,
    metrics: update.Metrics,
    call: iteration.Call,
    total_updates: Int[Array, ""],
) -> tuple[iteration.State, update.Metrics]:
    """Returns state and summed metrics after one call."""
    layout = parts.layout
    placed = parts.place(state, call)
    history = types.History(parts.gather(state, placed.stack), placed.past)
    rows, keys = frame_store.to_rows((history, placed.keys))
    heat = parts.temperature(call, total_updates)
    found = parts.search(state.learner.params, rows, keys, heat)
    searched = frame_store.to_shards(found, layout.shards)
    state, metrics = learn(parts, state, metrics, call, total_updates)
    state, facts, observation = act(env, layout, state, searched, call)
    state = parts.record(state, placed, call, searched, facts)
    if not layout.environments:
        return state, metrics
    live = placed.live[:, : layout.environments]
    frames = jax.vmap(frame_store.append)(
        state.frames, observation, state.shard.steps.complete, live
    )
    return state._replace(frames=frames), metrics


def learn(
    parts: iteration.Parts,
    state: iteration.State,
    metrics: update.Metrics,
    call: iteration.Call,
    total_updates: Int[Array, ""],
) -> tuple[iteration.State, update.Metrics]:
    """Returns the state after the call's updates, and the summed metrics."""

    def body(index: Array, carry: Any) -> Any:
        learner, metrics = carry
        number = call.first_update + index
        samples = parts.draw(state, call, number)
        stacks = parts.batch_stacks(state, samples)
        frames = tuple(parts.gather(state, stack) for stack in stacks)
        batch = parts.batch(state._replace(learner=learner), samples, frames)
        progress = number / jnp.maximum(total_updates, 1)
        learner, new = parts.update(learner, batch, progress)
        return learner, jax.tree.map(jnp.add, metrics, new)

    learner, metrics = jax.lax.fori_loop(
        0, call.updates, body, (state.learner, metrics)
    )
    return state._replace(learner=learner), metrics


def act(
    env: interface.DeviceEnvironment,
    layout: layouts.Layout,
    state: iteration.State,
    searched: types.Searched,
    call: iteration.Call,
) -> tuple[iteration.State, steps.Facts, Array]:
    """Returns the state, facts [G, E] and observations after the environments act.

    In a call without fresh rows they stay as they are. In the trimmed last call all
    of them step and only the live rows are recorded.
    """
    shape = (layout.shards, layout.environments)
    action = searched.action[:, : layout.environments]
    if not layout.environments:
        none = jnp.zeros(shape)
        return state, steps.Facts(none.astype(jnp.int32), none, none, none > 0), none

    def step(rows: Any) -> tuple[Any, types.Outcome]:
        return autoreset.step(env, rows, action.reshape(-1))

    def stay(rows: Any) -> tuple[Any, types.Outcome]:
        _, outcome = jax.eval_shape(step, rows)
        return rows, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), outcome)

    rows, outcome = jax.lax.cond(call.fresh > 0, step, stay, state.env)
    outcome = frame_store.to_shards(outcome, layout.shards)
    facts = steps.Facts(
        action=action,
        reward=outcome.reward,
        discount=outcome.discount,
        last=outcome.terminated | outcome.truncated,
    )
    return state._replace(env=rows), facts, outcome.observation
