"""Seconds of a run on this machine, from the benchmark's calibration.

A run of C calls with L lanes each and U updates takes

    C · (fixed + L · lane) + U · update + evaluation + beside

with `fixed` and `lane` fitted to the calls of several fractions, made without their
updates, and `update` what those add. Evaluations in ways that were not measured are
scaled by their operations. `beside` is what a short whole run took more than this: to
begin, its log, checkpoints and row. Compilation is apart: runs of one shape share it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from launch import planning_evaluation, planning_networks, roofline
from scaling import accounting, config

# Settings that change no call's cost, or that the account has.
_OF_NO_COST = {
    "": (
        "environments samples_per_search max_lanes shards replay evaluation data "
        "sources"
    ),
    "protocol": "sticky frame_skip max_frames random_start",
    "value": "limit scale",
    "search": "dirichlet_alpha dirichlet_fraction pb_c_init pb_c_base temperatures",
    "learner": (
        "td_steps target_interval discount learning_rate schedule weight_decay "
        "gradient_clip value_weight reward_weight policy_weight crr"
    ),
}


class Costs(NamedTuple):
    """Seconds of what a run is made of, on this machine."""

    fixed: float  # of a call
    lane: float  # of a lane of a call
    update: float
    evaluation: float  # of all evaluations of a run
    beside: float  # of a run, whatever its length
    compiling: float  # of the programs of one shape
    source: str  # where the figures come from


def costs(
    calibration: dict[str, Any] | None,
    settings: config.Settings,
    networks: roofline.Networks | None,
    acts: bool,
) -> Costs | None:
    """Returns the costs of runs of the settings; None: nothing is known.

    Settings that were measured have their own figures; they were measured in a run
    that acts. Those of others are of the workload that is nearest in operations, and
    scaled by them.

    Args:
      calibration: a report of the benchmark, if there is one.
      settings: of the study.
      networks: what their calls cost; None: not known.
      acts: whether environments are stepped.
    """
    workloads = (calibration or {}).get("workloads", {})
    measured = {name: w for name, w in workloads.items() if w.get("iteration")}
    mine = cost_settings(config.as_dict(settings))
    for name, found in measured.items():
        if cost_settings(found["settings"]) == mine:
            counted = _networks_of(found)
            acted, _ = planning_networks.operations(counted, settings, True)
            looked, _ = planning_networks.operations(counted, settings, acts)
            scale = (looked / acted, 1.0)
            return _costs(found, settings, counted, scale, f"measured ({name})")
    if not measured or networks is None:
        return None
    search, update = planning_networks.operations(networks, settings, acts)

    def distance(name: str) -> float:
        return abs(math.log(search / measured[name]["operations"]["searched_state"]))

    nearest = min(measured, key=distance)
    before = measured[nearest]["operations"]
    scale = (search / before["searched_state"], update / before["update"])
    source = f"scaled by operations from {nearest}, which has other settings"
    return _costs(measured[nearest], settings, networks, scale, source)


def cost_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns, of settings as plain values, those that decide what a call costs."""
    flat = {f".{name}": value for name, value in settings.items()}
    for part in _OF_NO_COST.keys() - {""}:
        flat |= {f"{part}.{k}": v for k, v in flat.pop(f".{part}").items()}
    left_out = {
        f"{part}.{name}"
        for part, names in _OF_NO_COST.items()
        for name in names.split()
    }
    return {name: value for name, value in flat.items() if name not in left_out}


def _networks_of(found: dict[str, Any]) -> roofline.Networks:
    """Returns a workload's networks, of which a report has the operations."""
    names = ("represent", "dynamics", "predict")
    operations = (found["operations"][name] for name in names)
    return roofline.Networks(
        *(roofline.Network(flops, 0, 0) for flops in operations),
        parameters=found["parameter_bytes"],
    )


