"""The benchmark's flags, arithmetic and files; of speed itself nothing is asserted."""

import dataclasses
import json
import pathlib
import re

import pytest
from test_commands import start

from launch import (
    benchmark,
    benchmark_display,
    benchmark_report,
    benchmark_workloads,
    command,
    display,
)
from scaling import config

MACHINE = {
    "devices": "1 x cpu (2 cores)",
    "processor": "A",
    "cores": 2,
    "cores_of_machine": 2,
    "jax": "0",
    "python": "3",
    "system": "Linux",
}
TIMING = {
    "median_s": 0.5,
    "fastest_s": 0.4,
    "slowest_s": 0.6,
    "repeats": 3,
    "runs_of_a_repeat": 2,
    "compile_s": 7.0,
}
CALL = {
    "fraction": 0.95,
    "frames": 2000,
    "lanes": 320,
    "call_s": 0.02,
    "fastest_call_s": 0.01,
    "slowest_call_s": 0.03,
    "call_without_updates_s": 0.01,
    "search_s": 0.008,
    "time_of_search": 1.25,
    "traced_call_s": 0.021,
    "at_work": {"search": 0.25, "any": 0.875},
    "updates_of_a_call": 5.0,
    "searched_of_a_call": 320.0,
    "searched_states_per_s": 16000.0,
    "compile_s": 3.0,
}
OPERATIONS = {"searched_state": 1e6, "update": 2e8}


def flags(*argv):
    return command.parse(benchmark.Benchmark, argv, "")


def report(**workloads):
    made = benchmark_report.begin(MACHINE, 0.1, {"side": 8, "flops_per_s": 1e11})
    return {**made, "workloads": workloads}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--workload", "huge"], "no workload 'huge'"),
        (["--only", "search,speed"], "--only has 'speed'"),
        (["--only", "growth"], "--growth FILE.svg"),
        (["--fractions", "0,2"], "--fractions has 2"),
        (["--fractions", "0,1"], "--fractions 0,1 has 1, which needs a data set"),
        (
            ["--workload=given", "--sources=recent:0.5,demonstrations:0.5"],
            "draws from demonstrations",
        ),
        (["--repeats", "0"], "--repeats is 0"),
        (["--calls", "0"], "--calls is 0"),
        (["--first-call", "-1"], "--first-call is -1"),
        (["--seconds", "nan"], "--seconds is nan"),
        (["--json", "nowhere/a.json"], "--json nowhere/a.json is in a directory"),
        (["--growth", "a.png"], "call it NAME.svg"),
        (["--batch", "6.5"], "--batch has 6.5"),
        (["--workload", "given", "--environments", "0"], "--environments is 0"),
    ],
)
def test_what_cannot_be_is_refused_at_once(given, message):
    with pytest.raises(ValueError, match=re.escape(message)) as refusal:
        benchmark.benchmark(given)
    assert str(refusal.value).endswith(".")


def test_help_answers_without_jax():
    done = start("benchmark", "--help")
    assert done.returncode == 0, done.stderr
    for flag in ("--workload", "--only", "--growth", "--profile", "--calibration"):
        assert flag in done.stdout


def test_sizes_that_are_given_replace_the_workloads():
    asked = flags("--workload", "demo, midsize", "--frames", "4e5", "--batch", "8,16")
    demo, midsize = benchmark.workloads_of(asked)
    assert (demo.name, demo.frames, demo.batches) == ("demo", 400_000, (8, 16))
    assert (midsize.lanes, midsize.frames) == (256, 400_000)
    (given,) = benchmark.workloads_of(
        flags("--workload", "given", "--preset", "cartpole", "--lanes", "3")
    )
    assert given.settings.env == "gymnasium:CartPole-v1"
    assert given.lanes == 3


def test_parts_keep_their_order():
    assert benchmark.parts_of(flags()) == benchmark_report.PARTS
    asked = flags("--only", "learner,search")
    assert benchmark.parts_of(asked) == ("search", "learner")
    assert benchmark.parts_of(flags("--only", "growth", "--growth", "a.svg")) == ()


def test_midsize_has_lightzeros_sizes():
    """Hidden planes, simulations, bins and heads of its atari_muzero_config."""
    settings = benchmark_workloads.workload("midsize", config.Settings()).settings
    assert settings.protocol.image_size == 96
    assert (settings.protocol.stack, settings.protocol.colour) == (4, "gray")
    assert (settings.network.planes, settings.network.blocks) == (64, 1)
    assert (settings.value.bins, settings.search.simulations) == (601, 50)
    assert settings.protocol.full_action_space


def test_a_shortened_run_is_otherwise_the_same():
    full = config.Settings()
    cut = benchmark_workloads._short_segments(full)
    assert dataclasses.replace(cut, replay=full.replay) == full
    assert dataclasses.replace(cut.replay, segment_length=500, warm_up=125) == (
        full.replay
    )


