"""How the time of a searched state grows with lanes, simulations and stored steps.

Each of the three is varied alone. Lanes and simulations are those of the search by
itself; stored steps are those of whole iterations, whose stores are full of noise, so
that what reads or copies a store shows.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from launch import (
    benchmark_iteration,
    benchmark_networks,
    benchmark_workloads,
    measure,
)
from scaling import config, sharding
from scaling.envs import registry

LANES = (16, 32, 64, 128, 256, 512, 1024, 2048)
SIMULATIONS = (4, 8, 16, 32, 64, 128, 200)
STORED_STEPS = (10_000, 30_000, 100_000, 300_000, 1_000_000)
_FRACTION = 0.95


class Point(NamedTuple):
    """Time of one searched state where one size was varied."""

    varied: str  # lanes, simulations or stored steps
    size: int
    seconds: float  # median of the repeats, for each searched state
    fastest: float
    slowest: float


class Sizes(NamedTuple):
    """The sizes that are tried."""

    lanes: Sequence[int] = LANES
    simulations: Sequence[int] = SIMULATIONS
    stored_steps: Sequence[int] = STORED_STEPS


def measure_growth(
    workload: benchmark_workloads.Workload,
    effort: measure.Effort,
    tell: Callable[[str], None],
    sizes: Sizes = Sizes(),  # noqa: B008, a tuple
) -> list[Point]:
    """Returns the time of a searched state at each size.

    Args:
      workload: of which all other sizes are.
      effort: of each size.
      tell: is told what is about to be measured.
      sizes: that are tried.
    """
    settings, points = workload.settings, []
    with sharding.precision(settings.precision):
        for lanes in sizes.lanes:
            tell(f"{workload.name}: {lanes} lanes")
            timing = _search(settings, lanes, effort)
            points.append(_point("lanes", lanes, timing, lanes))
        for number in sizes.simulations:
            tell(f"{workload.name}: {number} simulations")
            search = dataclasses.replace(settings.search, simulations=number)
            changed = dataclasses.replace(settings, search=search)
            timing = _search(changed, workload.lanes, effort)
            points.append(_point("simulations", number, timing, workload.lanes))
        for steps in sizes.stored_steps:
            tell(f"{workload.name}: {steps:,} stored steps")
            points.append(_stored(workload, steps, effort))
    return points


def _search(
    settings: config.Settings, lanes: int, effort: measure.Effort
) -> measure.Timing:
    ours, _ = benchmark_networks.searches(
        benchmark_networks.make_agent(settings), lanes
    )
    return measure.time_one(ours, effort)


def _point(varied: str, size: int, timing: measure.Timing, states: float) -> Point:
    seconds = (timing.median, min(timing.seconds), max(timing.seconds))
    return Point(varied, size, *(each / states for each in seconds))


def _stored(
    workload: benchmark_workloads.Workload, steps: int, effort: measure.Effort
) -> Point:
    """Returns the time where so many steps are stored and drawn from."""
    replay = dataclasses.replace(workload.settings.replay, stored_steps=steps)
    settings = dataclasses.replace(workload.settings, replay=replay)
    per_step = registry.frames_per_step(settings.env, settings.protocol)
    workload = dataclasses.replace(
        workload, settings=settings, frames=2 * steps * per_step
    )
    account = benchmark_iteration.account_of(workload, _FRACTION)
    with benchmark_iteration.begun(workload.settings, account) as (going, _):
        filled = _filled(going.state, steps // account.environments)
        going = going._replace(state=filled)
        going, _ = benchmark_iteration.start(going, workload.first_call)
        going, number = benchmark_iteration.calls_for(going, effort)
        found = []
        for _ in range(effort.repeats):
            going, seconds = benchmark_iteration.advance(going, number)
            found.append(seconds / number)
    timing = measure.Timing(0.0, tuple(found), number)
    return _point("stored steps", steps, timing, account.searched / account.calls)


def _filled(state: Any, complete: int) -> Any:
    """Returns the state with so many steps in each column, noise in their frames.

    Host environments have their frames in files, which are left as they are.
    """
    import jax
    import numpy as np

    steps = state.shard.steps
    steps = steps._replace(complete=steps.complete * 0 + complete)
    state = state._replace(shard=state.shard._replace(steps=steps))
    if isinstance(state.frames, tuple):
        return state
    random, like = np.random.default_rng(0), state.frames
    noise = random.integers(0, 2, like.shape, np.uint8).astype(like.dtype)
    return state._replace(frames=jax.device_put(noise, like.sharding))
