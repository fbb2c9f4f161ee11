"""The learned model as pure functions: represent, dynamics, reward, predict."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from scaling import config, types
from scaling.agent import networks, value_transform


class Prediction(NamedTuple):
    """Logits of a hidden state."""

    policy_logits: Float[Array, "B A"]
    value_logits: Float[Array, "B bins"] | Float[Array, "B A bins"]
    """Of the state; of its actions where there is no model of what follows them."""


class Model(NamedTuple):
    """Functions of parameters and batches; nothing else knows the networks."""

    init: Callable[[jax.Array], types.Params]  # key → parameters
    represent: Callable[[types.Params, types.History], Array]  # → hidden [B, ...]
    dynamics: Callable[..., Array] | None  # params, hidden, action → hidden
    # None: no model, and action values instead of values
    reward: Callable[[types.Params, Array], Array]  # params, hidden that the dynamics
    # led to → logits of the reward on the way
    predict: Callable[[types.Params, Array], Prediction]  # params, hidden
    decode: Callable[[Array], Array]  # logits [..., bins] → units of reward
    encode: Callable[[Array], Array]  # units of reward → two-hot [..., bins]


class Numbers(NamedTuple):
    """Types of numbers."""

    compute: Any  # of activations, and of the hidden states of a search tree
    storage: Any  # of parameters, logits, losses and targets


def numbers(precision: str) -> Numbers:
    """Returns the types of `f32`, `bf16` or `f64`."""
    storage = jnp.float64 if precision == "f64" else jnp.float32
    return Numbers(jnp.bfloat16 if precision == "bf16" else storage, storage)


class _Networks(nnx.Module):
    def __init__(self, spec: types.EnvSpec, settings: config.Settings, rngs: nnx.Rngs):
        layers = networks.Layers(rngs, *numbers(settings.precision))
        shape = encoded_shape(spec, settings.protocol)
        bins, network = settings.value.bins, settings.network
        self.representation = networks.representation(shape, network, layers)
        heads = (_hidden_shape(self.representation, shape), spec, network, bins, layers)
        if settings.learner.unroll_steps == 0:
            self.prediction = networks.ActionPrediction(*heads)
        else:
            self.dynamics = networks.Dynamics(*heads)
            self.prediction = networks.Prediction(*heads)


def encoded_shape(spec: types.EnvSpec, protocol: config.Protocol) -> tuple[int, ...]:
    """Returns the shape of one encoded observation, as the representation sees it.

    Images: (height, width, stack · planes + past actions). Vectors: (n,) with past
    actions one-hot.
    """
    *sides, channels = spec.observation_shape
    history = protocol.past_actions * (1 if sides else spec.num_actions)
    return (*sides, protocol.stack * channels + history)


def encode_history(
    history: types.History, spec: types.EnvSpec, storage: Any = jnp.float32
) -> Float[Array, "B ..."]:
    """Returns what the representation sees of a history.

    Observations are divided by the environment's scale and stacked along the last
    axis. Past actions become constant planes (a + 1)/A for images, zero before the
    episode's start, and one-hot units for vectors.

    Source: Schrittwieser et al. 2019, arXiv 1911.08265, appendix E (planes a/18).
    Differs from the paper: planes of a + 1, so that action 0 is not "no action".
    """
    stacked = jnp.moveaxis(history.observations, 1, -2)  # [B, ..., D, C]
    stacked = stacked.reshape(*stacked.shape[:-2], -1).astype(storage)
    stacked = stacked / spec.observation_scale
    if stacked.ndim == 2:
        past = jax.nn.one_hot(history.actions, spec.num_actions, dtype=storage)
        past = past.reshape(past.shape[0], past.shape[1] * past.shape[2])
    else:
        past = (history.actions.astype(storage) + 1) / spec.num_actions
        past = jnp.broadcast_to(
            past[:, None, None], (*stacked.shape[:3], past.shape[1])
        )
    return jnp.concatenate([stacked, past], axis=-1)


def _hidden_shape(body: nnx.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    graph, state = nnx.split(body)
    example = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    hidden = jax.eval_shape(lambda s, x: nnx.merge(graph, s)(x), state, example)
    return hidden.shape[1:]


def make_model(spec: types.EnvSpec, settings: config.Settings) -> Model:
    """Returns the model for an environment.

    Args:
      spec: of the environment.
      settings: of which the network, value and protocol parts decide the shape, and
        whether the learner unrolls: where it does not, there is nothing to learn
        dynamics from, and action values are predicted instead.
    """
    compute, storage = numbers(settings.precision)
    example = nnx.eval_shape(lambda: _Networks(spec, settings, nnx.Rngs(0)))
    graph, _ = nnx.split(example, nnx.Param)

    def init(key: jax.Array) -> types.Params:
        _, params = nnx.split(_Networks(spec, settings, nnx.Rngs(key)), nnx.Param)
        return params

    def represent(params: types.Params, history: types.History) -> Array:
        encoded = encode_history(history, spec, storage).astype(compute)
        return nnx.merge(graph, params).representation(encoded)

    def dynamics(
        params: types.Params, hidden: Array, action: Int[Array, " B"]
    ) -> Array:
        return nnx.merge(graph, params).dynamics(hidden, action)

    def reward(params: types.Params, hidden: Array) -> Array:
        return nnx.merge(graph, params).dynamics.reward(hidden).astype(storage)

    def predict(params: types.Params, hidden: Array) -> Prediction:
        logits = nnx.merge(graph, params).prediction(hidden)
        return Prediction(*(x.astype(storage) for x in logits))

    return Model(
        init=init,
        represent=represent,
        dynamics=dynamics if settings.learner.unroll_steps else None,
        reward=reward,
        predict=predict,
        decode=lambda logits: value_transform.decode(logits, settings.value),
        encode=lambda x: value_transform.encode(x, settings.value),
    )


def dynamics_of(model: Model) -> Callable[..., Array]:
    """Returns the dynamics, for what cannot do without a model.

    Raises:
      ValueError: if there are none.
    """
    if model.dynamics is None:
        raise ValueError(
            "There is no model to search in, since the learner unrolls 0 steps "
            "(--learner.unroll-steps); unroll at least 1, or select actions by policy "
            "or value."
        )
    return model.dynamics


class RowFlops(NamedTuple):
    """Floating-point operations of one row of each network."""

    represent: float
    dynamics: float  # with the reward
    predict: float


def row_flops(model: Model, spec: types.EnvSpec, protocol: config.Protocol) -> RowFlops:
    """Returns the operations of each network for one row, as XLA counts them.

    Counted before compilation and for one call, since the compiler counts the body
    of a loop once, however often it runs.
    """

    def blank() -> types.History:
        shape = (1, protocol.stack, *spec.observation_shape)
        past = jnp.zeros((1, protocol.past_actions), jnp.int32)
        return types.History(jnp.zeros(shape, spec.observation_dtype), past)

    history = jax.eval_shape(blank)
    params = jax.eval_shape(model.init, jax.random.key(0))
    hidden = jax.eval_shape(model.represent, params, history)
    action = jax.ShapeDtypeStruct((1,), jnp.int32)

    def step(params: types.Params, hidden: Array, action: Array) -> Any:
        following = dynamics_of(model)(params, hidden, action)
        return following, model.reward(params, following)

    def count(function: Callable, *arguments: object) -> float:
        analysis = jax.jit(function).lower(params, *arguments).cost_analysis()
        return float((analysis or {}).get("flops", 0.0))

    return RowFlops(
        represent=count(model.represent, history),
        dynamics=count(step, hidden, action) if model.dynamics else 0.0,
        predict=count(model.predict, hidden),
    )
