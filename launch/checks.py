"""What is refused before anything is written: settings, names, missing packages."""

import dataclasses
import importlib.util
import math
from collections.abc import Iterator
from typing import Any

from scaling import accounting, config, hardware
from scaling.envs import registry

# Everything else is at least 1 (whole numbers) or above 0.
MAY_BE_ZERO = {
    "blocks",
    "curve_points",
    "dirichlet_fraction",
    "downsampling_blocks",
    "epsilon",
    "importance_exponent",
    "past_actions",
    "policy_weight",
    "prediction_blocks",
    "priority_epsilon",
    "priority_exponent",
    "random_start",
    "reward_weight",
    "sticky",
    "temperatures",
    "unroll_steps",
    "value_weight",
    "warm_up",
    "weight_decay",
}
AT_MOST_ONE = {"dirichlet_fraction", "discount", "epsilon", "sticky", "window_share"}
ODD = {"bins", "view_size"}
POWERS_OF_TWO = {"shards"}

NEEDED = ("jax", "flax", "optax", "mctx")  # the environment's own: registry


def check_settings(settings: config.Settings) -> None:
    """Refuses settings that no run can have.

    Raises:
      ValueError: naming the flag, its value and its range; or the environment.
    """
    for path, value in _leaves(settings, ""):
        reason = _why_wrong(path.rpartition(".")[2], value)
        if reason:
            raise ValueError(f"--{path.replace('_', '-')} is {value!r}; {reason}.")
    _check_temperatures(settings.search.temperatures)
    registry.check_name(settings.env, settings.protocol)


def check_mesh(settings: config.Settings, mesh: hardware.Mesh) -> None:
    """Refuses a mesh that does not divide what is spread over it.

    Raises:
      ValueError: naming the flag and what would do.
    """
    shards, network = accounting.shards_for(settings), settings.network
    if mesh.data is not None and shards % mesh.data:
        raise ValueError(
            f"--mesh.data {mesh.data} does not divide the {shards} logical shards of "
            f"{settings.environments} environments; choose a divisor of {shards}, or "
            f"set --shards to a multiple of {mesh.data} that divides --environments "
            "and --learner.batch-size."
        )
    widths = {"planes": network.planes, "units": network.units}
    if not any(width % mesh.model == 0 for width in widths.values()):
        raise ValueError(
            f"--mesh.model {mesh.model} divides neither --network.planes "
            f"{network.planes} nor --network.units {network.units}; choose a divisor."
        )


def _check_temperatures(temperatures: tuple[tuple[float, float], ...]) -> None:
    starts = [start for start, _ in temperatures]
    if not starts or starts[0] != 0 or starts != sorted(set(starts)):
        raise ValueError(
            f"--search.temperatures begin at {starts}; give pairs (share of the "
            "updates, temperature) that begin at 0 and rise."
        )


def check_installed() -> None:
    """Refuses to go on without the packages that every run imports; imports none.

    Raises:
      ValueError: naming what is not installed.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"A run needs {', '.join(missing)}, not installed in this Python; install "
            "this project with pip install -e . in its directory."
        )


def _leaves(values: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yields (path, value) of every number in the settings."""
    for field in dataclasses.fields(values):
        value = getattr(values, field.name)
        if dataclasses.is_dataclass(value):
            yield from _leaves(value, f"{prefix}{field.name}.")
        else:
            for number in _numbers(value):
                yield prefix + field.name, number


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, tuple):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def _why_wrong(name: str, value: float) -> str | None:
    """Returns what is expected of the setting, or None if the value is right."""
    smallest = 0 if name in MAY_BE_ZERO or isinstance(value, float) else 1
    if not math.isfinite(value) or value < smallest:
        kind = "whole" if isinstance(value, int) else "finite"
        return f"it must be a {kind} number, {smallest} or more"
    if value == 0 and name not in MAY_BE_ZERO:
        return "it must be above 0"
    if name in AT_MOST_ONE and value > 1:
        return "it must lie in [0, 1]"
    if name in ODD and value % 2 == 0:
        return "it must be odd"
    if name in POWERS_OF_TWO and int(value) & (int(value) - 1):
        return "it must be a power of two"
    return None
