"""The networks' costs by closed formula, against the networks themselves."""

import dataclasses

import pytest

from launch import benchmark_workloads, planning_networks
from scaling import config, lowering, presets

DEMO = presets.preset("demo").settings
CARTPOLE = presets.preset("cartpole").settings
PLANES = config.Network(kind="convolutional", planes=16, units=64, blocks=2)
UNITS = config.Network(units=64, blocks=2, head_units=32, prediction_blocks=1)
NO_MODEL = config.Learner(unroll_steps=0, target="crr")
SMALL = {
    "board": dataclasses.replace(DEMO, network=PLANES),
    "vector": dataclasses.replace(
        CARTPOLE, network=UNITS, protocol=config.Protocol(stack=2, past_actions=3)
    ),
    "action values of a board": dataclasses.replace(
        DEMO, network=PLANES, learner=NO_MODEL
    ),
    "action values of a vector": dataclasses.replace(
        CARTPOLE, network=UNITS, learner=NO_MODEL
    ),
}
OTHERS = {
    "demo": DEMO,
    "cartpole": CARTPOLE,
    "paper": presets.preset("paper").settings,
    "paper without a model": dataclasses.replace(
        presets.preset("paper").settings, learner=NO_MODEL
    ),
    "atari-small": presets.preset("atari-small").settings,
    "midsize": benchmark_workloads.workload("midsize", DEMO).settings,
}
# Elementwise operations are counted by the layer; products and sums exactly.
TOLERANCE = 0.01


def known(settings):
    found = planning_networks.networks(settings)
    assert found is not None
    return found


def check(settings):
    found, held = known(settings), lowering.costs(settings)
    assert found.parameters == held.parameters
    for name in ("represent", "dynamics", "predict"):
        mine, theirs = getattr(found, name), getattr(held, name)
        assert mine.flops == pytest.approx(theirs.flops, rel=TOLERANCE), name
        assert (mine.weights, mine.row) == (theirs.weights, theirs.row), name


@pytest.mark.parametrize("name", SMALL)
def test_operations_and_bytes_are_the_networks(name):
    check(SMALL[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_operations_and_bytes_are_those_of_other_networks(name):
    check(OTHERS[name])


@pytest.mark.slow
@pytest.mark.parametrize(
    "env",
    [
        "jumanji:Game2048-v1",
        "jumanji:Knapsack-v1",
        "jumanji:Maze-v0",
        "jumanji:PacMan-v1",
        "jumanji:SlidingTilePuzzle-v0",
        "jumanji:Snake-v1",
        "gymnasium:Acrobot-v1",
        "gymnasium:MountainCar-v0",
    ],
)
def test_what_is_known_of_an_environment_is_its_specification(env):
    settings = config.Settings(env=env, protocol=config.Protocol())
    found = planning_networks.seen(env, settings.protocol)
    spec = lowering.specification(settings)
    assert found is not None
    assert found.shape == spec.observation_shape
    assert found.actions == spec.num_actions


def test_half_precision_has_the_same_operations_and_half_the_bytes():
    """XLA counts a cast of every weight for every row: with many rows it is one."""
    half = dataclasses.replace(DEMO, precision="bf16")
    whole, found, held = known(DEMO), known(half), lowering.costs(half)
    assert found.parameters == held.parameters
    for name in ("represent", "dynamics", "predict"):
        mine, theirs = getattr(found, name), getattr(held, name)
        assert mine.flops == getattr(whole, name).flops
        assert (mine.weights, mine.row) == (theirs.weights, theirs.row)


def plain_taps(size, kernel, stride):
    """Returns the taps of a padded row that are not padding, one by one."""
    outputs = -(-size // stride)
    padding = max(0, (outputs - 1) * stride + kernel - size)
    left = padding // 2
    taps = 0
    for output in range(outputs):
        for tap in range(kernel):
            taps += 0 <= output * stride + tap - left < size
    return outputs, taps


def test_taps_are_counted_without_padding():
    for size in range(1, 13):
        for kernel in (1, 2, 3, 5):
            for stride in (1, 2, 3):
                found = planning_networks._taps(size, kernel, stride)
                assert found == plain_taps(size, kernel, stride), (size, kernel, stride)


def test_behaviour_cloning_searches_nothing():
    learner = dataclasses.replace(DEMO.learner, target="supervised")
    cloning = dataclasses.replace(DEMO, learner=learner)
    networks = known(DEMO)
    search, update = planning_networks.operations(networks, DEMO, acts=False)
    looked_at, same = planning_networks.operations(networks, cloning, acts=False)
    assert looked_at == networks.represent.flops + networks.predict.flops
    step = networks.dynamics.flops + networks.predict.flops
    assert search == looked_at + DEMO.search.simulations * step
    assert update == same


def test_without_a_model_a_look_and_a_sample_are_one_call_of_two_networks():
    settings = SMALL["action values of a vector"]
    networks = known(settings)
    assert (networks.dynamics.flops, networks.dynamics.weights) == (0, 0)
    once = networks.represent.flops + networks.predict.flops
    for acts in (True, False):
        acting = config.Acting(action="value", epsilon=0.1)
        settings = dataclasses.replace(settings, acting=acting)
        search, update = planning_networks.operations(networks, settings, acts)
        assert search == once
        assert update == 3 * settings.learner.batch_size * once


@pytest.mark.parametrize(
    ("target", "acting", "of_acting_runs", "of_others"),
    [  # model steps of a look, of 8 simulations and 5 actions
        ("crr", "policy", 5, 5),
        ("crr", "mcts", 13, 5),
        ("reanalyse", "value", 13, 8),
        ("supervised", "value", 5, 0),
        ("supervised", "mcts", 8, 0),
    ],
)
def test_a_look_is_priced_by_what_it_must_find(
    target, acting, of_acting_runs, of_others
):
    learner = dataclasses.replace(DEMO.learner, target=target)
    chosen = config.Acting(action=acting, epsilon=0.1)
    settings = dataclasses.replace(DEMO, learner=learner, acting=chosen)
    networks = known(settings)
    root = networks.represent.flops + networks.predict.flops
    step = networks.dynamics.flops + networks.predict.flops
    for acts, steps in ((True, of_acting_runs), (False, of_others)):
        search, _ = planning_networks.operations(networks, settings, acts)
        assert search == root + steps * step


def test_an_environment_that_must_be_made_is_not_known():
    settings = dataclasses.replace(DEMO, env="my_module:MyGame")
    assert planning_networks.networks(settings) is None
