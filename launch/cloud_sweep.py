"""The flags of a sweep that will run elsewhere: checked, and completed for a target."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from launch import checks, command, grid, sizing, sweep
from scaling import config, presets, targets
from scaling.buckets import addresses
from scaling.envs import registry

_FIND = "the processes of a slice find each other"
# What the cloud's files decide.
_THEIRS = {
    "out": "the results are where --bucket, --share or the volume says",
    "dry-run": "nothing is run here, and the plan is shown all the same",
    "coordinator": _FIND,
    "process-id": _FIND,
    "num-processes": _FIND,
}
_MESH = ("--mesh.data", "--mesh.model")


def completed(
    argv: Sequence[str], target: targets.Target, nowhere: pathlib.Path
) -> tuple[str, ...]:
    """Returns the flags, with sizes raised to what all chips of the target need.

    Shows the sweep's plan, and writes nothing.

    Args:
      argv: flags for `sweep.py`.
      target: that will run them.
      nowhere: a directory that does not exist.

    Raises:
      ValueError: if `sweep.py` would refuse them, or they cannot run on the target.
      SystemExit: after a flag that `sweep.py` does not have (2), or `--help` (0).
    """
    given = sizing.given(argv)
    _refuse(argv, given)
    flags = command.parse(sweep.Sweep, argv, sweep.DESCRIPTION)
    _refuse_files(flags)
    checks.check_settings(flags.settings)
    if flags.settings.precision == "f64":
        raise ValueError(
            f"--precision f64 is for tests on the CPU, and {target.name} has no such "
            "unit for matrices; use f32 or bf16."
        )
    mesh = sizing.mesh_for(target, flags.how.mesh)
    settings = sizing.settings_for(
        flags.settings, mesh.data or 1, _largest_fraction(flags), given
    )
    checks.check_mesh(settings, mesh)
    whole = (*argv, *_raised(flags.settings, settings))
    # The mesh has been checked; this machine need not have as many devices.
    sweep.sweep([*_without_mesh(whole), "--out", str(nowhere), "--dry-run"])
    return whole


def _refuse(argv: Sequence[str], given: set[str]) -> None:
    for name, reason in _THEIRS.items():
        if name in given:
            raise ValueError(f"Leave --{name} out of the sweep's flags: {reason}.")
    if any("\n" in word for word in argv):
        raise ValueError(
            "The sweep's flags contain a line break, which scripts cannot carry; take "
            "it out."
        )


def _refuse_files(flags: sweep.Sweep) -> None:
    """Refuses flags that name files of this machine, which the cloud's have not."""
    for name, path in _paths(flags):
        if name != "out" and addresses.address(path) is None:
            raise ValueError(
                f"--{name.replace('_', '-')} {path} is on this machine, and the files "
                "for the cloud take no data there; give gs://… or s3://…, which the "
                "sweep copies from."
            )


def _paths(flags: Any) -> Iterator[tuple[str, pathlib.Path]]:
    for field in dataclasses.fields(flags):
        value = getattr(flags, field.name)
        if isinstance(value, pathlib.Path):
            yield field.name, value
        elif dataclasses.is_dataclass(value):
            yield from _paths(value)


def _largest_fraction(flags: sweep.Sweep) -> float:
    """Returns the largest fraction below 1, which decides how many lanes there are."""
    preset = presets.preset(flags.preset)
    if flags.design == "path" and flags.searches is not None:
        per_step = registry.frames_per_step(flags.settings.env, flags.settings.protocol)
        budgets = grid.budgets(flags.budgets or preset.budgets)
        searches = grid.count(flags.searches, "--searches")
        fractions = [c.fraction for c in grid.path(budgets, searches, [0], per_step)]
    else:
        fractions = list(grid.fractions(flags.fractions or preset.fractions))
    return max((fraction for fraction in fractions if fraction < 1), default=0.0)


def _raised(before: config.Settings, after: config.Settings) -> list[str]:
    """Returns flags for the sizes that differ."""
    raised = []
    for name in ("shards", "environments", "max_lanes"):
        if getattr(before, name) != getattr(after, name):
            raised += [f"--{name.replace('_', '-')}", str(getattr(after, name))]
    return raised


def _without_mesh(argv: Sequence[str]) -> list[str]:
    words, kept = list(argv), []
    while words:
        word = words.pop(0)
        if word in _MESH:
            words = words[1:]
        elif word.partition("=")[0] not in _MESH:
            kept.append(word)
    return kept
