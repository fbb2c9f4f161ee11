"""The programs of an iteration and what they are given, as shapes on a mesh.

Nothing is computed, so the mesh may be of devices that are not here. Every argument
is a `ShapeDtypeStruct` that carries where its parts lie.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from scaling import (
    accounting,
    config,
    device_loop,
    host_loop,
    run_state,
    sharding,
    training,
    types,
)
from scaling import layout as layouts
from scaling.agent import model as models
from scaling.envs import registry


class Program(NamedTuple):
    """One compiled part of an iteration and what it is given."""

    name: str
    function: Any  # jitted
    arguments: tuple[Any, ...]
    beside: tuple[Any, ...]  # what else is on the devices while it runs


class Prepared(NamedTuple):
    """The programs of an iteration."""

    programs: list[Program]
    groups: int  # search batches of a call
    state: dict[str, int]  # bytes on one device: learner, window, frames


class Cost(NamedTuple):
    """What one call of a network costs."""

    flops: float  # of a row
    weights: int  # bytes, in the type that is computed in
    row: int  # bytes of a row's input and output


class Costs(NamedTuple):
    """The costs of the three networks."""

    represent: Cost
    dynamics: Cost
    predict: Cost
    parameters: int  # bytes of all, as they are stored


def programs(
    settings: config.Settings, layout: layouts.Layout, mesh: jax.sharding.Mesh
) -> Prepared:
    """Returns the programs of an iteration and what they are given on a mesh.

    Of a device environment it is one, advance. Of a host environment they are those
    of one call: place, search (of the first lockstep group; the others are alike),
    draw, learn, record. The last one, read_log, reads the counts of some calls.

    Args:
      settings: of the run.
      layout: sizes.
      mesh: of devices, which need not be there.
    """
    if registry.is_device(settings.env):
        return _on_device(settings, layout, mesh)
    return _on_host(settings, layout, mesh)


def specification(settings: config.Settings) -> types.EnvSpec:
    """Returns what the environment is like; makes one to ask it."""
    if registry.is_device(settings.env):
        return registry.make_device(settings.env, settings.protocol).spec
    env = registry.make_host(settings.env, settings.protocol, 1)
    env.close()
    return env.spec


def costs(settings: config.Settings) -> Costs:
    """Returns what the networks of the settings cost, by calls and not by loops."""
    spec = specification(settings)
    model = models.make_model(spec, settings)
    flops = models.row_flops(model, spec, settings.protocol)
    params = jax.eval_shape(model.init, jax.random.key(0))
    size = jnp.dtype(models.numbers(settings.precision).compute).itemsize
    past: Any = jax.ShapeDtypeStruct((1, settings.protocol.past_actions), np.int32)
    stack = (1, settings.protocol.stack, *spec.observation_shape)
    seen: Any = jax.ShapeDtypeStruct(stack, spec.observation_dtype)
    hidden = jax.eval_shape(model.represent, params, types.History(seen, past))
    inner = bytes_on_one(hidden)

    def cost(name: str, flops: float, row: int) -> Cost:
        count = sum(leaf.size for leaf in jax.tree.leaves(params.get(name, {})))
        return Cost(flops, count * size, row)

    return Costs(
        represent=cost("representation", flops.represent, bytes_on_one(seen) + inner),
        dynamics=cost("dynamics", flops.dynamics, 2 * inner),
        predict=cost("prediction", flops.predict, inner),
        parameters=bytes_on_one(params),
    )


def bytes_on_one(tree: Any) -> int:
    """Returns the bytes of a tree of shapes on one device, of the parts there."""

    def size(leaf: jax.ShapeDtypeStruct) -> int:
        placed = leaf.sharding
        shape = placed.shard_shape(leaf.shape) if placed else leaf.shape
        return math.prod(shape) * leaf.dtype.itemsize

    return sum(map(size, jax.tree.leaves(tree)))


def _whole(dtype: Any) -> jax.ShapeDtypeStruct:
    """Returns a number that all devices know."""
    return jax.ShapeDtypeStruct((), dtype)


def _rows(
    mesh: jax.sharding.Mesh, shape: tuple[int, ...], dtype: Any
) -> jax.ShapeDtypeStruct:
    """Returns an array of which each device has its own rows."""
    place = sharding.shardings(mesh, sharding.ROWS)
    return jax.ShapeDtypeStruct(shape, dtype, sharding=place)


def _on_device(
    settings: config.Settings, layout: layouts.Layout, mesh: jax.sharding.Mesh
) -> Prepared:
    env = registry.make_device(settings.env, settings.protocol)
    made = device_loop.make_programs(env, settings, layout, mesh)
    shards = _rows(mesh, (layout.shards,), np.int32)
    fixed = device_loop.Fixed((), ())
    state = jax.eval_shape(made.begin, _whole(np.uint32), shards, fixed)
    calls: Any = jax.tree.map(
        lambda field: jax.ShapeDtypeStruct((training.CALLS_AT_ONCE,), field.dtype),
        accounting.no_calls(),
    )
    number = _whole(np.int32)
    advance = Program("advance", made.advance, (state, calls, number, number), ())
    log = Program("read_log", made.read_log, (state,), ())
    return Prepared([advance, log], 1, _state_bytes(state))


def _on_host(
    settings: config.Settings, layout: layouts.Layout, mesh: jax.sharding.Mesh
) -> Prepared:
    spec = specification(settings)
    made = host_loop.programs(settings, spec, layout, mesh)

    def frames(*shape: int) -> jax.ShapeDtypeStruct:
        stacked = (*shape, settings.protocol.stack, *spec.observation_shape)
        return _rows(mesh, stacked, spec.observation_dtype)

    number = _whole(np.int32)
    call = run_state.Call(*(_whole(x.dtype) for x in accounting.no_calls()))
    shards = _rows(mesh, (layout.shards,), np.int32)
    state = jax.eval_shape(made.initial, _whole(np.uint32), shards, ())
    rest = state._replace(learner=())
    placed = jax.eval_shape(made.place, rest, call)
    group = layout.shards * layout.lanes // len(made.search)
    searched = (state.learner.params, frames(group), placed, call, number)
    found = [jax.eval_shape(search, *searched) for search in made.search]
    samples, stacks = jax.eval_shape(made.draw, rest, placed, call, number)
    batch = tuple(frames(*stack.column.shape) for stack in stacks)
    learned = (state, samples, batch, number, number)
    recorded = (rest, placed, call, found, _happened(layout, mesh))
    # A batch is on its way while the device works, and the learner of before the call
    # is there until the call ends.
    learner = state.learner
    others = learner._replace(params=())
    programs = [
        Program("place", made.place, (rest, call), (learner,)),
        Program("search", made.search[0], searched, (rest, others, batch)),
        Program("draw", made.draw, (rest, placed, call, number), (learner, batch)),
        Program("learn", made.learn, learned, (learner, placed, found, batch)),
        Program("record", made.record, recorded, (learner, learner)),
        Program("read_log", made.read_log, (state,), ()),
    ]
    return Prepared(programs, len(made.search), _state_bytes(state))


def _happened(layout: layouts.Layout, mesh: jax.sharding.Mesh) -> host_loop.Happened:
    shape = (layout.shards, layout.environments)
    kinds = host_loop.Happened(reward=np.float32, discount=np.float32, last=np.bool_)
    return host_loop.Happened(*(_rows(mesh, shape, kind) for kind in kinds))


def _state_bytes(state: run_state.State) -> dict[str, int]:
    return {
        "learner": bytes_on_one(state.learner),
        "window": bytes_on_one(state.shard),
        "frames": bytes_on_one((state.frames, state.env)),
    }
