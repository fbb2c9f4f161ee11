"""Environments by name: what is known of one before it is made, and making it.

A name is `family:Name` (`jumanji:PacMan-v1`, `atari:MsPacman`,
`gymnasium:CartPole-v1`) or `module:Class` for a class of the user's own
(docs/extending.md). Nothing here imports JAX or an environment library until an
environment is made: a dry run must answer at once.
"""

import importlib.util
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scaling import config
from scaling.envs import known, own

if TYPE_CHECKING:
    from scaling.envs.interface import DeviceEnvironment, HostEnvironment
else:  # the interface imports JAX, and a dry run must not wait for that
    DeviceEnvironment = HostEnvironment = Any

FAMILIES = known.FAMILIES
DEVICE_FAMILIES = ("jumanji",)


def names() -> list[str]:
    """Returns every supported name, sorted; classes of the user's own apart."""
    return sorted(
        f"{family}:{name}"
        for family in FAMILIES
        for name, refusal in _family_names(family).items()
        if refusal is None
    )


def check_name(env: str, protocol: config.Protocol) -> None:
    """Checks that `env` can be made under `protocol`, without importing anything.

    Raises:
      ValueError: if the family, the name or the class is unknown, not installed or
        not supported, or if the protocol asks for what the environment lacks.
    """
    family, name = _split(env)
    if family not in FAMILIES:
        own.check(env, family, name)
    else:
        _check_installed(family, FAMILIES[family], env)
        _check_listed(env, family, name)
    _check_protocol(env, family, name, protocol)


def frames_per_step(env: str, protocol: config.Protocol) -> int:
    """Returns the emulator frames of an agent step: Atari's frame skip, else 1."""
    return protocol.frame_skip if _split(env)[0] == "atari" else 1


def is_device(env: str) -> bool:
    """Returns whether the environment runs on the device; loads a user's class."""
    family, name = _split(env)
    if family in FAMILIES:
        return family in DEVICE_FAMILIES
    return own.load(family, name).kind == "device"


def sticky(env: str, protocol: config.Protocol) -> float:
    """Returns the probability of sticky actions: the family's where none is given."""
    if protocol.sticky is not None:
        return protocol.sticky
    return 0.25 if _split(env)[0] == "atari" else 0.0


def typical_episode_steps(env: str) -> int | None:
    """Returns a random policy's mean episode in agent steps, None if not measured."""
    return known.TYPICAL_EPISODE_STEPS.get(env)


def sizes(env: str, protocol: config.Protocol) -> tuple[int, int] | None:
    """Returns bytes of an observation and number of actions; None: not known."""
    if _split(env)[0] == "atari":
        colours = 3 if protocol.colour == "rgb" else 1
        return protocol.image_size**2 * colours, 18
    if protocol.view != "board" and env in known.PLANES:
        planes = known.PLANES[env]
        pooled = planes - 1 if protocol.view == "coarse" else 0  # all but the walls
        return protocol.view_size**2 * (planes + pooled), known.SIZES[env][1]
    return known.SIZES.get(env)


def make_device(env: str, protocol: config.Protocol) -> DeviceEnvironment:
    """Returns the device environment; imports its library.

    Raises:
      ValueError: as `check_name`, or if it is a host environment.
    """
    check_name(env, protocol)
    family, name = _split(env)
    if not is_device(env):
        raise ValueError(f"{env!r} runs on the host; make it with make_host.")
    if family not in FAMILIES:
        return own.checked(env, own.load(family, name)(protocol))
    from scaling.envs import jumanji

    return jumanji.JumanjiEnvironment(name, protocol)


def make_host(env: str, protocol: config.Protocol, size: int) -> HostEnvironment:
    """Returns a host environment of `size` rows; imports its library.

    Raises:
      ValueError: as `check_name`, or if it is a device environment.
    """
    check_name(env, protocol)
    family, name = _split(env)
    if is_device(env):
        raise ValueError(f"{env!r} runs on the device; make it with make_device.")
    if family == "atari":
        from scaling.envs import atari

        return atari.AtariEnvironment(name, _atari_roms()[name], protocol, size)
    if family == "gymnasium":
        from scaling.envs import gymnasium

        return gymnasium.GymnasiumEnvironment(name, protocol, size)
    return own.checked(env, own.load(family, name)(protocol, size))


