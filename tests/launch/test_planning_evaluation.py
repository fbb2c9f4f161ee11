"""What evaluations take: how often, how long, and what an action costs."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
import test_planning_networks as small

from launch import planning_evaluation, planning_networks, planning_targets, roofline
from scaling import config, evaluate, looking, lowering, selection, targets, types
from scaling.agent import model as models

H100 = targets.parse("gpu:h100:8")
ROWS = 3


def with_evaluation(settings, **fields):
    evaluation = dataclasses.replace(settings.evaluation, **fields)
    return dataclasses.replace(settings, evaluation=evaluation)


def with_learner(settings, **fields):
    learner = dataclasses.replace(settings.learner, **fields)
    return dataclasses.replace(settings, learner=learner)


WITH_MODEL = small.SMALL["board"]
WITHOUT_MODEL = small.SMALL["action values of a vector"]


def called(function, settings):
    """Operations of a row: those of every network that is called, as it is traced."""
    spec = lowering.specification(settings)
    model, networks = models.make_model(spec, settings), small.known(settings)
    operations = 0.0

    def counting(name):
        def network(params, rows, *more):
            nonlocal operations
            number = len(jax.tree.leaves(rows)[0])
            operations += number * getattr(networks, name).flops
            return getattr(model, name)(params, rows, *more)

        return network

    counted = model._replace(
        represent=counting("represent"),
        predict=counting("predict"),
        dynamics=model.dynamics and counting("dynamics"),
    )
    params = jax.eval_shape(model.init, jax.random.key(0))
    shape = (ROWS, settings.protocol.stack, *spec.observation_shape)
    history = types.History(
        jnp.zeros(shape, spec.observation_dtype),
        jnp.zeros((ROWS, settings.protocol.past_actions), jnp.int32),
    )
    keys = jax.random.split(jax.random.key(0), ROWS)
    jax.eval_shape(function(counted), params, history, keys)
    return operations / ROWS


def test_lanes_are_those_of_an_evaluation():
    assert planning_evaluation.LANES == evaluate.LANES


def test_every_evaluation_of_a_run_is_counted():
    asked = with_evaluation(
        small.DEMO, episodes=100, curve_points=2, curve_episodes=7, also=("policy",)
    )
    played = planning_evaluation.played(asked)
    assert played == (("mcts", (7, 7, 100)), ("policy", (100,)))
    assert [planning_evaluation.rounds(asked, one) for one in played] == [4, 2]
    few = with_evaluation(asked, episodes=5)  # so many lanes, for the curve too
    assert planning_evaluation.rounds(few, planning_evaluation.played(few)[0]) == 5


def test_operations_are_those_of_each_step_of_each_episode():
    asked = with_evaluation(
        small.DEMO, episodes=10, curve_points=2, curve_episodes=3, also=("policy",)
    )
    networks = small.known(asked)
    root = networks.represent.flops + networks.predict.flops
    step = networks.dynamics.flops + networks.predict.flops
    total = 0.0
    for _ in range(2 * 3 + 10):
        for _ in range(25):  # steps of a random policy's episode
            total += root + 8 * step
    for _ in range(10):
        for _ in range(25):
            total += root
    assert planning_evaluation.flops(networks, asked) == pytest.approx(total)


def test_episodes_end_at_their_frames():
    protocol = config.Protocol(max_frames=40)
    atari = config.Settings(env="atari:Pong", protocol=protocol)
    assert planning_evaluation.episode_steps(atari) == 10
    assert planning_evaluation.episode_steps(config.Settings(env="atari:Pong")) == 920


def test_of_unknown_episodes_nothing_is_said():
    other = dataclasses.replace(small.DEMO, env="jumanji:Other-v0")
    networks = small.known(small.DEMO)
    assert planning_evaluation.flops(networks, other) is None
    assert planning_targets.evaluation(networks, other, H100.chip) == 0


@pytest.mark.parametrize(
    ("settings", "action", "steps"),
    [
        (WITH_MODEL, "mcts", 8),
        (WITH_MODEL, "policy", 0),
        (WITH_MODEL, "value", 5),
        (WITHOUT_MODEL, "policy", 0),
        (WITHOUT_MODEL, "value", 0),
    ],
)
def test_an_action_takes_so_many_model_steps(settings, action, steps):
    assert planning_evaluation.model_steps(settings, action) == steps
    if action == "mcts":
        return  # the body of its loop is traced once

    def policy(model):
        return evaluate.policy_for(action, model, settings)

    networks = small.known(settings)
    found = planning_evaluation.step_flops(networks, settings, action)
    assert found == pytest.approx(called(policy, settings))


@pytest.mark.parametrize(
    ("settings", "target", "action", "acts"),
    [
        (WITH_MODEL, "supervised", "policy", True),
        (WITH_MODEL, "supervised", "value", True),
        (WITH_MODEL, "crr", "value", True),
        (WITH_MODEL, "crr", "value", False),
        (WITHOUT_MODEL, "crr", "policy", True),
        (WITHOUT_MODEL, "supervised", "value", True),
    ],
)
def test_a_look_costs_the_networks_that_it_calls(settings, target, action, acts):
    """Critic-regularised regression asks for the values of all actions, once."""
    settings = with_learner(settings, target=target)
    acting = config.Acting(action=action, epsilon=0.1)
    settings = dataclasses.replace(settings, acting=acting)
    assert not selection.needs(settings, acts).search

    def look(model):
        found = looking.make(model, settings, acts)
        return lambda params, history, keys: found(params, history, keys, jnp.ones(()))

    search, _ = planning_networks.operations(small.known(settings), settings, acts)
    assert search == pytest.approx(called(look, settings))


def test_modelled_evaluations_are_rounds_of_steps_on_one_chip():
    asked = with_evaluation(
        small.DEMO, episodes=100, curve_points=2, curve_episodes=7, also=("policy",)
    )
    networks = small.known(asked)
    found = planning_targets.evaluation(networks, asked, H100.chip)

    def step(steps):
        return roofline.seconds_of_look(networks, 64, steps, "f32", H100.chip)

    assert found == pytest.approx(25 * (4 * step(8) + 2 * step(0)))
