"""Programs as shapes on a mesh; what they share is in tests/launch/mesh_facts.py."""

import dataclasses

import jax
import numpy as np
import pytest

from scaling import accounting, config, hardware, lowering, sharding, types
from scaling import layout as layouts
from scaling.agent import model as models

SETTINGS = config.Settings(
    env="gymnasium:CartPole-v1",
    environments=4,
    samples_per_search=1.0,
    max_lanes=16,
    shards=2,
    groups=1,
    protocol=config.Protocol(stack=2, past_actions=1),
    network=config.Network(kind="mlp", units=16, blocks=1, head_units=8),
    value=config.Value(bins=11, limit=2.0),
    search=config.Search(policy="gumbel", simulations=2),
    replay=config.Replay(stored_steps=400, window=1000, segment_length=6, warm_up=16),
    learner=config.Learner(batch_size=16, discount=0.9),
)


@pytest.fixture(scope="module")
def prepared():
    account = accounting.account_for(
        SETTINGS, config.Cell(frames=600, fraction=0.5, seed=0), 1
    )
    layout = layouts.layout_for(SETTINGS, account)
    mesh = sharding.make_mesh(hardware.Mesh(data=1), layout.shards)
    return lowering.programs(SETTINGS, layout, mesh)


def test_a_host_environments_programs_are_those_of_a_call(prepared):
    names = [program.name for program in prepared.programs]
    assert names == ["place", "search", "draw", "learn", "record", "read_log"]
    assert prepared.groups == 1


def test_programs_take_what_they_are_given(prepared):
    for program in prepared.programs:
        jax.eval_shape(program.function, *program.arguments)


def test_all_of_the_state_is_in_memory_in_every_program(prepared):
    state = sum(prepared.state.values())
    assert prepared.state["frames"] == 0  # the host has them
    for program in prepared.programs:
        given = lowering.bytes_on_one((program.arguments, program.beside))
        assert given >= state


def test_bytes_on_one_device_are_those_of_its_part():
    mesh = jax.sharding.AbstractMesh((4, 2), (sharding.DATA, sharding.MODEL))
    rows = jax.sharding.NamedSharding(mesh, sharding.ROWS)
    spread = jax.ShapeDtypeStruct((8, 3), np.float32, sharding=rows)
    whole = jax.ShapeDtypeStruct((8, 3), np.uint8)
    assert lowering.bytes_on_one(spread) == 2 * 3 * 4
    assert lowering.bytes_on_one({"a": spread, "b": [whole]}) == 24 + 24


@pytest.mark.parametrize(("precision", "size"), [("f32", 4), ("bf16", 2)])
def test_costs_are_of_the_networks_as_they_compute(precision, size):
    settings = dataclasses.replace(SETTINGS, precision=precision)
    costs = lowering.costs(settings)
    spec = types.EnvSpec("CartPole-v1", 2, (4,), np.float32, 1.0, 1)
    model = models.make_model(spec, settings)
    params = model.init(jax.random.key(0))
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert costs.parameters == 4 * count
    networks = (costs.represent, costs.dynamics, costs.predict)
    assert sum(network.weights for network in networks) == size * count
    assert (
        costs.represent.row == 2 * 4 * 4 + 16 * size
    )  # two frames and the hidden state
    assert (costs.dynamics.row, costs.predict.row) == (2 * 16 * size, 16 * size)
    flops = models.row_flops(model, spec, settings.protocol)
    assert tuple(network.flops for network in networks) == flops