def _costs(
    found: dict[str, Any],
    settings: config.Settings,
    networks: roofline.Networks,
    scale: tuple[float, float],
    source: str,
) -> Costs:
    """Returns a workload's costs, those of searches and of updates scaled."""
    calls = found["iteration"]
    fixed, lane = fit(
        [(call["lanes"], call["call_without_updates_s"]) for call in calls]
    )
    # The more updates a call has, the better is their share of it known.
    most = max(calls, key=lambda call: call["updates_of_a_call"])
    played = found.get("evaluation", [])
    ways = len(planning_evaluation.played(settings))
    before = _measured_step(found)

    def slower(action: config.Action) -> float:
        return planning_evaluation.step_flops(networks, settings, action) / before

    update = max(0.0, most["update_s"] or 0.0)

    def beside(run: dict[str, Any]) -> float:
        calls = run["calls"] * (fixed + lane * run["lanes"]) + run["updates"] * update
        a_round = sum(one["median_s"] / _rounds(one) for one in played)
        return max(0.0, run["median_s"] - calls - run["rounds"] * a_round)

    return Costs(
        fixed=fixed,
        lane=lane * scale[0],
        update=update * scale[1],
        evaluation=sum(_evaluation(one, settings, slower) for one in played),
        beside=max(map(beside, found.get("run", [])), default=0.0),
        compiling=max(call["compile_s"] for call in calls)
        + ways * sum(one["compile_s"] for one in played),
        source=source,
    )


def _measured_step(found: dict[str, Any]) -> float:
    """Returns the operations of selecting one action in a workload's evaluation."""
    was = found["settings"]
    settings = config.Settings(
        env=was["env"],
        search=config.Search(simulations=was["search"]["simulations"]),
        learner=config.Learner(unroll_steps=was["learner"]["unroll_steps"]),
    )
    action = was["evaluation"].get("action", "mcts")  # older reports had no other
    return planning_evaluation.step_flops(_networks_of(found), settings, action)


def fit(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Returns a, b ≥ 0 so that a + b·x is near y, in relative terms.

        min Σ ((a + b·x − y) / y)²

    Args:
      points: (x, y) with y above 0.
    """
    u = [1 / y for _, y in points]  # of a
    v = [x / y for x, y in points]  # of b
    uu, vv = sum(a * a for a in u), sum(b * b for b in v)
    uv = sum(a * b for a, b in zip(u, v, strict=True))
    determinant = uu * vv - uv * uv
    alone = (0.0, sum(v) / vv)
    if determinant <= 1e-9 * uu * vv:  # one point, or all of one size
        return alone
    a = (sum(u) * vv - sum(v) * uv) / determinant
    b = (sum(v) * uu - sum(u) * uv) / determinant
    if a < 0:
        return alone
    return (a, b) if b >= 0 else (sum(u) / uu, 0.0)


def _evaluation(
    one: dict[str, Any],
    settings: config.Settings,
    slower: Callable[[config.Action], float],
) -> float:
    """Returns the seconds of all evaluations of a run.

    Where whole episodes were measured, a round of up to 64 takes as long as its
    longest one; else each step of a typical episode takes as long as measured.

    Args:
      one: the measurement.
      settings: of the run.
      slower: how much longer an action takes that is selected in a way.
    """
    steps, seconds = one["steps_of_an_episode"], 0.0
    for found in planning_evaluation.played(settings):
        if steps is None:
            number = planning_evaluation.rounds(settings, found)
            measured = _rounds(one)
        else:
            typical = planning_evaluation.episode_steps(settings) or 0
            number = sum(found.episodes) * typical
            measured = one["episodes"] * steps
        seconds += number * one["median_s"] / measured * slower(found.action)
    return seconds


def _rounds(one: dict[str, Any]) -> int:
    """Returns how often as many episodes as go side by side were measured at once."""
    return math.ceil(one["episodes"] / planning_evaluation.LANES)


def run_seconds(found: Costs, account: accounting.Account) -> float:
    """Returns the seconds of a run, without compilation."""
    call = found.fixed + found.lane * account.lanes
    once = found.evaluation + found.beside
    return account.calls * call + account.updates * found.update + once