def test_operations_of_a_call_are_its_searches_and_its_updates():
    found = benchmark_report.with_rates(CALL, OPERATIONS, 1e11)
    assert found["flops"] == 320 * 1e6 + 5 * 2e8
    assert found["flops_per_s"] == pytest.approx(1.32e9 / 0.02)
    assert found["share_of_peak"] == pytest.approx(1.32e9 / 0.02 / 1e11)


def test_what_has_no_operations_has_no_rate():
    assert benchmark_report.with_rates({"frames_per_s": 3.0}, OPERATIONS, 1.0) == {
        "frames_per_s": 3.0
    }


def test_a_report_comes_back_from_its_file(tmp_path):
    path = tmp_path / "a" / "calibration.json"
    assert benchmark_report.read(path) is None
    made = report(demo={"settings": {"a": 1}, "search": [{"lanes": 3}]})
    benchmark_report.write(path, made)
    assert benchmark_report.read(path) == made


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 0}', "\x00"])
def test_a_file_that_is_no_report_is_refused(tmp_path, text):
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"run the benchmark again\.$"):
        benchmark_report.read(path)


def test_a_calibration_keeps_what_was_not_measured_again():
    old = report(
        demo={"settings": 1, "search": [1], "iteration": [1]}, paper={"settings": 2}
    )
    new = report(demo={"settings": 1, "search": [2]})
    kept = benchmark_report.merged(old, new)["workloads"]
    assert kept["demo"] == {"settings": 1, "search": [2], "iteration": [1]}
    assert kept["paper"] == {"settings": 2}
    other = report(demo={"settings": 3, "search": [2]})
    assert "iteration" not in benchmark_report.merged(old, other)["workloads"]["demo"]


def test_a_calibration_of_another_machine_is_forgotten():
    old, new = report(demo={"settings": 1}), report(midsize={"settings": 1})
    old["machine"] = {**MACHINE, "cores": 64}
    assert set(benchmark_report.merged(old, new)["workloads"]) == {"midsize"}
    assert benchmark_report.merged(None, new) == new


def test_the_calibration_is_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = benchmark_report.default_file()
    assert found == tmp_path / "scaling-unplugged" / "calibration.json"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert pathlib.Path.home() in benchmark_report.default_file().parents


def test_every_figure_has_its_row(capsys):
    rate = {"flops_per_s": 5e9, "share_of_peak": 0.05}
    found = {
        "note": "smaller",
        "operations": OPERATIONS,
        "search": [
            {
                "lanes": 256,
                "simulations": 8,
                "searched_states_per_s": 25_000.0,
                "simulations_per_s": 200_000.0,
                "bare_mctx_simulations_per_s": 210_000.0,
                "time_of_bare_mctx": 1.05,
                "bare_mctx": TIMING,
                **TIMING,
                **rate,
            }
        ],
        "learner": [{"batch": 64, "updates_per_s": 60.0, **TIMING, **rate}],
        "environment": [{"environments": 16, "frames_per_s": 9e4, **TIMING}],
        "iteration": [{**CALL, **rate}],
        "evaluation": [
            {
                "episodes": 8,
                "steps_of_an_episode": 5,
                "episodes_per_s": 2.0,
                **TIMING,
            }
        ],
        "checkpoint": [
            {
                "held_s": 0.002,
                "wrote_s": 0.1,
                "bytes": 3e6,
                "of_all": {"held_s": 0.2, "wrote_s": 1.0, "bytes": 9e7},
            }
        ],
        "run": [{"calls": 100, **TIMING}],
        "precision": [
            {
                "precision": "bf16",
                "policy_logits": 0.01,
                "value_logits": 0.01,
                "reward_logits": 0.01,
                "gradient": 0.0234,
                "searched_value": 0.01,
                "searched_policy": 0.005,
                "same_action": 0.97,
            }
        ],
    }
    benchmark_display.print_workload(display.console(), "demo", found)
    printed = capsys.readouterr().out
    for words in (
        "a searched state 1 MFLOP, an update 0.2 GFLOP",
        "25,000 states/s",
        "× 1.050 of a bare call of mctx",
        "60 updates/s",
        "90,000 frames/s",
        "call at 0.95: 320 lanes, 2,000 frames",
        "without its 5 updates",
        "1.250 of its searches by themselves",
        "traced, which takes time",
        "search at work",
        "8 episodes of 5 steps",
        "2 ms held",
        "a whole run of 100 calls",
        "bf16 against f32",
        "2.34%",
        "97.0% same actions",
        "demo: smaller.",
    ):
        assert words in printed


def test_a_busy_machine_is_told():
    made = report()
    assert benchmark_display.load_note(made) == ""
    made["load"]["before"] = 1.9
    assert "others used the machine" in benchmark_display.load_note(made)


def test_a_report_is_plain_json():
    assert json.loads(json.dumps(report())) == report()
