"""Network modules: bodies for images, small boards and vectors, and the heads.

The only file with Flax modules. Each body maps an encoded observation, or a hidden
state with a one-hot action, to a hidden state scaled to [0, 1]. LayerNorm only:
nothing here keeps statistics, so a network is a pure function of its parameters.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from scaling import config, types


def scale_hidden(hidden: Float[Array, "B ..."]) -> Float[Array, "B ..."]:
    """Returns the hidden state scaled to [0, 1] in each row.

    Source: Schrittwieser et al. 2019, arXiv 1911.08265, appendix G, which scales
    hidden states like the one-hot actions that join them.
    """
    axes = tuple(range(1, hidden.ndim))
    low = hidden.min(axes, keepdims=True)
    span = hidden.max(axes, keepdims=True) - low
    return (hidden - low) / jnp.maximum(span, 1e-5)


class Layers:
    """Makes layers: one stream of random numbers, one type to compute in.

    Args:
      rngs: of the initial parameters.
      compute: type of activations.
      storage: type of parameters.
    """

    def __init__(self, rngs: nnx.Rngs, compute: Any, storage: Any):
        self._types = {"dtype": compute, "param_dtype": storage, "rngs": rngs}

    def conv(
        self, inputs: int, outputs: int, size: int = 3, strides: int = 1
    ) -> nnx.Conv:
        """Returns a square convolution without bias, with `SAME` padding."""
        return nnx.Conv(
            inputs,
            outputs,
            (size, size),
            strides=strides,
            use_bias=False,
            **self._types,
        )

    def linear(self, inputs: int, outputs: int, **initial: Any) -> nnx.Linear:
        """Returns a dense layer with bias."""
        return nnx.Linear(inputs, outputs, **initial, **self._types)

    def norm(self, units: int) -> nnx.LayerNorm:
        """Returns LayerNorm over the last axis."""
        return nnx.LayerNorm(units, **self._types)


class ResidualBlock(nnx.Module):
    """x + f(f(x)), f being LayerNorm, ReLU, convolution (pre-activation).

    Source: He et al. 2016, arXiv 1603.05027; LayerNorm as arXiv 2104.06294 app. A.
    """

    def __init__(self, planes: int, layers: Layers):
        self.norms = nnx.List([layers.norm(planes) for _ in range(2)])
        self.layers = nnx.List([layers.conv(planes, planes) for _ in range(2)])

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H W C"]:
        """Returns the block's output."""
        y = x
        for norm, layer in zip(self.norms, self.layers, strict=True):
            y = layer(nnx.relu(norm(y)))
        return x + y


class DenseBlock(nnx.Module):
    """x + f(f(x)), f being LayerNorm, ReLU, dense layer (pre-activation)."""

    def __init__(self, units: int, layers: Layers):
        self.norms = nnx.List([layers.norm(units) for _ in range(2)])
        self.layers = nnx.List([layers.linear(units, units) for _ in range(2)])

    def __call__(self, x: Float[Array, "B N"]) -> Float[Array, "B N"]:
        """Returns the block's output."""
        y = x
        for norm, layer in zip(self.norms, self.layers, strict=True):
            y = layer(nnx.relu(norm(y)))
        return x + y


