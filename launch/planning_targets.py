"""Chip-hours on hardware that is not here, modelled, and what they would cost."""

import csv
import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from launch import planning_evaluation, planning_networks, roofline
from scaling import accounting, config, hardware, targets
from scaling.envs import registry

# Ours: fewer rows of a search batch leave a chip's matrix units (128 rows and more)
# mostly empty, so a small cell gets few chips and several run side by side.
FEWEST_LANES = 64


class Modelled(NamedTuple):
    """A run on a target: a lower bound from peak rates, no measurement."""

    devices: int  # chips of its mesh
    seconds: float

    @property
    def chip_hours(self) -> float:
        """Hours of all its chips."""
        return self.devices * self.seconds / 3600


def parse(text: str) -> list[targets.Target]:
    """Returns the targets of a list such as `tpu:v5e-16,gpu:h100:8`.

    Raises:
      ValueError: if one is unknown.
    """
    return [targets.parse(name.strip()) for name in text.split(",")]


def modelled(
    networks: roofline.Networks,
    settings: config.Settings,
    account: accounting.Account,
    target: targets.Target,
) -> Modelled:
    """Returns the run on as many of a target's chips as suit it.

    Its evaluations are played on one of them while the others wait.

    Raises:
      ValueError: if no chip has the precision.
    """
    if settings.precision == "f64":
        raise ValueError(
            f"--precision f64 is for tests on the CPU, and {target.name} has no such "
            "unit for matrices; use f32 or bf16, or leave out --target."
        )
    devices = devices_for(account, target.chips)
    looked = planning_networks.as_looked_at(settings, account.environments > 0)
    groups = 1 if registry.is_device(settings.env) else settings.groups
    mesh = hardware.Mesh(data=devices)
    share = roofline.shares(settings, account, mesh, groups)
    times = roofline.times(networks, looked, account, share, target.chip)
    return Modelled(devices, times.run + evaluation(networks, settings, target.chip))


def evaluation(
    networks: roofline.Networks, settings: config.Settings, chip: targets.Chip
) -> float:
    """Returns the seconds of a run's evaluations at the peak rates of one chip.

    Their episodes are as long as a random policy's; where nobody has measured those,
    they count for nothing.
    """
    steps = planning_evaluation.episode_steps(settings) or 0
    rows, seconds = planning_evaluation.lanes(settings), 0.0
    for found in planning_evaluation.played(settings):
        model = planning_evaluation.model_steps(settings, found.action)
        step = roofline.seconds_of_look(networks, rows, model, settings.precision, chip)
        seconds += planning_evaluation.rounds(settings, found) * steps * step
    return seconds


def devices_for(account: accounting.Account, chips: int) -> int:
    """Returns the most chips that each have `FEWEST_LANES` lanes, at least one.

    They divide the logical shards, of which there are no more than a power of two.
    """
    devices = 1
    while (
        2 * devices <= chips
        and account.shards % (2 * devices) == 0
        and account.lanes >= 2 * devices * FEWEST_LANES
    ):
        devices *= 2
    return devices


def read_prices(path: pathlib.Path) -> dict[str, float]:
    """Returns the prices of a chip-hour by target or chip.

    Args:
      path: JSON `{"tpu:v5e": 1.2}`, or CSV with the columns target and price.

    Raises:
      ValueError: if the file cannot be read, or a name or price cannot be.
    """
    try:
        text = path.read_text()
        values = json.loads(text) if path.suffix == ".json" else _of_csv(text)
        pairs = dict(values).items()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"--prices {path} cannot be read ({error!r}); give JSON as "
            '{"tpu:v5e": 1.2}, or CSV with the columns target and price.'
        ) from error
    return {_known(name): _price(name, price) for name, price in pairs}


def price_of(prices: Mapping[str, float], target: targets.Target) -> float | None:
    """Returns the price of a target's chip-hour, or of its chip's; None: not given."""
    chip = f"{target.chip.family}:{target.chip.name}"
    return prices.get(target.name, prices.get(chip))


def _of_csv(text: str) -> dict[str, str]:
    return {row["target"]: row["price"] for row in csv.DictReader(text.splitlines())}


def _known(name: str) -> str:
    """Returns the name of a target as it is spelled, or that of a chip."""
    if any(known.startswith(f"{name}:") for known in targets.names()):
        return name
    return targets.parse(name).name


def _price(name: str, price: Any) -> float:
    try:
        value = float(price)
    except (TypeError, ValueError):
        value = math.nan
    if not 0 <= value < math.inf:
        raise ValueError(
            f"--prices has {price!r} for {name}; give the price of a chip for an hour, "
            "a number of 0 or more."
        )
    return value
