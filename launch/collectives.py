"""Where the devices of a compiled program meet: its collectives."""

import itertools
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from launch import hlo

KINDS = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "ragged-all-to-all",
    "collective-permute",
    "collective-broadcast",
    "send",
)
_BITS = {"pred": 8, "token": 0, "opaque": 0}
_SHAPE = re.compile(r"([a-z]+\d*(?:e\d+m\d+\w*)?)\[([\d,]*)\]")


class Collective(NamedTuple):
    """A meeting of devices."""

    kind: str  # one of KINDS
    bytes: int  # of its result on one device
    group: tuple[int, ...] | None  # the first group of devices; None: not understood
    loops: tuple[hlo.Loop, ...]  # around it, the innermost first


def find(program: hlo.Program) -> list[Collective]:
    """Returns the collectives of a compiled program, in the order of its text.

    An asynchronous one is counted where it starts; one of a single device is none.
    """
    return [
        Collective(kind, _payload(found), group, program.loops_around(computation))
        for computation, found in program.instructions()
        if (kind := _kind(found)) is not None
        and ((group := _group(found.line)) is None or len(group) != 1)
    ]


def _kind(instruction: hlo.Instruction) -> str | None:
    kind = instruction.opcode.removesuffix("-start")
    if kind not in KINDS or "is_host_transfer=true" in instruction.line:
        return None
    return kind


def _payload(instruction: hlo.Instruction) -> int:
    """Returns the bytes of the result; where operands stand beside it, its alone."""
    parts = _parts(instruction.type)
    asynchronous = instruction.opcode.endswith("-start")
    if asynchronous and not instruction.opcode.startswith("all-reduce"):
        return _size(parts[1] if len(parts) > 1 else parts[0])  # (operands, results, …)
    if instruction.opcode == "send":
        return _size(parts[0])
    return _size(instruction.type)


def _parts(type_: str) -> list[str]:
    """Returns the members of a tuple type, or the type itself."""
    if not type_.startswith("("):
        return [type_]
    parts, depth = [""], 0
    for character in type_[1:-1]:
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _size(type_: str) -> int:
    """Returns the bytes of a type, of a tuple's members together."""
    bits = 0
    for kind, sides in _SHAPE.findall(type_):
        elements = math.prod(int(side) for side in sides.split(",") if side)
        digits = re.match(r"[a-z]+(\d+)", kind)
        bits += elements * _BITS.get(kind, int(digits[1]) if digits else 0)
    return -(-bits // 8)


def _group(line: str) -> tuple[int, ...] | None:
    """Returns the first group of devices that meet, None if it is not understood."""
    if pairs := re.search(r"source_target_pairs=\{\{(\d+),(\d+)\}", line):
        return (int(pairs[1]), int(pairs[2]))
    if written := re.search(r"replica_groups=\{\{([\d, ]*)\}", line):
        return tuple(int(n) for n in written[1].split(",") if n.strip())
    if ranged := re.search(
        r"replica_groups=\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?", line
    ):
        devices = _Range(ranged[2], ranged[3])
        return tuple(map(devices.at, range(_integers(ranged[1])[-1])))
    return _group_of_axes(line)


def _group_of_axes(line: str) -> tuple[int, ...] | None:
    """Returns the first group along some axes of a mesh.

    Written `mesh['a'=2,'b'=4], device_ids=([4,2]T(1,0)) {'a'}`: devices numbered as
    `[4,2]T(1,0)` fill a mesh of 2 × 4, and meet along `a`.
    """
    found = re.search(
        r"replica_groups=mesh\[([^\]]*)\]"
        r"(?:, device_ids=\(\[([\d,]+)\](?:T\(([\d,]+)\))?\))? \{([^}]*)\}",
        line,
    )
    if not found:
        return None
    axes = dict(re.findall(r"'([^']+)'=(\d+)", found[1]))
    along = [name.strip("' ") for name in found[4].split(",")]
    if not set(along) <= set(axes):  # a part of an axis
        return None
    sides = [int(side) for side in axes.values()]
    devices = _Range(found[2] or ",".join(axes.values()), found[3])
    moved = [
        range(n if name in along else 1) for name, n in zip(axes, sides, strict=True)
    ]
    return tuple(
        devices.at(_flat(places, sides)) for places in itertools.product(*moved)
    )


class _Range:
    """The numbers from 0 on, reshaped and transposed: `[4,2]T(1,0)`."""

    def __init__(self, sides: str, order: str | None):
        self._sides = _integers(sides)
        self._order = _integers(order) if order else range(len(self._sides))

    def at(self, index: int) -> int:
        """Returns the number at a place in row-major order."""
        places = [0] * len(self._sides)
        for axis in reversed(self._order):
            index, places[axis] = divmod(index, self._sides[axis])
        return _flat(places, self._sides)


def _flat(places: Sequence[int], sides: Sequence[int]) -> int:
    """Returns the row-major number of a place in an array with these sides."""
    number = 0
    for place, side in zip(places, sides, strict=True):
        number = number * side + place
    return number


def _integers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))
