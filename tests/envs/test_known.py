"""The lists of names are those of the installed packages."""

import subprocess
import sys

import gymnasium
import pytest

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
