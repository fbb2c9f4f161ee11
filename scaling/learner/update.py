"""The optimiser and one learner update."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from scaling import config, types
from scaling.agent import model as models
from scaling.learner import loss as losses


class LearnerState(NamedTuple):
    """What an update changes."""

    params: types.Params
    target_params: types.Params  # of the target network
    optimiser: Any  # optax state
    updates: Int[Array, ""]


class Metrics(NamedTuple):
    """Of one update, or sums over `number` of them."""

    loss: Float[Array, ""]
    value_loss: Float[Array, ""]
    policy_loss: Float[Array, ""]
    reward_loss: Float[Array, ""]
    gradient_norm: Float[Array, ""]
    value_target: Float[Array, ""]  # mean, in units of reward
    number: Float[Array, ""]  # of updates summed


def no_metrics() -> Metrics:
    """Returns the metrics of no update."""
    return Metrics(*(jnp.zeros(()) for _ in Metrics._fields))


def make_optimiser(settings: config.Learner) -> optax.GradientTransformation:
    """Returns Adam with decoupled weight decay, before the learning rate.

    The decay is added in the paper's scale: weight_decay / learning_rate, so that
    one update at the first learning rate shrinks a weight by `weight_decay`.

    Source: Loshchilov & Hutter 2019, arXiv 1711.05101; the scale is that of the
    pseudocode published with arXiv 2104.06294.
    """
    clip = settings.gradient_clip
    return optax.chain(
        optax.identity() if clip is None else optax.clip_by_global_norm(clip),
        optax.scale_by_adam(),
        optax.add_decayed_weights(settings.weight_decay / settings.learning_rate),
    )


def learning_rate(
    settings: config.Learner, progress: Float[Array, ""]
) -> Float[Array, ""]:
    """Returns the learning rate at a share `progress` of the updates.

    Cosine: lr (1 + cos π·progress) / 2. The horizon is data, not a shape, so runs
    of any length share a program.
    """
    shape = {
        "cosine": lambda p: 0.5 * (1 + jnp.cos(jnp.pi * p)),
        "constant": jnp.ones_like,
    }[settings.schedule]
    return settings.learning_rate * shape(progress)


def initial(
    key: Key[Array, ""], model: models.Model, settings: config.Learner
) -> LearnerState:
    """Returns the learner before its first update."""
    params = model.init(key)
    return LearnerState(
        params=params,
        target_params=jax.tree.map(jnp.copy, params),
        optimiser=make_optimiser(settings).init(params),
        updates=jnp.zeros((), jnp.int32),
    )


def update(
    state: LearnerState,
    batch: losses.Batch,
    progress: Float[Array, ""],
    model: models.Model,
    settings: config.Learner,
    mean: Callable[[Any], Any] = lambda tree: tree,
) -> tuple[LearnerState, Metrics]:
    """Returns the learner after one gradient step, and what it measured.

    Gradient and losses are averaged over the devices together, in one collective.

    Args:
      state: of the learner.
      batch: of samples; where their targets came from is not known here.
      progress: share of the run's updates already made, in [0, 1].
      model: the networks.
      settings: of the learner.
      mean: over the devices, of which each has an equal part of the batch.
    """
    compute = functools.partial(losses.loss, model=model, settings=settings)
    found = jax.value_and_grad(compute, has_aux=True)(state.params, batch)
    value_target = jnp.mean(batch.targets.value)
    ((total, terms), gradient), value_target = mean((found, value_target))
    direction, optimiser = make_optimiser(settings).update(
        gradient, state.optimiser, state.params
    )
    rate = learning_rate(settings, progress)
    params = jax.tree.map(lambda p, d: p - rate * d, state.params, direction)
    updates = state.updates + 1
    copies = updates % settings.target_interval == 0
    target_params = jax.tree.map(
        lambda new, old: jnp.where(copies, new, old), params, state.target_params
    )
    metrics = Metrics(
        loss=total,
        value_loss=terms.value,
        policy_loss=terms.policy,
        reward_loss=terms.reward,
        gradient_norm=optax.tree.norm(gradient),
        value_target=value_target,
        number=jnp.ones(()),
    )
    return LearnerState(params, target_params, optimiser, updates), metrics
