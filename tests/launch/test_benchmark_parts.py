"""Each measured function, at tiny sizes: what it runs and what it counts."""

import csv
import dataclasses
from typing import Any

import jax
import mesh_facts
import pytest
from jax.experimental.compilation_cache import compilation_cache

from launch import (
    benchmark_growth,
    benchmark_iteration,
    benchmark_machine,
    benchmark_networks,
    benchmark_parts,
    benchmark_playing,
    benchmark_plot,
    benchmark_precision,
    benchmark_workloads,
    measure,
    roofline,
)
from scaling import config, iteration, loops

EFFORT = measure.Effort(2, 0.02)
TINY = benchmark_workloads.Workload(
    name="tiny",
    settings=dataclasses.replace(
        mesh_facts.SETTINGS, evaluation=config.Evaluation(episodes=4)
    ),
    lanes=4,
    batches=(16,),
    frames=2000,
    first_call=20,
    note="",
)


@pytest.fixture(scope="module")
def agent():
    return benchmark_networks.make_agent(TINY.settings)


def test_the_peak_is_the_operations_of_the_fastest_product():
    found = benchmark_machine.measure_peak(EFFORT, side=64)
    assert found["flops_per_s"] == 2 * 64**3 / found["fastest_s"]
    assert set(benchmark_machine.describe()) >= {"devices", "processor", "cores"}


def once_made(monkeypatch, name, *arguments):
    """Makes what is measured once; it is compiled once then."""
    made = getattr(benchmark_networks, name)(*arguments)
    monkeypatch.setattr(benchmark_networks, name, lambda *_: made)
    return made


def test_both_searches_give_policies_and_figures(agent, monkeypatch):
    ours, bare = once_made(monkeypatch, "searches", agent, 4)
    found, (action, policy, value) = ours(), bare()
    assert found.policy.shape == policy.shape == (4, 2)
    assert found.action.shape == action.shape == value.shape == (4,)
    figures = benchmark_networks.measure_search(agent, 4, EFFORT)
    assert figures["searched_states_per_s"] == pytest.approx(4 / figures["median_s"])
    assert figures["simulations_per_s"] == pytest.approx(16 / figures["median_s"])
    each = roofline.flops_per_search(agent.costs, TINY.settings)
    assert figures["flops"] == 4 * each


def test_each_call_makes_another_update_of_the_batch(agent, monkeypatch):
    once = once_made(monkeypatch, "updates", agent, 8)
    assert float(once().loss) != float(once().loss)
    found = benchmark_networks.measure_learner(agent, 8, EFFORT)
    assert found["samples_per_s"] == pytest.approx(8 / found["median_s"])
    # The settings' batch is 16.
    assert found["flops"] == roofline.flops_per_update(agent.costs, TINY.settings) / 2


def test_frames_are_those_of_all_environments():
    found = benchmark_playing.measure_environment(TINY.settings, EFFORT)
    assert found["kind"] == "device"
    assert found["frames_per_s"] == pytest.approx(100 * 4 / found["median_s"])


def test_a_host_environments_episodes_are_cut_short():
    settings = benchmark_workloads.workload("midsize", config.Settings()).settings
    cut = benchmark_playing._cut_short(settings)
    assert cut.protocol.max_frames == 20  # 5 steps of 4 frames
    assert cut.evaluation.episodes == 8


def fake_loop(made):
    """Returns a loop that notes what it is asked for."""

    def advance(state, calls, number, total):
        made.append((calls.number[:number].tolist(), calls.updates[:number].sum()))
        return state + number

    fields: Any = dict.fromkeys(loops.Loop._fields)
    kept = {"state": 0, "advance": advance, "search": lambda state, call, total: state}
    return loops.Loop(**fields | kept)


def test_calls_follow_one_another_and_updates_can_be_left_out():
    account = benchmark_iteration.account_of(TINY, 0.75)
    made = []
    going = benchmark_iteration.Going(fake_loop(made), None, account, 0, 0)
    going, seconds = benchmark_iteration.start(going, 300)
    assert (going.state, going.call) == (300, 300)
    assert seconds >= 0
    assert [call for calls, _ in made for call in calls] == list(range(300))
    assert max(len(calls) for calls, _ in made) <= 256
    going, pair = benchmark_iteration._pair(going, 10)
    assert made[-2] == (list(range(300, 310)), 10)
    assert made[-1] == (list(range(310, 320)), 0)
    assert (pair.updates, pair.searched) == (1.0, 16.0)


def test_the_calls_of_a_repeat_fit_the_run():
    account = benchmark_iteration.account_of(TINY, 0.75)
    going = benchmark_iteration.Going(fake_loop([]), None, account, 0, 400)
    _, number = benchmark_iteration.calls_for(going, measure.Effort(2, 1e9))
    assert number == (account.calls - 400 - 1 - 8) // 5  # 9 calls tell how long one is
    with pytest.raises(ValueError, match=r"2 repeats of 30 calls.*--frames"):
        benchmark_iteration.calls_for(going, EFFORT, 30)


