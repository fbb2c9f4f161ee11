"""Operations of a run's networks, and the searches' share of them."""

import dataclasses

import pytest
import test_run

from scaling import config, operations
from scaling.agent import model as models
from scaling.envs import registry


def spec_of(settings):
    return registry.make_device(settings.env, settings.protocol).spec


def test_operations_are_calls_of_networks():
    settings, spec = test_run.SETTINGS, spec_of(test_run.SETTINGS)
    model = models.make_model(spec, settings)
    represent, dynamics, predict = models.row_flops(model, spec, settings.protocol)
    found = operations.of_runs(settings, spec, True)
    searched = represent + predict
    for _ in range(settings.search.simulations):
        searched += dynamics + predict
    sample = represent + predict
    for _ in range(settings.learner.unroll_steps):
        sample += dynamics + predict
    assert found == (searched, 3 * sample)
    learner = dataclasses.replace(settings.learner, bootstrap="target_network")
    settings = dataclasses.replace(settings, learner=learner)
    bootstrapped = operations.of_runs(settings, spec, True)
    ends = settings.learner.unroll_steps + 1
    assert bootstrapped.sample == 3 * sample + ends * (represent + predict)
    assert bootstrapped.state == searched


def test_a_look_without_a_search_costs_what_it_finds():
    learner = dataclasses.replace(test_run.SETTINGS.learner, target="crr")
    settings = dataclasses.replace(
        test_run.SETTINGS, learner=learner, acting=config.Acting(action="mcts")
    )
    spec = spec_of(settings)
    acting, other = (operations.of_runs(settings, spec, acts) for acts in (True, False))
    model = models.make_model(spec, settings)
    represent, dynamics, predict = models.row_flops(model, spec, settings.protocol)
    assert other.state == represent + predict + 2 * (dynamics + predict)
    assert acting.state == other.state + 4 * (dynamics + predict)


def test_the_share_is_of_all_operations():
    costs = operations.Operations(3.0, 5.0)
    assert costs.of(10, 2) == 40
    assert costs.search_share(10, 2) == 30 / 40
    assert costs.search_share(10, 0) == 1
    assert costs.search_share(0, 2) == pytest.approx(0)
