"""The lists of names are those of the installed packages."""

import math
import subprocess
import sys

import gymnasium
import numpy as np
import pytest

from scaling import config
from scaling.envs import known, registry


def test_jumanji_names_are_the_installed_ones():
    from jumanji import registration

    assert set(known.JUMANJI) == registration.registered_environments()


def test_gymnasium_names_are_the_installed_ones():
    installed = {
        name
        for name, spec in gymnasium.registry.items()
        if not str(spec.entry_point).startswith("ale_py")  # ale-py adds its own
    }
    assert set(known.GYMNASIUM) == installed


def test_supported_gymnasium_names_are_discrete_boxes():
    for name, refusal in known.GYMNASIUM.items():
        if refusal is None and name not in known.NEEDS:
            env = gymnasium.make(name)
            assert isinstance(env.action_space, gymnasium.spaces.Discrete)
            assert isinstance(env.observation_space, gymnasium.spaces.Box)


def test_atari_names_are_the_ales_own():
    from ale_py import registration, roms

    expected = {registration.rom_id_to_name(rom) for rom in roms.get_all_rom_ids()}
    assert set(registry._atari_roms()) == expected
    assert registry._atari_roms()["MsPacman"] == roms.get_rom_path("ms_pacman")
    assert set(known.ATARI_REFUSED) < set(roms.get_all_rom_ids())


@pytest.mark.slow
@pytest.mark.parametrize("rom", known.ATARI_REFUSED)
def test_refused_roms_end_the_process(rom):
    code = (
        "import sys; from ale_py import ALEInterface, roms; "
        f"ALEInterface().loadROM(roms.get_rom_path({rom!r}))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert ended.returncode != 0


def test_the_nearest_names_ignore_capitals():
    assert known.nearest("pacman", ["PacMan", "Snake"]) == ["PacMan"]
    assert known.nearest("zzz", ["PacMan", "Snake"]) == []


@pytest.mark.parametrize("view", ["board", "egocentric", "coarse"])
def test_sizes_are_those_of_the_environments(view):
    for env in registry.names():
        name = env.partition(":")[2]
        if env.startswith("atari:") or name in known.NEEDS:
            continue
        if view != "board" and name not in known.PLAYERS:
            continue
        protocol = config.Protocol(view=view)
        if registry.is_device(env):
            spec = registry.make_device(env, protocol).spec
        else:
            spec = registry.make_host(env, protocol, 1).spec
        size = (
            math.prod(spec.observation_shape)
            * np.dtype(spec.observation_dtype).itemsize
        )
        assert registry.sizes(env, protocol) == (size, spec.num_actions), env


@pytest.mark.parametrize("colour", ["rgb", "gray"])
def test_sizes_of_atari_are_those_of_its_pictures(colour):
    protocol = config.Protocol(colour=colour, image_size=48)
    spec = registry.make_host("atari:Pong", protocol, 1).spec
    size = math.prod(spec.observation_shape)
    assert registry.sizes("atari:Pong", protocol) == (size, spec.num_actions)
