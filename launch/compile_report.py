"""What was found of compiled programs, and what follows from it."""

import dataclasses
import math
from typing import Any, NamedTuple

from launch import collectives, hlo, roofline
from scaling import accounting, config, hardware, targets

# The search loop is where mctx made it; the others bear their function's name.
_SEARCH_SOURCE = "/mctx/_src/search.py"
COLUMNS = (
    "arguments",
    "outputs",
    "aliased",
    "temporaries",
    "code",
    "beside",
    "total",
)
MODEL_ONLY = "a lower bound from peak rates: a model, not a measurement"


class Found(NamedTuple):
    """What the compiler said of one program."""

    name: str
    seconds: float  # that it took
    memory: dict[str, int]  # bytes on a chip; empty if it was refused
    refusal: str  # why, "" if it was not
    meetings: tuple[collectives.Collective, ...]
    searches: bool  # it has the loop of a search

    @property
    def total(self) -> float:
        """Bytes on a chip while it runs."""
        return self.memory.get("total", math.inf)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be compiled."""

    target: targets.Target
    mesh: hardware.Mesh
    settings: config.Settings
    cell: config.Cell
    account: accounting.Account


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that the command found."""

    plan: Plan
    compilers: dict[str, str]  # package → version
    programs: tuple[Found, ...]
    state: dict[str, int]  # bytes on a chip of the parts of a run's state
    networks: roofline.Networks
    share: roofline.Shares
    times: roofline.Times

    @property
    def largest(self) -> Found:
        """The program with the most memory; a refused one is larger than any."""
        return max(self.programs, key=lambda found: found.total)

    @property
    def fits(self) -> bool:
        """Tells whether a chip's memory suffices."""
        return self.largest.total <= self.plan.target.chip.memory

    @property
    def inside_search(self) -> list[collectives.Collective]:
        """The collectives inside a search loop."""
        meetings = [m for found in self.programs for m in found.meetings]
        return [m for m in meetings if any(map(is_search, m.loops))]


def is_search(loop: hlo.Loop) -> bool:
    """Tells whether a loop is one of a search."""
    return loop.file.endswith(_SEARCH_SOURCE)


def advice(report: Report) -> str:
    """Returns which setting makes a run that does not fit smaller."""
    biggest = max(report.state, key=lambda part: report.state[part])
    if report.state[biggest] > report.plan.target.chip.memory / 2:
        return {
            "learner": f"raise --mesh.model above {report.plan.mesh.model}",
            "window": "lower --replay.window",
            "frames": "lower --replay.stored-steps or --replay.window",
        }[biggest]
    rows = {
        "search": "lower --max-lanes or raise --groups",
        "learn": "lower --learner.batch-size",
        "advance": "lower --max-lanes or --learner.batch-size",
    }
    return rows.get(report.largest.name, "lower --replay.window")


def verdict(report: Report) -> str:
    """Returns in one sentence whether a chip's memory suffices."""
    largest, has = report.largest, report.plan.target.chip.memory / 1e6
    if report.fits:
        return (
            f"It fits: {largest.name} takes most, {largest.total / 1e6:,.0f} of "
            f"{has:,.0f} MB of a chip."
        )
    takes = largest.refusal or f"it takes {largest.total / 1e6:,.0f} MB"
    return (
        f"It does not fit a chip of {has:,.0f} MB: {largest.name} is too large "
        f"({takes.rstrip('.')}); {advice(report)}, or take a target with more chips."
    )


def as_values(report: Report) -> dict[str, Any]:
    """Returns the report as plain values, ready for JSON; times in seconds."""
    settings, account, times = report.plan.settings, report.plan.account, report.times
    return {
        "target": report.plan.target.name,
        "chips": report.plan.target.chips,
        "hosts": report.plan.target.hosts,
        "mesh": dataclasses.asdict(report.plan.mesh),
        "compilers": report.compilers,
        "settings": config.as_dict(settings),
        "cell": config.as_dict(report.plan.cell),
        "lanes": account.lanes,
        "lanes_per_chip": report.share.lanes,
        "calls": account.calls,
        "searched_states": account.searched,
        "updates": account.updates,
        "searched_states_per_update": account.searched / max(1, account.updates),
        "chip_memory": report.plan.target.chip.memory,
        "fits": report.fits,
        "state_bytes": report.state,
        "programs": [_program(found) for found in report.programs],
        "collectives_inside_search": len(report.inside_search),
        "flops_per_searched_state": roofline.flops_per_search(
            report.networks, settings
        ),
        "flops_per_update": roofline.flops_per_update(report.networks, settings),
        "model": {
            "note": MODEL_ONLY,
            **times._asdict(),
            "chip_hours": times.chip_hours(report.plan.target.chips),
        },
    }


def _program(found: Found) -> dict[str, Any]:
    return {
        "name": found.name,
        "compile_s": round(found.seconds, 1),
        "memory": found.memory,
        "refusal": found.refusal,
        "search_loop": found.searches,
        "collectives": [
            {
                "kind": meeting.kind,
                "bytes": meeting.bytes,
                "devices": meeting.group and len(meeting.group),
                "loops": [loop.function or loop.name for loop in meeting.loops],
            }
            for meeting in found.meetings
        ],
    }
