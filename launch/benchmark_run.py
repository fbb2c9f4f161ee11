"""A whole short run, for what a run takes beside its calls and its episodes.

That is to begin, some hundred lines of the log, checkpoints, the network and the row:
much the same for every run of some hundred calls or more.
"""

import functools
import pathlib
import tempfile
from typing import Any

from launch import (
    benchmark_iteration,
    benchmark_workloads,
    measure,
    planning_evaluation,
)
from scaling import accounting, config, execution
from scaling.envs import registry

_CALLS = 100  # as many as a run has lines of the log, at least


def measure_run(
    workload: benchmark_workloads.Workload, effort: measure.Effort
) -> list[dict[str, Any]]:
    """Returns the figures of a short run without stored steps, from begin to row.

    There are none of a host environment, whose episodes may take hours on a CPU.
    """
    settings = workload.settings
    if not registry.is_device(settings.env):
        return []
    per_step = registry.frames_per_step(settings.env, settings.protocol)
    frames = per_step * settings.environments * _CALLS
    cell = config.Cell(frames=frames, fraction=0.0, seed=benchmark_iteration.SEED)
    account = accounting.account_for(settings, cell, per_step)
    # In the stores of the iteration that was measured, whose programs are there.
    how = execution.Execution(allocate_frames=max(frames, workload.frames))
    timing = measure.time_one(functools.partial(_once, settings, cell, how), effort)
    played = planning_evaluation.played(settings)
    counts = {
        "frames": frames,
        "calls": account.calls,
        "lanes": account.lanes,
        "updates": account.updates,
        "rounds": sum(planning_evaluation.rounds(settings, one) for one in played),
    }
    return [{**counts, **timing.as_values()}]


def _once(
    settings: config.Settings, cell: config.Cell, how: execution.Execution
) -> None:
    from scaling import run  # late, as all commands do

    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        run.run(settings, cell, pathlib.Path(directory), how=how)