def test_the_figures_of_calls_are_medians_of_repeats():
    account = benchmark_iteration.account_of(TINY, 0.75)
    pairs = [
        benchmark_iteration.Pair(seconds, less, search, 2.0, 16.0)
        for seconds, less, search in (
            (0.5, 0.1, 0.08),
            (0.3, 0.1, 0.1),
            (0.4, 0.2, 0.1),
        )
    ]
    found = benchmark_iteration._figures(pairs, account)
    assert (found["call_s"], found["call_without_updates_s"]) == (0.4, 0.1)
    assert found["search_s"] == 0.1
    assert found["time_of_search"] == pytest.approx(1.25)  # of 1.25, 1, 2
    assert found["update_s"] == pytest.approx(0.1)  # of 0.4, 0.2, 0.2 for two updates
    assert found["searched_states_per_s"] == pytest.approx(40)
    assert found["frames_per_s"] == pytest.approx(10)  # a quarter of the states


def points():
    return [
        benchmark_growth.Point(varied, size, 1e-6 * size, 9e-7 * size, 2e-6 * size)
        for varied in ("lanes", "simulations")
        for size in (16, 32)
    ]


def test_growth_is_drawn_the_same_each_time_with_a_table_beside(tmp_path):
    path = tmp_path / "growth.svg"
    benchmark_plot.write(points(), "demo", path)
    first = path.read_bytes()
    benchmark_plot.write(points(), "demo", path)
    assert path.read_bytes() == first
    rows = list(csv.DictReader((tmp_path / "growth.csv").read_text().splitlines()))
    assert [float(row["seconds"]) for row in rows] == [p.seconds for p in points()]
    assert len(benchmark_plot.draw(points(), "demo").axes) == 2


@pytest.fixture
def compiled_anew(tmp_path):
    """Keeps compiled programs apart: those kept before may name no scopes.

    Scopes are no part of what a compiled program is found by.
    """
    before = jax.config.values["jax_compilation_cache_dir"]
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "compiled"))
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_anew")
def test_whole_parts_of_a_small_run(tmp_path):
    asked = benchmark_parts.Asked(
        ("iteration", "evaluation", "checkpoint", "run"),
        (0.75,),
        EFFORT,
        5,
        None,
        tmp_path / "trace",
    )
    found = benchmark_parts.measure_workload(TINY, asked, 1e9, lambda what: None)
    (call,) = found["iteration"]
    assert (call["lanes"], call["first_call"], call["calls_of_a_repeat"]) == (16, 20, 5)
    assert call["searched_of_a_call"] == 16
    assert call["search_s"] > 0
    # Of two repeats a median is the mean. On a busy machine it may be of any sign.
    of_updates = call["update_s"] * call["updates_of_a_call"]
    assert call["updates_of_a_call"] > 0
    assert of_updates == pytest.approx(
        call["call_s"] - call["call_without_updates_s"], abs=1e-9
    )
    assert list((tmp_path / "trace" / "tiny" / "0.75").rglob("*.xplane.pb"))
    assert call["traced_call_s"] > 0
    at_work = call["at_work"]
    assert at_work["any"] <= 1
    for part in iteration.PARTS:
        assert 0 < at_work[part] < at_work["any"]
    (evaluation,) = found["evaluation"]
    assert evaluation["episodes"] == 4
    (checkpoint,) = found["checkpoint"]
    assert checkpoint["of_all"]["bytes"] > 0
    (run,) = found["run"]
    assert (run["calls"], run["lanes"], run["frames"]) == (100, 4, 400)
    assert run["rounds"] == 1 + 10 * 16 / 4  # the last network's, and a curve's
    assert run["median_s"] > evaluation["median_s"]


def test_bfloat16_is_near_float32_and_is_not_it():
    (found,) = benchmark_precision.measure_precision(TINY)
    for name in ("policy_logits", "value_logits", "reward_logits", "gradient"):
        assert 1e-4 < found[name] < 0.1
    assert 0 < found["searched_policy"] < 0.1
    assert 0 < found["searched_value"] < 0.5


@pytest.mark.slow
def test_growth_of_a_small_run():
    sizes = benchmark_growth.Sizes((2, 4), (2, 4), (200, 400))
    found = benchmark_growth.measure_growth(TINY, EFFORT, lambda what: None, sizes)
    assert [(point.varied, point.size) for point in found] == [
        ("lanes", 2),
        ("lanes", 4),
        ("simulations", 2),
        ("simulations", 4),
        ("stored steps", 200),
        ("stored steps", 400),
    ]
    assert all(p.fastest <= p.seconds <= p.slowest for p in found)
