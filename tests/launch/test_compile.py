"""The command that compiles for hardware that is not here."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest
from test_commands import start

from launch import (
    collectives,
    command,
    compile,
    compile_display,
    compile_report,
    hlo,
    roofline,
    sizing,
)
from scaling import hardware

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
TINY = [
    "--preset=demo",
    "--env=mesh_facts:Line",
    "--frames=2000",
    "--protocol.random-start=0",
    "--protocol.view=board",
    "--network.units=16",
    "--network.head-units=16",
    "--value.bins=11",
    "--search.simulations=4",
]


def plan(*argv):
    flags = command.parse(compile.Compile, argv, "")
    return compile.plan_of(flags, sizing.given(argv))


def test_help_answers_without_jax():
    done = start("compile", "--help")
    assert done.returncode == 0, done.stderr
    for flag in ("--target", "--mesh.model", "--learner.batch-size", "--json"):
        assert flag in done.stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--target", "tpu:v9:4x4"], "tpu:v5e: with 2x2"),
        (["--target", "gpu:h100:8", "--mesh.model", "3"], "has 8 chips"),
        (["--target", "gpu:h100:8", "--shards", "4"], "--shards 4 is not a multiple"),
        (["--target", "gpu:h100:8", "--precision", "f64"], "--precision f64"),
        (["--target", "gpu:h100:8", "--fraction", "1.5"], "--fraction has 1.5"),
        (["--target", "gpu:h100:8", "--learner.batch-size", "100"], "A batch of 100"),
        (["--target", "gpu:h100:8", "--frames", "10"], "A budget of 10 frames"),
        (["--target", "gpu:h100:8", "--env", "atari:MsPackman"], "atari:MsPacman"),
        (["--target", "gpu:h100:8", "--json", "no/a.json"], "--json no/a.json"),
    ],
)
def test_refusals_are_one_sentence(tmp_path, flags, message):
    done = start("compile", *flags, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


def test_the_papers_run_gets_sizes_for_a_pod():
    made = plan("--target", "tpu:v5e-256")
    assert made.mesh == hardware.Mesh(data=256, model=1)
    assert made.account.lanes == 80 * 256
    assert made.account.frames == 200_000_000  # the preset's largest budget
    assert made.account.updates == 1_000_000


def test_sizes_that_were_given_are_kept():
    made = plan("--target=gpu:h100:8", "--shards=32", "--environments=64")
    assert (made.settings.shards, made.settings.environments) == (32, 64)


@pytest.mark.parametrize(
    ("target", "extra"),
    [("tpu:v5e:4x4", "tpu-compile"), ("gpu:h100:8", "gpu-compile")],
)
def test_a_missing_compiler_is_named_with_what_installs_it(target, extra, monkeypatch):
    made = plan("--target", target)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="which is not installed") as refusal:
        compile.check_compiler(made.target)
    assert str(refusal.value).endswith(f"run: pip install -e '.[{extra}]'.")


@pytest.mark.parametrize(("total", "status"), [(1e9, 0), (90e9, 1)])
def test_the_exit_status_says_whether_it_fits(
    total, status, tmp_path, monkeypatch, capsys
):
    made = report(found("learn", total))
    monkeypatch.setattr(compile, "check_compiler", lambda target: {"jax": "1"})
    monkeypatch.setattr(compile, "make_report", lambda *arguments: made)
    path = tmp_path / "found.json"
    assert compile.compile_(["--target=gpu:h100:8", f"--json={path}"]) == status
    values = json.loads(path.read_text())
    assert values["fits"] == (status == 0)
    assert values["programs"][0]["memory"]["total"] == total
    printed = capsys.readouterr().out
    assert "--shards 8 --environments 32 --max-lanes 1024" in printed
    assert ("It fits" in printed) == (status == 0)


SEARCH = hlo.Loop("while.1", "/x/mctx/_src/search.py", "search")
UPDATES = hlo.Loop("while.2", "/x/device_loop.py", "learn")
CALLS = hlo.Loop("while.3", "/x/device_loop.py", "_advance")


def reduce_in(*loops, size=8_000_000):
    return collectives.Collective("all-reduce", size, tuple(range(8)), loops)


def found(name="advance", total=1e9, meetings=(), searches=True, refusal=""):
    memory = dict.fromkeys(compile_report.COLUMNS, 0) | {"total": int(total)}
    return compile_report.Found(
        name, 1.0, {} if refusal else memory, refusal, tuple(meetings), searches
    )


def report(*programs, state=None, mesh_model=1):
    made = plan("--target=gpu:h100:8", f"--mesh.model={mesh_model}")
    network = roofline.Network(flops=1e9, weights=10**6, row=1000)
    networks = roofline.Networks(network, network, network, 10**7)
    share = roofline.shares(made.settings, made.account, made.mesh, 2)
    return compile_report.Report(
        plan=made,
        compilers={"jax": "1"},
        programs=programs,
        state=state or {"learner": 10, "window": 5, "frames": 0},
        networks=networks,
        share=share,
        times=roofline.times(
            networks, made.settings, made.account, share, made.target.chip
        ),
    )


def test_what_fits_is_told():
    made = report(found("search", 1e9), found("learn", 2e9))
    assert made.fits
    assert compile_report.verdict(made) == (
        "It fits: learn takes most, 2,000 of 84,929 MB of a chip."
    )


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("search", "--max-lanes"),
        ("learn", "--learner.batch-size"),
        ("advance", "--max-lanes or --learner.batch-size"),
        ("record", "--replay.window"),
    ],
)
def test_what_does_not_fit_is_told_with_a_setting(name, setting):
    made = report(found("place", 1e9), found(name, 90e9))
    assert not made.fits
    assert f"{name} is too large (it takes 90,000 MB)" in compile_report.verdict(made)
    assert setting in compile_report.verdict(made)


@pytest.mark.parametrize(
    ("part", "setting"),
    [
        ("learner", "--mesh.model above 1"),
        ("window", "--replay.window"),
        ("frames", "--replay.stored-steps"),
    ],
)
def test_a_state_that_fills_the_chip_is_what_to_change(part, setting):
    state = {"learner": 1, "window": 1, "frames": 0} | {part: 80 * 10**9}
    made = report(found("learn", 90e9), state=state)
    assert setting in compile_report.verdict(made)


def test_a_refused_program_does_not_fit():
    made = report(found("learn", refusal="9G of 8G."), found("search", 1e9))
    assert not made.fits
    assert "learn is too large (9G of 8G)" in compile_report.verdict(made)
    json.dumps(compile_report.as_values(made), allow_nan=False)
    assert compile_display.memory_rows(made.programs)[0] == ("learn", "refused")
    assert compile_display.meeting_lines(made) == [
        "none",
        "Not known of what was refused: learn.",
    ]


def test_meetings_are_told_by_when_they_happen():
    made = report(
        found(
            meetings=[
                reduce_in(UPDATES, CALLS),
                reduce_in(CALLS, size=4),
            ]
        ),
        found("read_log", meetings=[reduce_in(size=4), reduce_in(size=4)]),
    )
    assert compile_display.meeting_lines(made) == [
        "advance: 1 all-reduce of 8 MB over 8 chips in each update",
        "advance: 1 all-reduce of 4 B over 8 chips in each call",
        "read_log: 2 all-reduce of 8 B over 8 chips for each line of the log",
        "Inside the search loop: none.",
    ]


def test_meetings_in_the_search_are_told():
    made = report(found(meetings=[reduce_in(SEARCH, CALLS), reduce_in(UPDATES, CALLS)]))
    lines = compile_display.meeting_lines(made)
    assert lines[-1] == "Inside the search loop: 1 (all-reduce)."
    assert "inside the search loop" in lines[0]
    assert compile_report.as_values(made)["collectives_inside_search"] == 1


def test_a_text_without_the_search_is_not_taken_for_a_clean_one():
    made = report(found(searches=False))
    assert compile_display.meeting_lines(made)[-1] == (
        "No search loop was found in the compiled text."
    )


def test_times_are_marked_as_a_model():
    made = report(found())
    values = compile_report.as_values(made)
    assert "not a measurement" in values["model"]["note"]
    assert values["model"]["chip_hours"] == pytest.approx(
        values["model"]["run"] * 8 / 3600
    )
    assert any("chip-hours" in line for line in compile_display.time_lines(made))


def compiled(tmp_path, target, module):
    if importlib.util.find_spec(module) is None:
        _, package, extra = compile.COMPILERS[target[:3]]
        pytest.skip(f"{package} is not installed: pip install -e '.[{extra}]'")
    path = tmp_path / "found.json"
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "launch" / "compile.py"),
            f"--target={target}",
            f"--json={path}",
            *TINY,
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        timeout=1500,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "It fits" in done.stdout
    return json.loads(path.read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "module", "chips"),
    [("tpu:v5e:4x4", "libtpu", 16), ("gpu:h100:8", "jax_cuda12_plugin", 8)],
)
def test_the_iteration_compiles_for_a_target(tmp_path, target, module, chips):
    values = compiled(tmp_path, target, module)
    program, log = values["programs"]
    assert (program["name"], log["name"]) == ("advance", "read_log")
    assert [each["bytes"] for each in log["collectives"]] == [2 * 4, 3 * 4]
    assert program["search_loop"]
    assert 0 < program["memory"]["total"] < values["chip_memory"]
    assert values["collectives_inside_search"] == 0
    assert {each["kind"] for each in program["collectives"]} == {"all-reduce"}
    assert {each["devices"] for each in program["collectives"]} == {chips}
    (fused,) = (each for each in program["collectives"] if "learn" in each["loops"])
    others = [each for each in program["collectives"] if each is not fused]
    assert all(each["bytes"] <= 8 for each in others)
    assert fused["bytes"] > 1000
    assert values["flops_per_searched_state"] > 0
