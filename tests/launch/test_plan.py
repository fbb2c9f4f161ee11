"""What a study will take, before it runs."""

import dataclasses
import itertools
import json
import pathlib
import re
from typing import Any

import numpy as np
import pytest
from test_commands import start

from launch import (
    benchmark_machine,
    benchmark_report,
    benchmark_workloads,
    display,
    plan,
    planning_costs,
    planning_display,
    planning_evaluation,
    planning_forecast,
    planning_networks,
    planning_targets,
    roofline,
    study,
)
from scaling import accounting, config, hardware, presets, targets

DEMO = presets.preset("demo").settings
V5E = targets.parse("tpu:v5e-16")
H100 = targets.parse("gpu:h100:8")
FIXED, LANE, UPDATE, BESIDE = 0.001, 0.00004, 0.007, 0.9


def call(fraction, lanes, updates):
    return {
        "fraction": fraction,
        "lanes": lanes,
        "call_without_updates_s": FIXED + LANE * lanes,
        "update_s": UPDATE,
        "updates_of_a_call": updates,
        "compile_s": 10.0,
    }


def calibration(**changes) -> dict[str, Any]:
    """A calibration of the demo, whose calls cost exactly what is given above."""
    machine = {
        "devices": "1 x cpu (1 cores)",
        "processor": benchmark_machine.processor(),
        "cores": 1,
        "cores_of_machine": 2,
    } | changes
    workload = benchmark_workloads.workload("demo", DEMO)
    networks = planning_networks.networks(DEMO)
    assert networks is not None
    found = benchmark_report.of_workload(workload, networks)
    found["iteration"] = [call(0, 16, 0.25), call(0.5, 32, 0.5), call(0.95, 320, 5)]
    found["evaluation"] = [
        {
            "episodes": 64,
            "steps_of_an_episode": None,
            "median_s": 0.5,
            "compile_s": 5.0,
        }
    ]
    of_calls = 100 * (FIXED + LANE * 16) + 20 * UPDATE
    run = {"calls": 100, "lanes": 16, "updates": 20, "frames": 1600, "rounds": 4}
    found["run"] = [{**run, "median_s": of_calls + 4 * 0.5 + BESIDE}]
    report = benchmark_report.begin(machine, 0.1, {"side": 8, "flops_per_s": 8e10})
    return report | {"workloads": {"demo": found}}


def cells(*budgets, fractions=(0.0, 0.95), seeds=2):
    return [
        config.Cell(frames=frames, fraction=fraction, seed=seed)
        for frames, fraction, seed in itertools.product(
            budgets, fractions, range(seeds)
        )
    ]


def forecast(settings=DEMO, wanted=(), prices=None, report=None, budgets=(2000, 20000)):
    planned = study.plan(settings, cells(*budgets), pathlib.Path("nowhere"))
    done = {"finished", "failed"}
    return planning_forecast.forecast(
        settings, planned, done, wanted, prices or {}, report
    )


def test_a_fit_finds_what_the_points_are_made_of():
    points = [(x, 0.3 + 0.02 * x) for x in (16, 32, 320)]
    assert planning_costs.fit(points) == pytest.approx((0.3, 0.02))


def test_a_fit_is_the_best_in_relative_terms():
    points = [(16, 1.1), (32, 1.0), (320, 4.0)]
    x, y = np.array(points).T
    best = np.linalg.lstsq(np.stack([1 / y, x / y], 1), np.ones(3), rcond=None)[0]
    assert planning_costs.fit(points) == pytest.approx(tuple(best))


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(10, 2.0)], (0.0, 0.2)),  # one point
        ([(10, 2.0), (10, 2.0)], (0.0, 0.2)),  # one size
        ([(10, 1.0), (20, 4.0)], None),  # through the origin
        ([(10, 4.0), (20, 2.0)], None),  # falling
    ],
)
def test_a_fit_has_no_negative_cost(points, expected):
    found = planning_costs.fit(points)
    assert min(found) >= 0
    assert max(found) > 0
    if expected is not None:
        assert found == pytest.approx(expected)


def test_measured_settings_have_their_own_costs():
    found = planning_costs.costs(calibration(), DEMO, None, acts=True)
    assert found is not None
    assert (found.fixed, found.lane, found.update) == pytest.approx(
        (FIXED, LANE, UPDATE)
    )
    # 64 episodes at the end, 3 points of a curve with 16: four rounds.
    assert found.evaluation == pytest.approx(4 * 0.5)
    assert found.compiling == 15
    assert found.source == "measured (demo)"


