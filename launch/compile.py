"""Compiles the iteration of a run for hardware that is not here."""

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import rich.box
import rich.console
import rich.table

from launch import (
    checks,
    collectives,
    command,
    compile_display,
    compile_report,
    display,
    grid,
    hlo,
    roofline,
    sizing,
)
from scaling import accounting, config, hardware, presets, results, selection, targets
from scaling import layout as layouts
from scaling.envs import registry

DESCRIPTION = """Compiles the iteration of a run for a TPU or GPU that is not here, and
prints whether it fits, where the chips meet, and a lower bound of its time.

Sizes that were not given (--shards, --environments, --max-lanes) are raised to what
the target needs, and printed as flags for sweep.py. Exit status 1: it does not fit."""
GO_ON = "Nothing is kept of it."
DOES_NOT_FIT = 1

# Of each family: package to import, name to install, extra that has it.
COMPILERS = {
    "tpu": ("libtpu", "libtpu", "tpu-compile"),
    "gpu": ("jax_cuda12_plugin", "jax-cuda12-plugin", "gpu-compile"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compile:
    """The flags of `compile.py`."""

    target: str
    """Hardware to compile for, as tpu:v5e:4x4, tpu:v5e-16 or gpu:h100:8."""
    preset: command.PresetName
    """Settings to start from; the other flags override them."""
    frames: str | None = None
    """Environment frames of the run, which size its stores (default: the largest
    budget of the preset)."""
    fraction: float = 0.95
    """Share of searched states that are stored ones, in [0, 1)."""
    mesh: hardware.Mesh = hardware.ALL_DEVICES
    json: pathlib.Path | None = None
    """File for everything found, as JSON."""
    settings: command.FlatSettings


def plan_of(flags: Compile, kept: set[str]) -> compile_report.Plan:
    """Returns what the flags ask for, with sizes that the target's chips divide.

    Args:
      flags: of the command.
      kept: names of the flags that were given, which are not changed.

    Raises:
      ValueError: if target, mesh, settings or cell cannot be.
    """
    target = targets.parse(flags.target)
    mesh = sizing.mesh_for(target, flags.mesh)
    checks.check_settings(flags.settings)
    grid.check_fraction(flags.fraction, "--fraction")
    selection.check(flags.settings, [flags.fraction])
    if flags.settings.precision == "f64":
        raise ValueError(
            f"--precision f64 is for tests on the CPU, and {target.name} has no such "
            "unit for matrices; use f32 or bf16."
        )
    settings = sizing.settings_for(flags.settings, mesh.data or 1, flags.fraction, kept)
    cell = config.Cell(frames=_frames(flags), fraction=flags.fraction, seed=0)
    per_step = registry.frames_per_step(settings.env, settings.protocol)
    return compile_report.Plan(
        target=target,
        mesh=mesh,
        settings=settings,
        cell=cell,
        account=accounting.account_for(settings, cell, per_step),
    )


def compile_(argv: Sequence[str]) -> int:
    """Compiles what the flags describe; returns the exit status.

    Raises:
      ValueError: if something asked for is impossible or not installed.
    """
    flags = command.parse(Compile, argv, DESCRIPTION)
    plan = plan_of(flags, sizing.given(argv))
    if flags.json is not None and not flags.json.parent.is_dir():
        raise ValueError(
            f"--json {flags.json} is in a directory that does not exist; make it, or "
            "choose another."
        )
    checks.check_installed()
    versions = check_compiler(plan.target)
    console = display.console()
    compile_display.print_plan(console, plan, versions)
    report = make_report(plan, versions, console)
    compile_display.print_report(console, report)
    if flags.json is not None:
        values = json.dumps(compile_report.as_values(report), indent=1)
        results.write_atomically(flags.json, values + "\n")
    return 0 if report.fits else DOES_NOT_FIT


def check_compiler(target: targets.Target) -> dict[str, str]:
    """Returns the versions of what compiles for a target.

    Raises:
      ValueError: if it is not installed, saying how to install it.
    """
    module, package, extra = COMPILERS[target.chip.family]
    if importlib.util.find_spec(module) is None:
        raise ValueError(
            f"Compiling for {target.name} needs {package}, which is not installed; "
            f"run: pip install -e '.[{extra}]'."
        )
    return {name: importlib.metadata.version(name) for name in ("jax", package)}


def make_report(
    plan: compile_report.Plan, versions: dict[str, str], console: rich.console.Console
) -> compile_report.Report:
    """Returns what the compiler says of the plan's programs, one after another."""
    settings, account = plan.settings, plan.account
    with _quiet():  # late, since `--help` must not load JAX
        from scaling import compiling, lowering, sharding

        devices = compiling.devices(plan.target)
    mesh = sharding.make_mesh(plan.mesh, account.shards, devices)
    layout = layouts.layout_for(settings, account)
    prepared = lowering.programs(settings, layout, mesh)
    found = []
    for program in prepared.programs:
        console.print(f"Compiling {program.name} …")
        found.append(_compile(program, plan.target))
    share = roofline.shares(settings, account, plan.mesh, prepared.groups)
    costs = lowering.costs(settings)
    networks = roofline.Networks(
        represent=roofline.Network(*costs.represent),
        dynamics=roofline.Network(*costs.dynamics),
        predict=roofline.Network(*costs.predict),
        parameters=costs.parameters,
    )
    return compile_report.Report(
        plan=plan,
        compilers=versions,
        programs=tuple(found),
        state=prepared.state,
        networks=networks,
        share=share,
        times=roofline.times(networks, settings, account, share, plan.target.chip),
    )


def _frames(flags: Compile) -> int:
    if flags.frames is not None:
        return grid.count(flags.frames, "--frames")
    return max(grid.budgets(presets.preset(flags.preset).budgets))


def _compile(program: Any, target: targets.Target) -> compile_report.Found:
    from scaling import compiling

    started = time.monotonic()
    try:
        compiled = compiling.compile_program(program, target.chip.family)
    except compiling.DoesNotFitError as error:
        return compile_report.Found(
            name=program.name,
            seconds=time.monotonic() - started,
            memory={},
            refusal=str(error),
            meetings=(),
            searches=False,
        )
    read = hlo.Program(compiled.text)
    return compile_report.Found(
        name=program.name,
        seconds=time.monotonic() - started,
        memory=compiled.memory._asdict() | {"total": compiled.memory.total},
        refusal="",
        meetings=tuple(collectives.find(read)),
        searches=any(map(compile_report.is_search, read.loops)),
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences what compilers without their hardware write beside Python."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


if __name__ == "__main__":
    command.run(compile_, GO_ON)
