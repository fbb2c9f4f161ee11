"""Every command answers `--help` and refusals at once, without loading JAX."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
COMMANDS = [
    "sweep",
    "train",
    "plan",
    "evaluate",
    "collect",
    "import_dataset",
    "compile",
    "cloud",
    "benchmark",
    "status",
]
WITHOUT_JAX = """
import runpy, sys
del sys.argv[0]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    heavy = {"jax", "flax", "jumanji", "gymnasium", "ale_py", "pandas"}
    loaded = heavy & set(sys.modules)
    assert not loaded, loaded
"""


def start(command: str, *flags: str, cwd: pathlib.Path = ROOT):
    script = str(ROOT / "launch" / f"{command}.py")
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_JAX, script, *flags],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=60,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_answers_without_jax(command):
    done = start(command, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


def test_help_shows_the_presets_values_and_every_setting():
    done = start("sweep", "--preset", "demo", "--help")
    assert "(default: jumanji:PacMan-v1)" in done.stdout
    for flag in ("--env ", "--learner.batch-size", "--protocol.sticky", "--dry-run"):
        assert flag in done.stdout


def test_the_papers_study_is_planned_without_jax_from_anywhere(tmp_path):
    flags = ["--budgets", "1e5..2e8", "--fractions", "0,0.5,0.95", "--dry-run"]
    done = start("sweep", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1,000,000,000" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "flags", "message"),
    [
        ("train", ["--frames", "1e5", "--fraction", "2"], "--fraction has 2"),
        ("train", ["--frames", "x", "--fraction", "0"], "--frames has 'x'"),
        ("train", ["--frames", "1e5", "--fraction", "nan"], "--fraction has nan"),
        ("train", ["--preset", "no", "--frames", "1", "--fraction", "0"], "'no'"),
        ("sweep", ["--preset", "demo", "--out", "hdfs://b/x"], "is an address"),
        ("evaluate", ["nowhere"], "not the directory of a run"),
        ("sweep", ["--env", "atari:MsPackman"], "atari:MsPacman"),
    ],
)
def test_refusals_are_one_sentence(tmp_path, command, flags, message):
    done = start(command, *flags, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("train", []),
        ("evaluate", []),
        ("sweep", ["--environmments", "3"]),
        ("sweep", ["--environments", "three"]),
    ],
)
def test_bad_flags_are_refused_with_status_2(tmp_path, command, flags):
    done = start(command, *flags, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