class ImageDownsampling(nnx.Module):
    """96×96 → 6×6: two strided convolutions and two poolings, blocks between.

    Source: Schrittwieser et al. 2019, arXiv 1911.08265, appendix F. Differs from
    the paper: half of the planes are `planes // 2`, so that narrow networks scale.
    """

    def __init__(self, inputs: int, settings: config.Network, layers: Layers):
        planes, half = settings.planes, max(1, settings.planes // 2)
        first, second, third = settings.downsampling_blocks
        self.first = layers.conv(inputs, half, strides=2)
        self.first_blocks = _blocks(first, ResidualBlock, half, layers)
        self.second = layers.conv(half, planes, strides=2)
        self.second_blocks = _blocks(second, ResidualBlock, planes, layers)
        self.third_blocks = _blocks(third, ResidualBlock, planes, layers)

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w P"]:
        """Returns planes of a sixteenth of the height and width."""
        x = _chain(self.first_blocks, self.first(x))
        x = _chain(self.second_blocks, self.second(x))
        x = nnx.avg_pool(x, (3, 3), (2, 2), "SAME")
        x = _chain(self.third_blocks, x)
        return nnx.avg_pool(x, (3, 3), (2, 2), "SAME")


class ResidualPlanes(nnx.Module):
    """A convolution to the network's planes and residual blocks (image body)."""

    def __init__(self, inputs: int, settings: config.Network, layers: Layers):
        self.enter = layers.conv(inputs, settings.planes)
        self.blocks = _blocks(settings.blocks, ResidualBlock, settings.planes, layers)

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H W P"]:
        """Returns planes of the same height and width."""
        return scale_hidden(_chain(self.blocks, self.enter(x)))


class ResidualUnits(nnx.Module):
    """A dense layer to the network's units and residual blocks (vector body)."""

    def __init__(self, inputs: int, settings: config.Network, layers: Layers):
        self.enter = layers.linear(inputs, settings.units)
        self.blocks = _blocks(settings.blocks, DenseBlock, settings.units, layers)

    def __call__(self, x: Float[Array, "B N"]) -> Float[Array, "B U"]:
        """Returns one hidden vector for each row."""
        return scale_hidden(_chain(self.blocks, self.enter(x)))


class ConvolutionalBoard(nnx.Module):
    """Strided convolutions on a board, then a dense hidden vector (small body)."""

    def __init__(
        self, shape: tuple[int, ...], settings: config.Network, layers: Layers
    ):
        sizes = [shape[-1]] + [settings.planes] * settings.blocks
        self.layers = nnx.List(
            [
                layers.conv(before, after, strides=2 if index else 1)
                for index, (before, after) in enumerate(itertools.pairwise(sizes))
            ]
        )
        cells = 1
        for side in shape[:2]:
            for _ in range(settings.blocks - 1):
                side = -(-side // 2)
            cells *= side
        self.leave = ResidualUnits(cells * settings.planes, settings, layers)

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B U"]:
        """Returns one hidden vector for each row."""
        for layer in self.layers:
            x = nnx.relu(layer(x))
        return self.leave(x.reshape(x.shape[0], -1))


class PerceptronUnits(nnx.Module):
    """Dense layers with LayerNorm on the flattened input (small body)."""

    def __init__(self, inputs: int, settings: config.Network, layers: Layers):
        sizes = [inputs] + [settings.units] * (settings.blocks + 1)
        pairs = list(itertools.pairwise(sizes))
        self.layers = nnx.List([layers.linear(a, b) for a, b in pairs])
        self.norms = nnx.List([layers.norm(b) for _, b in pairs[:-1]])

    def __call__(self, x: Float[Array, "B ..."]) -> Float[Array, "B U"]:
        """Returns one hidden vector for each row."""
        x = x.reshape(x.shape[0], -1)
        for layer, norm in zip(self.layers[:-1], self.norms, strict=True):
            x = nnx.relu(norm(layer(x)))
        return scale_hidden(self.layers[-1](x))


class Head(nnx.Module):
    """A hidden layer and logits, zero at first so that learning starts neutral."""

    def __init__(self, inputs: int, outputs: int, units: int, layers: Layers):
        self.hidden = layers.linear(inputs, units)
        self.norm = layers.norm(units)
        zeros = nnx.initializers.zeros_init()
        self.logits = layers.linear(units, outputs, kernel_init=zeros)

    def __call__(self, x: Float[Array, "B ..."]) -> Float[Array, "B n"]:
        """Returns logits."""
        x = x.reshape(x.shape[0], -1)
        return self.logits(nnx.relu(self.norm(self.hidden(x))))


class PlanesHead(nnx.Module):
    """A 1×1 convolution to 16 planes before a head.

    Differs from the paper: the papers do not give the heads' layout.
    """

    def __init__(
        self, shape: tuple[int, ...], outputs: int, units: int, layers: Layers
    ):
        self.squeeze = layers.conv(shape[2], 16, size=1)
        self.head = Head(shape[0] * shape[1] * 16, outputs, units, layers)

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B n"]:
        """Returns logits."""
        return self.head(self.squeeze(x))


def _head(
    shape: tuple[int, ...], outputs: int, units: int, layers: Layers
) -> nnx.Module:
    if len(shape) == 3:
        return PlanesHead(shape, outputs, units, layers)
    return Head(shape[0], outputs, units, layers)


def _blocks(number: int, kind: Callable, width: int, layers: Layers) -> Any:
    return nnx.List([kind(width, layers) for _ in range(number)])


def _chain(blocks: Iterable[Callable[[Array], Array]], x: Array) -> Array:
    for block in blocks:
        x = block(x)
    return x


class ResidualRepresentation(nnx.Module):
    """The paper's representation of images: down-sampling, then residual blocks."""

    def __init__(
        self, shape: tuple[int, ...], settings: config.Network, layers: Layers
    ):
        self.downsample = ImageDownsampling(shape[-1], settings, layers)
        self.body = ResidualPlanes(settings.planes, settings, layers)

    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w P"]:
        """Returns the hidden planes."""
        return self.body(self.downsample(x))


def representation(
    shape: tuple[int, ...], settings: config.Network, layers: Layers
) -> nnx.Module:
    """Returns the representation for encoded observations of `shape`.

    Raises:
      ValueError: if the kind cannot take such observations.
    """
    size = 1
    for side in shape:
        size *= side
    if settings.kind == "convolutional" and len(shape) != 3:
        raise ValueError(
            f"A convolutional network needs observations (height, width, planes), got "
            f"{shape}; set --network.kind mlp or residual."
        )
    makers: dict[tuple[str, bool], Callable[[], nnx.Module]] = {
        ("residual", True): lambda: ResidualRepresentation(shape, settings, layers),
        ("residual", False): lambda: ResidualUnits(size, settings, layers),
        ("convolutional", True): lambda: ConvolutionalBoard(shape, settings, layers),
        ("mlp", True): lambda: PerceptronUnits(size, settings, layers),
        ("mlp", False): lambda: PerceptronUnits(size, settings, layers),
    }
    return makers[settings.kind, len(shape) == 3]()


class Dynamics(nnx.Module):
    """The next hidden state of a hidden state and an action, and the reward's head.

    Actions join as one-hot planes or units (M19).
    """

    def __init__(
        self,
        hidden_shape: tuple[int, ...],
        spec: types.EnvSpec,
        settings: config.Network,
        bins: int,
        layers: Layers,
    ):
        self.num_actions = spec.num_actions
        inputs = hidden_shape[-1] + spec.num_actions
        if len(hidden_shape) == 3:
            self.body = ResidualPlanes(inputs, settings, layers)
        elif settings.kind == "residual":
            self.body = ResidualUnits(inputs, settings, layers)
        else:
            self.body = PerceptronUnits(inputs, settings, layers)
        self.reward = _head(hidden_shape, bins, settings.head_units, layers)

    def __call__(
        self, hidden: Float[Array, "B ..."], action: Array
    ) -> Float[Array, "B ..."]:
        """Returns the next hidden state, of which `reward` gives the logits."""
        one_hot = jax.nn.one_hot(action, self.num_actions, dtype=hidden.dtype)
        one_hot = one_hot.reshape(
            one_hot.shape[:1] + (1,) * (hidden.ndim - 2) + one_hot.shape[1:]
        )
        planes = jnp.broadcast_to(one_hot, (*hidden.shape[:-1], self.num_actions))
        return self.body(jnp.concatenate([hidden, planes], axis=-1))


class Prediction(nnx.Module):
    """Policy and value logits of a hidden state."""

    def __init__(
        self,
        hidden_shape: tuple[int, ...],
        spec: types.EnvSpec,
        settings: config.Network,
        bins: int,
        layers: Layers,
    ):
        units = settings.head_units
        kind = ResidualBlock if len(hidden_shape) == 3 else DenseBlock
        number, width = settings.prediction_blocks, hidden_shape[-1]
        self.blocks = _blocks(number, kind, width, layers)
        self.policy = _head(hidden_shape, spec.num_actions, units, layers)
        self.value = _head(hidden_shape, bins, units, layers)

    def __call__(
        self, hidden: Float[Array, "B ..."]
    ) -> tuple[Float[Array, "B A"], Float[Array, "B bins"]]:
        """Returns policy logits and value logits."""
        hidden = _chain(self.blocks, hidden)
        return self.policy(hidden), self.value(hidden)


class ActionPrediction(Prediction):
    """Policy logits, and logits of the value of each action, of a hidden state."""

    def __init__(
        self,
        hidden_shape: tuple[int, ...],
        spec: types.EnvSpec,
        settings: config.Network,
        bins: int,
        layers: Layers,
    ):
        self.num_actions = spec.num_actions
        super().__init__(hidden_shape, spec, settings, spec.num_actions * bins, layers)

    def __call__(
        self, hidden: Float[Array, "B ..."]
    ) -> tuple[Float[Array, "B A"], Float[Array, "B A bins"]]:
        """Returns policy logits and action-value logits."""
        policy, value = super().__call__(hidden)
        return policy, value.reshape(len(value), self.num_actions, -1)
