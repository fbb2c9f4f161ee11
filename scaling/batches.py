"""The learner's batches: which entries of the window, where their frames lie."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from scaling import config, run_state, types
from scaling import layout as layouts
from scaling.agent import judgement
from scaling.agent import model as models
from scaling.learner import loss, sampling
from scaling.reanalyse import sources
from scaling.replay import frames as frame_store
from scaling.replay import steps, stores


def draw(
    state: run_state.State,
    placed: run_state.Placed,
    call: run_state.Call,
    number: Int[Array, ""],
    *,
    settings: config.Settings,
    layout: layouts.Layout,
) -> sampling.Samples:
    """Returns the samples [G, B/G, ...] of update `number` of the run."""
    rows = settings.learner.batch_size // layout.shards
    keys = run_state.keys_of_shards(state, run_state.SAMPLE, number, layout.shards)
    drawn_from = sampling.From(call.window_from, placed.sampleable)
    draw_all = jax.vmap(sampling.draw, in_axes=(0, None, 0, None, None))
    samples = draw_all(state.shard.window, drawn_from, keys, rows, settings)
    if not layout.best_steps:
        return samples
    gone = jax.vmap(sources.is_overwritten, in_axes=(0, 0, 0, 0, None))(
        state.shard.steps,
        state.shard.archives,
        samples.column,
        samples.step,
        reach(settings.protocol),
    )
    return samples._replace(weight=jnp.where(gone, 0.0, samples.weight))


def reach(protocol: config.Protocol) -> int:
    """Returns the steps before a position that its history needs too."""
    return max(protocol.stack - 1, protocol.past_actions)


def batch_stacks(
    state: run_state.State, samples: sampling.Samples, *, settings: config.Settings
) -> tuple[steps.Stack, ...]:
    """Returns where the frames of a batch lie, fields [G, B/G, ...].

    The first stack is of the root steps; for a target network K + 1 more follow,
    of the steps whose values end the value targets.
    """
    wanted = [samples.step]
    if settings.learner.bootstrap == "target_network":
        wanted += list(jnp.moveaxis(sampling.bootstrap_steps(samples), -1, 0))
    return tuple(
        jax.vmap(stores.stack_at, in_axes=(0, 0, 0, None))(
            _homes(state), samples.column, step, settings.protocol.stack
        )
        for step in wanted
    )


def make_batch(
    state: run_state.State,
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
        past = jax.vmap(stores.past_actions, in_axes=(0, 0, 0, None))(
            _homes(state), samples.column, step, settings.protocol.past_actions
        )
        return frame_store.to_rows(types.History(stacked, past))

    def target_value(step: Array, stacked: Array) -> Array:
        params = state.learner.target_params
        judged = judgement.judge(model, params, history_at(step, stacked))
        return judgement.state_value(model, judged.prediction)

    rows = frame_store.to_rows(samples)
    bootstrap = rows.bootstrap
    for_roots, *for_ends = frames
    if for_ends:
        ends = jnp.moveaxis(sampling.bootstrap_steps(samples), -1, 0)
        values = [target_value(*pair) for pair in zip(ends, for_ends, strict=True)]
        bootstrap = jnp.stack(values, axis=-1)
    history = history_at(samples.step, for_roots)
    return sampling.batch(rows, history, bootstrap, settings.learner)


def gather(state: run_state.State, stack: steps.Stack) -> Array:
    """Returns stacked frames [G, B, D, ...] from the device's stores."""
    archived = [home for home in state.archived if not isinstance(home, tuple)]
    return jax.vmap(frame_store.gather_from)((state.frames, *archived), stack)


def _homes(state: run_state.State) -> tuple[steps.Steps, ...]:
    return (state.shard.steps, *state.shard.archives.stores)
