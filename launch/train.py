"""Makes one run: trains, evaluates, and writes its row beside those of its study."""

import dataclasses
import pathlib
from collections.abc import Sequence

from launch import (
    checks,
    command,
    display,
    grid,
    interruption,
    keeper,
    progress,
    study,
)
from launch.executors import together
from scaling import config, execution, hardware, presets
from scaling.envs import registry

DESCRIPTION = """Makes one run: trains, evaluates, writes DIR/runs/RUN_ID/result.json
and DIR/results.csv. A run that was interrupted goes on from its last checkpoint. The
exit status is 75 after SIGTERM: start it again."""
GO_ON = """The run is saved as far as it came; the same command goes on from
there.""".replace("\n", " ")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train:
    """The flags of `train.py`."""

    preset: command.PresetName
    """Settings to start from; the other flags override them."""
    frames: str
    """Environment frames, the budget, as 100000 or 1e5."""
    fraction: float
    """Share of searched states that are stored ones, in [0, 1)."""
    seed: int = 0
    """Seed of everything random in the run."""
    out: pathlib.Path = pathlib.Path("results")
    """Directory of the study that the run belongs to."""
    mesh: hardware.Mesh = hardware.ALL_DEVICES
    processes: command.FlatProcesses = hardware.ONE_PROCESS
    attempts: command.FlatAttempts = command.EVERY_ATTEMPT
    checkpoints: command.FlatCheckpoints = execution.BY_TIME
    settings: command.FlatSettings


def cell_of(flags: Train) -> config.Cell:
    """Returns the run that the flags ask for.

    Raises:
      ValueError: if budget, fraction or seed is out of range.
    """
    grid.check_fraction(flags.fraction, "--fraction")
    return config.Cell(
        frames=grid.count(flags.frames, "--frames"),
        fraction=flags.fraction + 0.0,  # -0 becomes 0, which names a run
        seed=grid.seeds(1, flags.seed)[0],
    )


def train(argv: Sequence[str]) -> int:
    """Makes the run that the flags describe; returns the exit status.

    Raises:
      ValueError: if something asked for is impossible; nothing is written then.
    """
    flags = command.parse(Train, argv, DESCRIPTION)
    settings, out, rules = flags.settings, flags.out, command.rules_of(flags.attempts)
    checks.check_settings(settings)
    hardware.check(flags.mesh, flags.processes)
    checks.check_mesh(settings, flags.mesh)
    study.check(out, settings)
    planned = study.plan(settings, [cell_of(flags)], out)
    how = execution.execution(
        "factorial",
        flags.mesh,
        flags.checkpoints,
        presets.preset(flags.preset).checkpoint_seconds,
    )
    every = study.tasks(settings, planned, out, how)
    group = together.join(flags.processes, every)
    console = display.console(group)
    typical = registry.typical_episode_steps(settings.env)
    display.print_plan(console, planned, typical, rules)
    checks.check_installed()
    if group.first:
        study.claim(out, settings)
    tasks = study.left(every, planned, rules)
    with keeper.disk(out), progress.display_for(console, every, parallel=1) as show:
        keep = keeper.Keeper(out, show, study.left_failed(every, planned, rules))
        with interruption.deferred(flags.attempts.grace) as stop:
            together.execute(tasks, every, keep, group, rules=rules, stop=stop)
    group.leave()
    return keeper.close(console, out, keep.failed, []) if group.first else 0


if __name__ == "__main__":
    command.run(train, GO_ON)
