"""Sizes that a target asks for: shards, environments and lanes for all its chips.

The presets are for few devices. A mesh needs shards that its `data` axis divides and
environments that the shards divide, and a pod needs more of both. What was given by
flag is kept or refused, never changed.
"""

import dataclasses
import math
from collections.abc import Collection, Sequence

from scaling import accounting, config, hardware, targets

# Ours: with 4 environments a chip, fraction 0.95 gives 80 lanes a chip.
ENVIRONMENTS_A_CHIP = 4
# As the paper's preset has on 8 devices: 1024 lanes for 8 shards.
MOST_LANES_A_CHIP = 128


def given(argv: Sequence[str]) -> set[str]:
    """Returns the names of the flags in `argv`, written with dashes."""
    flags = (word.partition("=")[0] for word in argv if word.startswith("--"))
    return {flag[2:].replace("_", "-") for flag in flags}


def mesh_for(target: targets.Target, mesh: hardware.Mesh) -> hardware.Mesh:
    """Returns the mesh with both axes, over all chips of the target.

    Raises:
      ValueError: if the ways asked for are not as many as there are chips.
    """
    if mesh.model < 1:
        raise ValueError(
            f"--mesh.model is the number of devices on that axis; got {mesh.model}, "
            "use at least 1."
        )
    data = target.chips // mesh.model if mesh.data is None else mesh.data
    if data * mesh.model != target.chips:
        raise ValueError(
            f"--mesh.data {data} times --mesh.model {mesh.model} is "
            f"{data * mesh.model} devices and {target.name} has {target.chips} chips; "
            f"choose a --mesh.model that divides {target.chips} and leave out "
            "--mesh.data."
        )
    return hardware.Mesh(data=data, model=mesh.model)


def settings_for(
    settings: config.Settings, ways: int, fraction: float, kept: Collection[str]
) -> config.Settings:
    """Returns the settings with sizes raised to what `ways` devices need.

    Args:
      settings: as asked for.
      ways: of the mesh's `data` axis.
      fraction: of the cell, which decides how many lanes its environments need.
      kept: names of flags that were given, as `shards`.

    Raises:
      ValueError: if a size that was given cannot be spread over the devices.
    """
    for name in ("shards", "environments"):
        size = getattr(settings, name)
        if name in kept and size % ways:
            raise ValueError(
                f"--{name} {size} is not a multiple of the {ways} devices that it is "
                f"spread over; give a multiple of {ways}, or leave it out."
            )
    if "shards" not in kept:
        raised = max(settings.shards, ways)
        settings = dataclasses.replace(settings, shards=raised)
    if "environments" not in kept:
        wanted = max(settings.environments, ENVIRONMENTS_A_CHIP * ways)
        whole = math.ceil(wanted / settings.shards) * settings.shards
        settings = dataclasses.replace(settings, environments=whole)
    shards = accounting.shards_for(settings)
    if shards % ways:
        raise ValueError(
            f"--environments {settings.environments} and --shards {settings.shards} "
            f"give {shards} logical shards, which {ways} devices do not divide; give "
            f"multiples of {ways}, --shards a power of two."
        )
    settings = dataclasses.replace(settings, shards=shards)
    if "max-lanes" in kept:
        return settings
    asked = math.ceil(settings.environments / (1 - config.exact(fraction)))
    lanes = max(settings.max_lanes, min(asked, MOST_LANES_A_CHIP * ways))
    return dataclasses.replace(settings, max_lanes=lanes)


def flags(settings: config.Settings) -> str:
    """Returns the sizes as flags, for the other commands."""
    return (
        f"--shards {settings.shards} --environments {settings.environments} "
        f"--max-lanes {settings.max_lanes}"
    )