def test_a_run_takes_its_calls_and_its_updates():
    found = planning_costs.costs(calibration(), DEMO, None, acts=True)
    assert found is not None
    account = accounting.account_for(
        DEMO, config.Cell(frames=20000, fraction=0.95, seed=0), 1
    )
    seconds = account.calls * (FIXED + LANE * 320) + account.updates * UPDATE + 2
    seconds += BESIDE
    assert planning_costs.run_seconds(found, account) == pytest.approx(seconds)


def test_sizes_of_a_study_change_no_cost_of_a_call():
    replay = dataclasses.replace(DEMO.replay, window=7, segment_length=99)
    other = dataclasses.replace(
        DEMO, environments=8, replay=replay, samples_per_search=2.0
    )
    found = planning_costs.costs(calibration(), other, None, acts=True)
    assert found is not None
    assert found.source.startswith("measured")


def test_other_settings_are_scaled_by_their_operations():
    search = dataclasses.replace(DEMO.search, simulations=16)
    learner = dataclasses.replace(DEMO.learner, batch_size=128)
    other = dataclasses.replace(DEMO, search=search, learner=learner)
    networks = planning_networks.networks(other)
    assert networks is not None
    found = planning_costs.costs(calibration(), other, networks, acts=True)
    assert found is not None
    assert "scaled by operations from demo" in found.source
    assert found.update == pytest.approx(2 * UPDATE)
    ratio = roofline.flops_per_search(networks, other) / roofline.flops_per_search(
        networks, DEMO
    )
    assert found.lane == pytest.approx(ratio * LANE)
    assert found.fixed == pytest.approx(FIXED)


def test_without_figures_nothing_is_said():
    assert planning_costs.costs(None, DEMO, None, acts=True) is None
    without = calibration()
    del without["workloads"]["demo"]["iteration"]
    assert planning_costs.costs(without, DEMO, None, acts=True) is None
    other = dataclasses.replace(DEMO, env="my_module:MyGame")
    assert planning_costs.costs(calibration(), other, None, acts=True) is None


def test_short_episodes_are_counted_by_their_steps():
    one = {"episodes": 8, "steps_of_an_episode": 5, "median_s": 2.0, "compile_s": 1.0}
    settings = config.Settings()  # 300 episodes, 10 points of 16; 490 steps each
    expected = (300 + 160) * 490 * 2.0 / 40
    found = planning_costs._evaluation(one, settings, lambda action: 1.0)
    assert found == pytest.approx(expected)
    asked = dataclasses.replace(settings.evaluation, also=("policy", "value"))
    settings = dataclasses.replace(settings, evaluation=asked)
    slower = {"mcts": 1.0, "policy": 0.25, "value": 0.5}
    found = planning_costs._evaluation(one, settings, slower.__getitem__)
    expected += (0.25 + 0.5) * 300 * 490 * 2.0 / 40
    assert found == pytest.approx(expected)


def test_evaluations_in_other_ways_are_scaled_by_their_operations():
    asked = dataclasses.replace(DEMO.evaluation, also=("policy", "value"))
    settings = dataclasses.replace(DEMO, evaluation=asked)
    found = planning_costs.costs(calibration(), settings, None, acts=True)
    networks = planning_networks.networks(DEMO)
    assert found is not None
    assert networks is not None
    searched, policy, value = (
        roofline.flops_per_look(networks, steps) for steps in (8, 0, 5)
    )
    expected = 4 * 0.5 + (policy + value) / searched * 0.5
    assert found.evaluation == pytest.approx(expected)
    assert found.compiling == 10 + 3 * 5
    # Those of a study whose targets need no search are evaluated with one all the same.
    learner = dataclasses.replace(DEMO.learner, target="supervised")
    cloning = dataclasses.replace(DEMO, learner=learner)
    found = planning_costs.costs(calibration(), cloning, networks, acts=False)
    assert found is not None
    assert found.evaluation == pytest.approx(4 * 0.5)
    assert found.lane == pytest.approx(policy / searched * LANE)


