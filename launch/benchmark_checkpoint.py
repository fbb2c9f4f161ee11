"""What a checkpoint costs: the first one, which writes all, and the later ones."""

import contextlib
import statistics
from typing import Any

from launch import benchmark_iteration, benchmark_workloads, measure
from scaling import saving, sharding, snapshots

_CALLS = 20  # between two checkpoints
_SLOW_CALLS = 2  # where a call takes seconds


def measure_checkpoint(
    workload: benchmark_workloads.Workload, fraction: float, effort: measure.Effort
) -> dict[str, Any]:
    """Returns seconds and bytes of checkpoints of a run under way.

    The run waits for what is held; the rest is written beside it.

    Raises:
      ValueError: if the workload's budget is too small for such a run.
    """
    settings = workload.settings
    account = benchmark_iteration.account_of(workload, fraction)
    with benchmark_iteration.begun(settings, account) as (going, directory):
        store = snapshots.Store(directory / "checkpoints", keep=2)
        own = sharding.local_shards(going.mesh, account.shards)
        saver = saving.Saver(store, own, settings.learner.td_steps + 1, going.loop.host)
        with contextlib.closing(saver):
            saved = []
            for _ in range(effort.repeats + 1):
                going = _later(going)
                saver.save(going.state, going.call, {})
                saver.wait()
                assert saver.saved is not None
                saved.append(saver.saved)
    first, *later = saved
    middle = saving.Saved(*(statistics.median(c) for c in zip(*later, strict=True)))
    return {
        "fraction": fraction,
        "frames": account.frames,
        "held_s": middle.held_s,
        "wrote_s": middle.wrote_s,
        "bytes": middle.size,
        "of_all": {
            "held_s": first.held_s,
            "wrote_s": first.wrote_s,
            "bytes": first.size,
        },
        "repeats": len(later),
    }


def _later(going: benchmark_iteration.Going) -> benchmark_iteration.Going:
    """Returns the run some calls later; a few where a call takes seconds."""
    going, seconds = benchmark_iteration.advance(going, _SLOW_CALLS)
    if seconds > 1:
        return going
    return benchmark_iteration.advance(going, _CALLS - _SLOW_CALLS)[0]