def _split(env: str) -> tuple[str, str]:
    """Returns family or module, and name or class."""
    family, colon, name = env.partition(":")
    if not colon or not family or not name:
        whole = {n.partition(":")[2]: n for n in names()}
        close = [whole[n] for n in known.nearest(env, whole)]
        raise ValueError(
            f"The environment {env!r} has no family. Write family:Name with one of "
            f"{', '.join(FAMILIES)}, or module:Class for a class of your own"
            f"{known.did_you_mean(close)}."
        )
    return family, name


def _check_installed(module: str, package: str, env: str) -> None:
    module = "ale_py" if module == "atari" else module
    if importlib.util.find_spec(module) is None:
        raise ValueError(
            f"The environment {env!r} needs the package {package!r}, which is not "
            f"installed; run: pip install '{package}'."
        )


def _check_listed(env: str, family: str, name: str) -> None:
    """Refuses names that the family does not list or that are not supported."""
    listed = _family_names(family)
    supported = [n for n, refusal in listed.items() if refusal is None]
    if name not in listed:
        close = known.nearest(name, supported)
        raise ValueError(
            f"{FAMILIES[family]} has no environment {env!r}"
            f"{known.did_you_mean(close, family)}."
        )
    if (refusal := listed[name]) is not None:
        raise ValueError(
            f"The environment {env!r} is not supported: {refusal}. Choose one of "
            f"{_some(supported, family)}, or wrap it in a class of your own "
            "(docs/extending.md)."
        )
    if family == "gymnasium" and name in known.NEEDS:
        _check_installed(*known.NEEDS[name], env)


def _family_names(family: str) -> dict[str, str | None]:
    """Returns the family's names, each with the reason why it is refused or None."""
    if family == "jumanji":
        return known.JUMANJI
    if family == "gymnasium":
        return known.GYMNASIUM
    return {
        name: known.ATARI_REFUSED.get(path.stem) for name, path in _atari_roms().items()
    }


def _atari_roms() -> dict[str, pathlib.Path]:
    """Returns name -> ROM file of every ROM in ale-py: `MsPacman` is ms_pacman.bin."""
    spec = importlib.util.find_spec("ale_py")  # a top-level package is not imported
    if spec is None or not spec.submodule_search_locations:
        return {}
    folder = pathlib.Path(spec.submodule_search_locations[0], "roms")
    return {
        path.stem.title().replace("_", ""): path
        for path in sorted(folder.glob("*.bin"))
    }


def _check_protocol(
    env: str, family: str, name: str, protocol: config.Protocol
) -> None:
    """Refuses a protocol out of its range or one that this environment lacks."""
    if protocol.sticky is not None and not 0 <= protocol.sticky < 1:
        raise ValueError(
            f"protocol.sticky must lie in [0, 1); got {protocol.sticky}. Use 0.25 for "
            "the standard of Atari."
        )
    for field, least in (("frame_skip", 1), ("max_frames", 1), ("image_size", 1)):
        if getattr(protocol, field) < least:
            raise ValueError(
                f"protocol.{field} must be at least {least}; got "
                f"{getattr(protocol, field)}."
            )
    if protocol.view_size < 1 or protocol.view_size % 2 == 0:
        raise ValueError(
            f"protocol.view_size must be odd and positive, so that the player is in "
            f"the middle; got {protocol.view_size}."
        )
    _check_start_and_view(env, family, name, protocol)


def _check_start_and_view(
    env: str, family: str, name: str, protocol: config.Protocol
) -> None:
    if protocol.random_start < 0:
        raise ValueError(
            f"protocol.random_start must not be negative; got {protocol.random_start}."
        )
    if protocol.random_start and family in ("atari", "gymnasium"):
        raise ValueError(
            f"protocol.random_start is {protocol.random_start}, but {env!r} has no "
            "random starts; only jumanji's games have. Set it to 0."
        )
    centred = family == "jumanji" and name in known.PLAYERS
    if protocol.view != "board" and not centred and family in FAMILIES:
        raise ValueError(
            f"protocol.view is {protocol.view!r}, but {env!r} shows no player to "
            f"centre a view on ({', '.join(known.PLAYERS)} do). Set it to 'board'."
        )


def _some(supported: Sequence[str], family: str) -> str:
    return ", ".join(f"{family}:{n}" for n in supported[:5])