def test_runs_that_do_not_act_look_for_less():
    """Measured settings were measured in a run that acts."""
    learner = dataclasses.replace(DEMO.learner, target="crr")
    settings = dataclasses.replace(DEMO, learner=learner)
    report = calibration()
    report["workloads"]["demo"]["settings"] = config.as_dict(settings)
    acting, other = (
        planning_costs.costs(report, settings, None, acts=acts)
        for acts in (True, False)
    )
    networks = planning_networks.networks(settings)
    assert acting is not None
    assert other is not None
    assert networks is not None
    searched, values = (roofline.flops_per_look(networks, n) for n in (13, 5))
    assert acting.lane == pytest.approx(LANE)
    assert other.lane == pytest.approx(values / searched * LANE)


def test_a_study_is_the_sum_of_what_is_left():
    found = forecast(report=calibration())
    assert [cell.runs for cell in found.cells] == [2, 2, 2, 2]
    assert found.costs is not None
    runs = sum(2 * (cell.seconds or 0) for cell in found.cells)
    assert found.shapes == 2
    assert found.hours == pytest.approx((runs + 2 * 15) / 3600)
    networks = planning_networks.networks(DEMO)
    assert networks is not None
    search, update = planning_networks.operations(networks, DEMO, acts=True)
    last = found.cells[-1]
    assert last.flops == last.account.searched * search + last.account.updates * update
    played = planning_evaluation.flops(networks, DEMO)
    assert last.evaluation == played
    assert last.operations == (last.flops or 0) + (played or 0)
    assert found.flops == sum(2 * (cell.operations or 0) for cell in found.cells)


def test_what_is_finished_takes_no_time(tmp_path):
    planned = study.plan(DEMO, cells(2000, seeds=1), tmp_path)
    planned = [planned[0]._replace(state="finished"), planned[1]]
    found = planning_forecast.forecast(
        DEMO, planned, {"finished", "failed"}, [V5E], {}, calibration()
    )
    left = found.cells[1]
    assert [cell.left for cell in found.cells] == [0, 1]
    assert found.shapes == 1
    assert found.chip_hours(0) == left.modelled[0].chip_hours
    assert found.hours == pytest.approx(((left.seconds or 0) + 15) / 3600)


def test_small_cells_get_few_chips():
    def devices(lanes, shards, chips):
        account = accounting.account_for(
            DEMO, config.Cell(frames=2000, fraction=0.0, seed=0), 1
        )
        other = dataclasses.replace(account, environments=lanes, shards=shards)
        return planning_targets.devices_for(other, chips)

    assert devices(16, 8, 16) == 1
    assert devices(320, 8, 16) == 4  # 80 lanes each; 8 would have 40
    assert devices(1024, 8, 16) == 8  # as many as there are shards
    assert devices(1024, 16, 4) == 4  # as many as there are chips
    assert devices(1024, 1, 16) == 1


def test_chip_hours_are_the_lower_bound_times_the_chips():
    networks = planning_networks.networks(DEMO)
    assert networks is not None
    account = accounting.account_for(
        DEMO, config.Cell(frames=20000, fraction=0.95, seed=0), 1
    )
    found = planning_targets.modelled(networks, DEMO, account, V5E)
    share = roofline.shares(DEMO, account, hardware.Mesh(data=4), 1)
    bound = roofline.times(networks, DEMO, account, share, V5E.chip)
    played = planning_targets.evaluation(networks, DEMO, V5E.chip)
    assert played > 0
    assert found == (4, bound.run + played)
    assert found.chip_hours == pytest.approx(bound.chip_hours(4) + 4 * played / 3600)


def test_cells_side_by_side_take_as_long_as_all_chips_or_the_longest():
    found = forecast(wanted=[V5E, H100])
    longest = max(cell.modelled[0].seconds for cell in found.cells) / 3600
    assert found.target_hours(0) == max(longest, found.chip_hours(0) / 16)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("prices.json", '{"tpu:v5e": 1.5, "gpu:h100:8": "2"}'),
        ("prices.csv", "target,price\ntpu:v5e,1.5\ngpu:h100:8,2\n"),
    ],
)
def test_prices_are_read_by_chip_or_target(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    prices = planning_targets.read_prices(path)
    assert planning_targets.price_of(prices, V5E) == 1.5
    assert planning_targets.price_of(prices, H100) == 2
    assert planning_targets.price_of(prices, targets.parse("gpu:h100:4")) is None


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"tpu:v5e": -1}', '{"tpu:v5e": "x"}', '{"tpu:v9": 1}', "{"]
)
def test_prices_that_cannot_be_are_refused(tmp_path, text):
    path = tmp_path / "prices.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"\.$"):
        planning_targets.read_prices(path)


