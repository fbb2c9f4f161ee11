"""The lower bound of a run's time."""

import dataclasses

import pytest

from launch import roofline
from scaling import accounting, config, hardware, presets, targets

V5E = targets.parse("tpu:v5e:4x4").chip
# Round numbers, far from memory-bound and far from compute-bound.
NETWORKS = roofline.Networks(
    represent=roofline.Network(flops=3e9, weights=40, row=100),
    dynamics=roofline.Network(flops=1e9, weights=30, row=50),
    predict=roofline.Network(flops=0.5e9, weights=20, row=25),
    parameters=4_000_000,
)
SETTINGS = dataclasses.replace(
    presets.preset("paper").settings, environments=64, shards=16, max_lanes=1280
)
ACCOUNT = accounting.account_for(
    SETTINGS, config.Cell(frames=200_000_000, fraction=0.95, seed=0), 4
)


def times(networks=NETWORKS, chip=V5E, groups=2, model=1, settings=SETTINGS):
    mesh = hardware.Mesh(data=16 // model, model=model)
    share = roofline.shares(settings, ACCOUNT, mesh, groups)
    return roofline.times(networks, settings, ACCOUNT, share, chip)


def test_operations_are_network_calls_times_their_own():
    # 1 representation and 51 predictions, 50 dynamics; 6 and 5 for a sample.
    search = 3e9 + 51 * 0.5e9 + 50 * 1e9
    assert roofline.flops_per_search(NETWORKS, SETTINGS) == search
    sample = 3e9 + 6 * 0.5e9 + 5 * 1e9
    assert roofline.flops_per_update(NETWORKS, SETTINGS) == 3 * 1024 * sample


def bootstrapped(settings, **fields):
    learner = dataclasses.replace(
        settings.learner, bootstrap="target_network", **fields
    )
    return dataclasses.replace(settings, learner=learner)


@pytest.mark.parametrize("unrolled", [0, 5])
def test_a_target_network_judges_the_ends_of_all_value_targets(unrolled):
    settings = bootstrapped(SETTINGS, unroll_steps=unrolled)
    sample = 3 * (3e9 + (unrolled + 1) * 0.5e9 + unrolled * 1e9)
    for _ in range(unrolled + 1):  # one value of each step that is unrolled
        sample += 3e9 + 0.5e9
    flops = roofline.flops_per_update(NETWORKS, settings)
    assert flops == pytest.approx(1024 * sample)
    learn = flops / 16 / 197e12
    optimiser = 9 * 4e6 / 819e9
    assert times(settings=settings).update == pytest.approx(learn + optimiser)


def test_with_light_weights_the_time_is_operations_over_the_peak():
    found = times()
    search = 80 * roofline.flops_per_search(NETWORKS, SETTINGS) / 197e12
    assert found.search == pytest.approx(search, rel=1e-12)
    learn = roofline.flops_per_update(NETWORKS, SETTINGS) / 16 / 197e12
    optimiser = 9 * 4e6 / 819e9
    assert found.update == pytest.approx(learn + optimiser, rel=1e-12)


def test_with_heavy_weights_the_time_is_bytes_over_the_bandwidth():
    heavy = NETWORKS._replace(
        **{
            name: roofline.Network(flops=1.0, weights=10**9, row=0)
            for name in ("represent", "dynamics", "predict")
        }
    )
    # Each of 2 groups reads every network's weights at each of its calls.
    assert times(heavy).search == pytest.approx(2 * 102 * 1e9 / 819e9, rel=1e-9)
    assert times(heavy, groups=1).search == pytest.approx(102 * 1e9 / 819e9, rel=1e-9)


def test_an_all_reduce_sends_nearly_twice_the_gradient():
    assert times().all_reduce == pytest.approx(2 * 15 / 16 * 4e6 / 200e9)
    alone = roofline.shares(SETTINGS, ACCOUNT, hardware.Mesh(data=1), 1)
    assert roofline.times(NETWORKS, SETTINGS, ACCOUNT, alone, V5E).all_reduce == 0


def test_a_run_is_its_calls_with_their_updates():
    found = times()
    per_call = ACCOUNT.updates / ACCOUNT.calls
    call = found.search + per_call * (found.update + found.all_reduce)
    assert found.call == pytest.approx(call)
    assert found.run == pytest.approx(ACCOUNT.calls * call)
    assert found.chip_hours(16) == pytest.approx(found.run * 16 / 3600)


def test_model_ways_share_operations_and_weights():
    alone, shared = times(), times(model=2)
    assert shared.search == pytest.approx(alone.search)  # twice the rows, half each
    assert shared.all_reduce == pytest.approx(2 * 7 / 8 * 2e6 / 200e9)


def test_the_precision_decides_the_peak():
    h100 = targets.parse("gpu:h100:8").chip
    half = dataclasses.replace(SETTINGS, precision="bf16")
    slow, fast = times(chip=h100), times(chip=h100, settings=half)
    assert slow.search == pytest.approx(2 * fast.search)
