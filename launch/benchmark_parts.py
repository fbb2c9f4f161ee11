"""The parts of a benchmark: which function measures what, in which sizes."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from launch import (
    benchmark_checkpoint,
    benchmark_iteration,
    benchmark_networks,
    benchmark_playing,
    benchmark_precision,
    benchmark_report,
    benchmark_run,
    benchmark_workloads,
    measure,
)
from scaling import sharding

_STORED = 0.5  # fraction of the run whose checkpoints are measured


class Asked(NamedTuple):
    """What is measured of every workload."""

    parts: Sequence[str]
    fractions: Sequence[float]
    effort: measure.Effort
    calls: int | None  # of a repeat of the iteration
    first_call: int | None  # of the iteration
    profile: pathlib.Path | None


Tell = Callable[[str], None]


def measure_workload(
    workload: benchmark_workloads.Workload, asked: Asked, peak: float, tell: Tell
) -> dict[str, Any]:
    """Returns the figures of a workload's parts.

    Args:
      workload: settings and sizes.
      asked: parts, and how they are measured.
      peak: FLOP/s of matrix products.
      tell: is told what is about to be measured.

    Raises:
      ValueError: if a part cannot be measured as asked.
    """
    with sharding.precision(workload.settings.precision):
        agent = benchmark_networks.make_agent(workload.settings)
        found = benchmark_report.of_workload(workload, agent.costs)
        operations = found["operations"]
        for part in asked.parts:
            tell(f"{workload.name}: {part}")
            rows = _MEASURES[part](workload, agent, asked)
            found[part] = [
                benchmark_report.with_rates(row, operations, peak) for row in rows
            ]
    return found


def _search(workload, agent, asked):
    rows = workload.lanes
    return [benchmark_networks.measure_search(agent, rows, asked.effort)]


def _learner(workload, agent, asked):
    return [
        benchmark_networks.measure_learner(agent, rows, asked.effort)
        for rows in workload.batches
    ]


def _environment(workload, agent, asked):
    del agent
    return [benchmark_playing.measure_environment(workload.settings, asked.effort)]


def _iteration(workload, agent, asked):
    del agent
    first = workload.first_call if asked.first_call is None else asked.first_call
    calls = benchmark_iteration.Calls(first, asked.calls)
    folder = asked.profile and asked.profile / workload.name
    return [
        benchmark_iteration.measure_iteration(
            workload, fraction, asked.effort, calls, folder and folder / f"{fraction:g}"
        )
        for fraction in asked.fractions
    ]


def _evaluation(workload, agent, asked):
    return [
        benchmark_playing.measure_evaluation(
            workload.settings, agent.params, asked.effort
        )
    ]


def _checkpoint(workload, agent, asked):
    del agent
    return [benchmark_checkpoint.measure_checkpoint(workload, _STORED, asked.effort)]


def _run(workload, agent, asked):
    del agent
    return benchmark_run.measure_run(workload, asked.effort)


def _precision(workload, agent, asked):
    del agent, asked
    return benchmark_precision.measure_precision(workload)


Measure = Callable[
    [benchmark_workloads.Workload, benchmark_networks.Agent, Asked],
    list[dict[str, Any]],
]
_MEASURES: dict[str, Measure] = {
    "search": _search,
    "learner": _learner,
    "environment": _environment,
    "iteration": _iteration,
    "evaluation": _evaluation,
    "checkpoint": _checkpoint,
    "run": _run,
    "precision": _precision,
}
