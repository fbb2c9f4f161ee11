"""Makes one run: trains, evaluates, and writes its row beside those of its study."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

from launch import checks, command, display, errors, grid, progress, study, worker
from launch.executors import together
from launch.executors.task import Event, Task
from scaling import config, execution, hardware, results
from scaling.envs import registry

DESCRIPTION = """Makes one run: trains, evaluates, writes DIR/runs/RUN_ID/result.json
and DIR/results.csv."""
GO_ON = "Nothing of this run is kept; the same command runs it again."


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
    settings, out = flags.settings, flags.out
    checks.check_settings(settings)
    hardware.check(flags.mesh, flags.processes)
    checks.check_mesh(settings, flags.mesh)
    planned = study.plan(settings, [cell_of(flags)], out)
    how = execution.Execution(mesh=flags.mesh)
    (task,) = study.tasks(settings, planned, out, how)
    study.check(out, settings)
    group = together.join(flags.processes, [task])
    console = display.console(group)
    display.print_plan(console, planned, registry.typical_episode_steps(settings.env))
    checks.check_installed()
    if group.first:
        study.claim(out, settings)
    if group.share(planned[0].state != "finished"):
        with progress.display_for(console, [task], parallel=1) as show:
            make(task, show)
    group.leave()
    if group.first:
        table = results.write_table(out)
        console.print(f"Table: {table}", soft_wrap=True, markup=False)
    return 0


def make(
    task: Task,
    show: progress.Display,
    start: Callable[[], worker.Runner] | None = None,
) -> None:
    """Makes a run in this process; its failure leaves a row and is raised on.

    Args:
      task: the run to make.
      show: told what happens.
      start: returns what makes a run; None: `scaling.run.run`.
    """
    try:
        show(Event("started", 0, task, {}))
        row = (start or worker.start_real_runs)()(
            task.settings,
            task.cell,
            task.directory,
            how=task.how,
            report=lambda detail: show(Event("progress", 0, task, detail)),
        )
    except Exception as error:
        status, note = errors.row_status(error), errors.one_line(error)
        study.record_failure(task, status, note)
        results.write_table(task.directory.parent.parent)
        raise
    show(Event("finished", 0, task, {"row": row}))


if __name__ == "__main__":
    command.run(train, GO_ON)