def test_too_many_hours_are_refused():
    found = forecast(wanted=[V5E], report=calibration())
    plan.check_hours(found, 1000, 1)
    with pytest.raises(ValueError, match=r"tpu:v5e:4x4, more than --max-hours 1e-09"):
        plan.check_hours(found, 1e-9, 1)
    here = forecast(report=calibration())
    assert here.hours is not None
    plan.check_hours(here, 0.6 * here.hours, 2)
    with pytest.raises(ValueError, match="this machine, more than --max-hours"):
        plan.check_hours(here, 0.6 * here.hours, 1)
    with pytest.raises(ValueError, match="needs the figures of this machine"):
        plan.check_hours(forecast(), 1, 1)
    with pytest.raises(ValueError, match="--max-hours is nan"):
        plan.check_hours(here, float("nan"), 1)


def test_unlike_machines_are_told(monkeypatch):
    monkeypatch.setattr(plan.os, "sched_getaffinity", lambda _: {0, 1})
    assert plan.warnings(calibration(), 2) == []
    (warning,) = plan.warnings(calibration(), 1)
    assert "taken on 1 cores, and each of 1 runs at a time has 2" in warning
    (warning,) = plan.warnings(calibration(processor="Abacus"), 2)
    assert "of another machine (Abacus)" in warning
    busy = calibration()
    busy["load"]["before"] = 3.0
    assert "was busy" in plan.warnings(busy, 2)[0]


def test_what_is_printed(capsys):
    found = forecast(wanted=[V5E], prices={"tpu:v5e": 2.0}, report=calibration())
    planning_display.print_forecast(
        display.console(), found, calibration()["machine"], 2
    )
    printed = capsys.readouterr().out
    price = f"{2 * found.chip_hours(0):,.2f} at 2 each"
    for words in ("2 of 2", "a lower bound from peak rates", price, "measured (demo)"):
        assert words in printed
    planning_display.print_forecast(display.console(), forecast(), None, 1)
    printed = capsys.readouterr().out
    assert "launch/benchmark.py" in printed
    assert "without evaluations" not in printed
    unknown = dataclasses.replace(DEMO, env="gymnasium:LunarLander-v3")
    planning_display.print_forecast(display.console(), forecast(unknown), None, 1)
    assert "without evaluations" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "words"),
    [(3.14e18, "3.14 EFLOP"), (2e12, "2 TFLOP"), (950e6, "950 MFLOP"), (3, "3 FLOP")],
)
def test_operations_have_units(number, words):
    assert planning_display.operations(number) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(2.34, "2.3 s"), (90, "1.5 min"), (7200, "2 h"), (3.6e7, "10,000 h")],
)
def test_durations_are_said_as_a_person_does(seconds, words):
    assert planning_display.duration(seconds) == words


def test_the_papers_study_is_planned_without_jax(tmp_path):
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(calibration()))
    flags = ["--target", "tpu:v5e-16,gpu:h100:8", "--calibration", str(path)]
    done = start("plan", *flags, "--out", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    for words in ("1,000,000,000", "EFLOP", "tpu:v5e:4x4", "gpu:h100:8", "scaled"):
        assert words in done.stdout
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--target", "tpu:v9:2x2"], "There is no target 'tpu:v9:2x2'"),
        (["--target", "gpu:h100:8", "--precision", "f64"], "--precision f64"),
        (["--prices", "nowhere.json"], "--prices nowhere.json cannot be read"),
        (["--max-hours", "1e-9", "--target", "gpu:h100:8"], "more than --max-hours"),
        (["--max-hours", "5"], "needs the figures of this machine"),
    ],
)
def test_what_cannot_be_planned_is_refused(tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    flags = ["--preset", "demo", "--calibration", "none.json", *given]
    with pytest.raises(ValueError, match=re.escape(message)) as refusal:
        plan.plan(flags)
    assert str(refusal.value).endswith(".")
    assert not list(tmp_path.iterdir())
