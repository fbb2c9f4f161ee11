"""Reads a trace of whole calls: what share of the time each part of a call is at work.

A trace names the operations of compiled programs and says when each ran. To which part
of a call an operation belongs is in the program's text, by the scopes that
`scaling.device_loop` gives, or in the program's name where parts are programs of their
own (`scaling.host_loop`). Operations may run side by side, so shares may be more than 1
together; what no part is at is waiting, or operations that XLA gave no scope.
"""

import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from launch import hlo
from scaling import iteration

# The programs of the host loop that are parts, or pieces of one.
_OF_PROGRAM = {"draw": "learn", "read_log": "record"}


class Ran(NamedTuple):
    """An operation that ran."""

    module: str  # the program it is of
    name: str
    start: float  # ns
    end: float  # ns


def operations(paths: Iterable[pathlib.Path]) -> Iterator[Ran]:
    """Yields the operations of compiled programs in files of a trace."""
    from jax.profiler import ProfileData

    for path in paths:
        for plane in ProfileData.from_file(str(path)).planes:
            for line in plane.lines:
                for event in line.events:
                    stats: dict[str, Any] = dict(event.stats)
                    if "hlo_op" in stats and "hlo_module" in stats:
                        start = event.start_ns
                        end = start + event.duration_ns
                        yield Ran(stats["hlo_module"], stats["hlo_op"], start, end)


def parts_of(text: str) -> dict[str, str]:
    """Returns the part of a call that each instruction of a program's text is of.

    One that XLA has made itself, such as a copy, is of the part that its loop is of.

    Args:
      text: `compiled.as_text()` of the program that advances a run.
    """
    own: dict[str, str] = {}
    for name, scopes in hlo.scopes(text):
        part = next((scope for scope in scopes if scope in iteration.PARTS), None)
        if part is not None:
            own[name] = part
    inside: dict[str, list[hlo.Instruction]] = {}
    for computation, instruction in hlo.Program(text).instructions():
        inside.setdefault(computation, []).append(instruction)
    called = {c for many in inside.values() for one in many for c in one.called}
    found: dict[str, str] = {}
    waiting: list[tuple[str, str | None]] = [(c, None) for c in inside.keys() - called]
    while waiting:
        computation, around = waiting.pop()
        for one in inside.get(computation, ()):
            part = own.get(one.name, around)
            if part is not None:
                found[one.name] = part
            waiting += [(name, part) for name in one.called]
    return found


def shares(
    ran: Iterable[Ran], parts: Mapping[str, Mapping[str, str]]
) -> dict[str, float] | None:
    """Returns the share of the time in which each part, and any, was at work.

    Args:
      ran: the operations.
      parts: of programs, by name: the part of each of their operations. What is not
        in it is a part by its program's name, if that is one.

    Returns:
      A share for each of `iteration.PARTS`, and for `any`, of the time from the first
      operation to the last; None if there are none, as the profilers of some devices
      name them otherwise.
    """
    times: dict[str, list[tuple[float, float]]] = {}
    for one in ran:
        name = one.module.removeprefix("jit_").lstrip("_")
        own = _OF_PROGRAM.get(name, name)
        part = parts[one.module].get(one.name) if one.module in parts else own
        for key in {"any", part if part in iteration.PARTS else "any"}:
            times.setdefault(key, []).append((one.start, one.end))
    if not times:
        return None
    starts, ends = zip(*times["any"], strict=True)
    whole = max(ends) - min(starts)
    return {
        part: _covered(times.get(part, [])) / whole
        for part in (*iteration.PARTS, "any")
    }


def _covered(spans: list[tuple[float, float]]) -> float:
    """Returns how much of the time is in at least one of the spans."""
    covered, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered
