"""What the networks cost, by closed formula: a plan must not wait for JAX.

Operations are counted as XLA counts them before it compiles: two for each product and
sum of a convolution or a dense layer, taps on the padding left out, and some for each
number that passes an elementwise function. `tests/launch/test_planning_networks.py`
holds them against `scaling.agent.model.row_flops`.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

from launch import roofline
from scaling import config, selection
from scaling.envs import known, registry

# Operations for each number: LayerNorm (mean, mean of squares, scaling), ReLU, min-max
# scaling of hidden states, division by the observation's scale.
_NORM, _RELU, _SCALE, _DIVIDE = 7, 1, 5, 1
_POOL = 9  # of an average pooling's output: the taps of its window
_SQUEEZED = 16  # planes of a head after its 1×1 convolution
# Shapes of observations that are neither a picture nor a vector of float32.
_BOARDS: dict[str, tuple[int, ...]] = {
    "jumanji:Game2048-v1": (4, 4, 18),
    "jumanji:Maze-v0": (10, 10, 3),
    "jumanji:PacMan-v1": (31, 28, 6),
    "jumanji:SlidingTilePuzzle-v0": (5, 5, 25),
    "jumanji:Snake-v1": (12, 12, 5),
}


class Seen(NamedTuple):
    """What is known of an environment without making it."""

    shape: tuple[int, ...]  # of one observation
    size: int  # bytes of it
    actions: int


class Layers(NamedTuple):
    """What some layers cost for one row."""

    flops: float = 0.0
    weights: int = 0  # numbers

    def __add__(self, other: "Layers") -> "Layers":  # type: ignore[override]
        return Layers(self.flops + other.flops, self.weights + other.weights)


def seen(env: str, protocol: config.Protocol) -> Seen | None:
    """Returns what is known of an environment; None: it would have to be made."""
    sizes = registry.sizes(env, protocol)
    if sizes is None:
        return None
    size, actions = sizes
    if env.startswith("atari:"):
        side = protocol.image_size
        return Seen((side, side, size // side**2), size, actions)
    if protocol.view != "board" and env in known.PLANES:
        side = protocol.view_size
        return Seen((side, side, size // side**2), size, actions)
    return Seen(_BOARDS.get(env, (size // 4,)), size, actions)


def networks(settings: config.Settings) -> roofline.Networks | None:
    """Returns what one call of each network costs; None: the environment is unknown."""
    found = seen(settings.env, settings.protocol)
    if found is None:
        return None
    encoded = _encoded(found, settings.protocol)
    represent, hidden = _REPRESENT[settings.network.kind](encoded, settings.network)
    cells = math.prod(encoded)
    represent += Layers(_DIVIDE * cells)
    dynamics, values = Layers(), found.actions  # no model: a value of each action
    if settings.learner.unroll_steps:
        dynamics, values = _dynamics(hidden, found.actions, settings), 1
    predict = _blocks(hidden, settings.network.prediction_blocks)
    predict += _head(hidden, found.actions, settings)
    predict += _head(hidden, values * settings.value.bins, settings)
    computed = 2 if settings.precision == "bf16" else 4
    stored = 8 if settings.precision == "f64" else 4
    state = math.prod(hidden) * computed
    history = settings.protocol.stack * found.size
    return roofline.Networks(
        represent=_network(represent, computed, history + state),
        dynamics=_network(dynamics, computed, 2 * state),
        predict=_network(predict, computed, state),
        parameters=stored * sum(n.weights for n in (represent, dynamics, predict)),
    )


def operations(
    networks: roofline.Networks, settings: config.Settings, acts: bool
) -> tuple[float, float]:
    """Returns the operations of a searched state and of an update.

    Args:
      networks: of the settings.
      settings: of a run.
      acts: whether environments are stepped in it.
    """
    search = roofline.flops_per_search(networks, as_looked_at(settings, acts))
    return search, roofline.flops_per_update(networks, settings)


def as_looked_at(settings: config.Settings, acts: bool) -> config.Settings:
    """Returns the settings with as many simulations as a look takes model steps.

    A state that is looked at without a search takes few of them, or none.
    """
    found = seen(settings.env, settings.protocol)
    actions = 0 if found is None else found.actions
    steps = selection.model_steps(settings, acts, actions)
    search = dataclasses.replace(settings.search, simulations=steps)
    return dataclasses.replace(settings, search=search)


def _network(layers: Layers, computed: int, row: int) -> roofline.Network:
    return roofline.Network(layers.flops, layers.weights * computed, row)


def _encoded(found: Seen, protocol: config.Protocol) -> tuple[int, ...]:
    """Returns the shape of what the representation sees; see scaling.agent.model."""
    *sides, channels = found.shape
    history = protocol.past_actions * (1 if sides else found.actions)
    return (*sides, protocol.stack * channels + history)


def _taps(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Returns the outputs of one side, and the kernel's taps that are not padding."""
    outputs = -(-size // stride)
    padding = max(0, (outputs - 1) * stride + kernel - size)
    starts = (output * stride - padding // 2 for output in range(outputs))
    taps = sum(min(size, start + kernel) - max(0, start) for start in starts)
    return outputs, taps


def _conv(
    shape: tuple[int, ...], planes: int, kernel: int = 3, stride: int = 1
) -> tuple[Layers, tuple[int, ...]]:
    """Returns a convolution without bias, and the shape of its output."""
    (height, high), (width, wide) = (_taps(n, kernel, stride) for n in shape[:2])
    flops = 2.0 * high * wide * shape[2] * planes
    return Layers(flops, kernel**2 * shape[2] * planes), (height, width, planes)


def _linear(inputs: int, outputs: int) -> Layers:
    return Layers(2.0 * inputs * outputs + outputs, inputs * outputs + outputs)


def _norm(shape: tuple[int, ...]) -> Layers:
    return Layers(float(_NORM * math.prod(shape)), 2 * shape[-1])


def _pointwise(number: int, shape: tuple[int, ...]) -> Layers:
    return Layers(float(number * math.prod(shape)))


def _blocks(shape: tuple[int, ...], number: int) -> Layers:
    """Returns residual blocks on planes or units."""
    if len(shape) == 3:
        layer, _ = _conv(shape, shape[2])
    else:
        layer = _linear(shape[0], shape[0])
    half = _norm(shape) + _pointwise(_RELU, shape) + layer
    found = Layers()
    for _ in range(number):
        found += half + half + _pointwise(1, shape)
    return found


def _body(
    shape: tuple[int, ...], settings: config.Network
) -> tuple[Layers, tuple[int, ...]]:
    """Returns the residual body of planes or units, scaled to [0, 1]."""
    if len(shape) == 3:
        enter, hidden = _conv(shape, settings.planes)
    else:
        enter, hidden = _linear(shape[0], settings.units), (settings.units,)
    blocks = _blocks(hidden, settings.blocks)
    return enter + blocks + _pointwise(_SCALE, hidden), hidden


def _residual(
    shape: tuple[int, ...], settings: config.Network
) -> tuple[Layers, tuple[int, ...]]:
    if len(shape) != 3:
        return _body(shape, settings)
    total = Layers()
    # Planes of the convolution before the blocks; 0: a pooling instead.
    convolutions = (max(1, settings.planes // 2), settings.planes, 0)
    for planes, blocks in zip(convolutions, settings.downsampling_blocks, strict=True):
        if planes:
            layer, shape = _conv(shape, planes, stride=2)
        else:
            layer, shape = _pool(shape)
        total += layer + _blocks(shape, blocks)
    layer, shape = _pool(shape)
    body, hidden = _body(shape, settings)
    return total + layer + body, hidden


def _pool(shape: tuple[int, ...]) -> tuple[Layers, tuple[int, ...]]:
    halved = (-(-shape[0] // 2), -(-shape[1] // 2), shape[2])
    return _pointwise(_POOL, halved), halved


def _convolutional(
    shape: tuple[int, ...], settings: config.Network
) -> tuple[Layers, tuple[int, ...]]:
    total = Layers()
    for index in range(settings.blocks):
        layer, shape = _conv(shape, settings.planes, stride=2 if index else 1)
        total += layer + _pointwise(_RELU, shape)
    body, hidden = _body((math.prod(shape),), settings)
    return total + body, hidden


def _perceptron(
    shape: tuple[int, ...], settings: config.Network
) -> tuple[Layers, tuple[int, ...]]:
    inputs, total, units = math.prod(shape), Layers(), (settings.units,)
    for _ in range(settings.blocks):
        layer = _linear(inputs, settings.units)
        total += layer + _norm(units) + _pointwise(_RELU, units)
        inputs = settings.units
    return total + _linear(inputs, settings.units) + _pointwise(_SCALE, units), units


def _head(hidden: tuple[int, ...], outputs: int, settings: config.Settings) -> Layers:
    units, squeeze = settings.network.head_units, Layers()
    if len(hidden) == 3:
        squeeze, hidden = _conv(hidden, _SQUEEZED, kernel=1)
    first = _linear(math.prod(hidden), units)
    between = _norm((units,)) + _pointwise(_RELU, (units,))
    return squeeze + first + between + _linear(units, outputs)


def _dynamics(
    hidden: tuple[int, ...], actions: int, settings: config.Settings
) -> Layers:
    inputs = (*hidden[:-1], hidden[-1] + actions)
    residual = len(hidden) == 3 or settings.network.kind == "residual"
    body, _ = (_body if residual else _perceptron)(inputs, settings.network)
    return body + _head(hidden, settings.value.bins, settings)


_REPRESENT: dict[
    str,
    Callable[[tuple[int, ...], config.Network], tuple[Layers, tuple[int, ...]]],
] = {"residual": _residual, "convolutional": _convolutional, "mlp": _perceptron}
