"""Names are checked at once, in full sentences, and without heavy imports."""

import importlib.util
import subprocess
import sys

import pytest

from scaling import config
from scaling.envs import known, registry

PROTOCOL = config.Protocol()


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("jumanji:Pacman-v1", "nearest: jumanji:PacMan-v1"),
        ("atari:ms_pacman", "nearest: atari:MsPacman"),
        ("gymnasium:CartPol-v1", "nearest: gymnasium:CartPole-v1"),
        ("MsPacman", "has no family.*nearest: atari:MsPacman"),
        ("atary:Pong", "neither a family.*nearest: atari"),
        ("gymnasium:Pendulum-v1", "actions are continuous"),
        ("gymnasium:Ant-v5", "actions are continuous"),
        ("gymnasium:FrozenLake-v1", "its observation is a number"),
        ("jumanji:Cleaner-v0", "several agents"),
        ("jumanji:TSP-v1", "not a grid, an image or a vector"),
        ("atari:Combat", "two players"),
    ],
)
def test_names_are_refused_with_the_reason(env, message):
    with pytest.raises(ValueError, match=message):
        registry.check_name(env, PROTOCOL)


@pytest.mark.parametrize(
    "env", ["jumanji:PacMan-v1", "atari:MsPacman", "gymnasium:CartPole-v1"]
)
def test_supported_names_pass(env):
    registry.check_name(env, PROTOCOL)
    assert env in registry.names()
    assert registry.is_device(env) == env.startswith("jumanji")
    expected = 4 if env.startswith("atari") else 1
    assert registry.frames_per_step(env, PROTOCOL) == expected


@pytest.mark.parametrize(
    ("env", "changes", "message"),
    [
        ("jumanji:PacMan-v1", {"view_size": 14}, "view_size must be odd"),
        ("jumanji:PacMan-v1", {"sticky": 1.0}, r"sticky must lie in \[0, 1\)"),
        ("jumanji:PacMan-v1", {"random_start": -1}, "random_start must not be neg"),
        ("jumanji:Snake-v1", {"view": "coarse"}, "shows no player"),
        ("atari:Pong", {"random_start": 30}, "has no random starts"),
        ("atari:Pong", {"frame_skip": 0}, "frame_skip must be at least 1"),
    ],
)
def test_protocols_are_refused_with_the_reason(env, changes, message):
    with pytest.raises(ValueError, match=message):
        registry.check_name(env, config.Protocol(**changes))


@pytest.mark.parametrize("package", ["ale_py", "gymnasium", "jumanji", "Box2D"])
def test_missing_packages_are_named(package, monkeypatch):
    env, install = {
        "ale_py": ("atari:Pong", "ale-py"),
        "gymnasium": ("gymnasium:CartPole-v1", "gymnasium"),
        "jumanji": ("jumanji:Snake-v1", "jumanji"),
        "Box2D": ("gymnasium:LunarLander-v3", r"gymnasium\[box2d\]"),
    }[package]
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == package else find(name),
    )
    with pytest.raises(ValueError, match=f"pip install '{install}'"):
        registry.check_name(env, PROTOCOL)


def test_making_one_kind_as_the_other_is_refused():
    with pytest.raises(ValueError, match="runs on the device"):
        registry.make_host("jumanji:PacMan-v1", PROTOCOL, 1)
    with pytest.raises(ValueError, match="runs on the host"):
        registry.make_device("atari:Pong", PROTOCOL)


def run_python(code):
    subprocess.run([sys.executable, "-c", code], check=True)


def test_checking_names_imports_no_environment_and_no_jax():
    run_python(
        "import sys\n"
        "from scaling import config\n"
        "from scaling.envs import registry\n"
        "for env in ('atari:Pong', 'jumanji:PacMan-v1', 'gymnasium:CartPole-v1'):\n"
        "    registry.check_name(env, config.Protocol())\n"
        "heavy = {'jax', 'ale_py', 'jumanji', 'gymnasium'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )


def test_importing_the_adapters_starts_no_backend():
    run_python(
        "import importlib\n"
        "for name in 'atari autoreset boards gymnasium interface jumanji'.split():\n"
        "    importlib.import_module(f'scaling.envs.{name}')\n"
        "from jax._src import xla_bridge\n"
        "assert not xla_bridge.backends_are_initialized()\n"
    )


def test_typical_episodes_are_of_supported_names():
    assert set(known.TYPICAL_EPISODE_STEPS) <= set(registry.names())
    assert registry.typical_episode_steps("jumanji:TSP-v1") is None
