"""Where the devices of a compiled program meet: its collectives."""

import functools
import math
import re
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
    """Returns the first group of devices that meet.

    Written out, `{{0,1},{2,3}}`, or as a reshaped and transposed range:
    `[2,2]<=[4]`, `[2,2]<=[2,2]T(1,0)`.
    """
    if pairs := re.search(r"source_target_pairs=\{\{(\d+),(\d+)\}", line):
        return (int(pairs[1]), int(pairs[2]))
    if written := re.search(r"replica_groups=\{\{([\d, ]*)\}", line):
        return tuple(int(n) for n in written[1].split(",") if n.strip())
    ranged = re.search(
        r"replica_groups=\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?", line
    )
    if not ranged:
        return None
    sides = _integers(ranged[2])
    order = _integers(ranged[3]) if ranged[3] else tuple(range(len(sides)))
    size = _integers(ranged[1])[-1]
    return tuple(_transposed(index, sides, order) for index in range(size))


def _transposed(index: int, sides: tuple[int, ...], order: tuple[int, ...]) -> int:
    """Returns the number at `index` of range(∏ sides) reshaped and transposed."""
    strides = [math.prod(sides[axis + 1 :]) for axis in range(len(sides))]
    number = 0
    for axis in reversed(order):
        index, place = divmod(index, sides[axis])
        number += place * strides[axis]
    return number


@functools.cache
def _integers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))
