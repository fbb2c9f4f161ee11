"""Reads a compiled program's text (HLO): computations, and the loops around each.

The text lists computations; an instruction may call others (a fusion, a branch, the
body of a `while`). So an instruction is inside a loop when its computation can be
reached from the loop's body or condition, however deep.

Source: openxla.org/xla/operation_semantics for the instructions and their types.
"""

import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

_HEADER = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .+ \{\s*$")
_NAME = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = ")
_OPCODE = re.compile(r"\s*([\w\-]+)\(")
_CALLED = re.compile(
    r"\b(?:calls|body|condition|to_apply|true_computation|false_computation"
    r"|branch_computations|called_computations)=(\{[^}]*\}|%?[\w.\-]+)"
)
_TABLE = r"^{}\n((?:\d+ .*\n)*)"
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_SCOPED = re.compile(r'^\s+(?:ROOT )?%?([\w.\-]+) = .*\bop_name="([^"]*)"')


class Instruction(NamedTuple):
    """One line of a computation."""

    name: str
    type: str  # as written, of the result
    opcode: str
    called: tuple[str, ...]  # computations
    line: str  # without what is quoted in it


class Loop(NamedTuple):
    """A `while`, and where in the source it was made."""

    name: str
    file: str  # "" where the text does not say
    function: str


class Program:
    """A compiled program: its computations, and what each of its loops reaches.

    Args:
      text: `compiled.as_text()` of a jitted function.

    Raises:
      ValueError: if there is no computation in it, so that it is no such text.
    """

    def __init__(self, text: str):
        self._sources = _Sources(text)
        self._computations = _computations(text)
        if not self._computations:
            raise ValueError(
                "The text of a compiled program lists computations, and this lists "
                "none; give what `compiled.as_text()` returns."
            )
        self._reached = [
            (self._loop(found), self._reach(found.called))
            for _, found in self.instructions()
            if found.opcode == "while"
        ]

    def instructions(self) -> Iterator[tuple[str, Instruction]]:
        """Yields every instruction with the name of its computation."""
        for name, instructions in self._computations.items():
            for instruction in instructions:
                yield name, instruction

    @property
    def loops(self) -> tuple[Loop, ...]:
        """Its loops, in the order of the text."""
        return tuple(loop for loop, _ in self._reached)

    def _loop(self, instruction: Instruction) -> Loop:
        return Loop(instruction.name, *self._sources.of(instruction.line))

    def loops_around(self, computation: str) -> tuple[Loop, ...]:
        """Returns the loops that reach a computation, the innermost first."""
        around = [pair for pair in self._reached if computation in pair[1]]
        # What an inner loop reaches, the outer one reaches too, and more.
        return tuple(loop for loop, _ in sorted(around, key=lambda x: len(x[1])))

    def _reach(self, names: tuple[str, ...]) -> frozenset[str]:
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found and name in self._computations:
                found.add(name)
                for instruction in self._computations[name]:
                    waiting += instruction.called
        return frozenset(found)


def scopes(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yields instructions with the scopes they were traced in, the outermost first.

    What XLA has made itself, such as copies, has none and is left out.
    """
    for line in text.splitlines():
        if found := _SCOPED.match(line):
            yield found[1], found[2].split("/")


class _Sources:
    """Where instructions come from: tables at the head of the text.

    An instruction names a stack frame, a frame a location, a location its file and
    function. Older texts name the file in the instruction instead.
    """

    def __init__(self, text: str):
        self._text = text
        self._frames = self._table("StackFrames")
        self._locations = self._table("FileLocations")
        self._files = self._table("FileNames")
        self._functions = self._table("FunctionNames")

    def of(self, line: str) -> tuple[str, str]:
        """Returns file and function of an instruction, "" where unknown."""
        if named := re.search(r'source_file="([^"]*)"', line):
            return named[1], ""
        location = self._locations.get(
            _field(
                self._frames.get(_field(line, "stack_frame_id"), ""), "file_location_id"
            ),
            "",
        )
        file = self._files.get(_field(location, "file_name_id"), "")
        function = self._functions.get(_field(location, "function_name_id"), "")
        return file.strip('"'), function.strip('"')

    def _table(self, name: str) -> dict[str, str]:
        found = re.search(_TABLE.format(name), self._text, re.MULTILINE)
        lines = found[1].splitlines() if found else []
        return dict(line.split(" ", 1) for line in lines)


def _field(text: str, name: str) -> str:
    found = re.search(rf"\b{name}=(\d+)", text)
    return found[1] if found else ""


def _computations(text: str) -> dict[str, list[Instruction]]:
    computations: dict[str, list[Instruction]] = {}
    inside: list[Instruction] | None = None
    for line in text.splitlines():
        if header := _HEADER.match(line):
            inside = computations.setdefault(header[2], [])
        elif line.startswith("}"):
            inside = None
        elif inside is not None and (found := _instruction(line)):
            inside.append(found)
    return computations


def _instruction(line: str) -> Instruction | None:
    name = _NAME.match(line)
    if not name:
        return None
    line = _QUOTED.sub(_keep_source, line)  # what is quoted is no part of the program
    end = _end_of_type(line, name.end())
    opcode = _OPCODE.match(line, end)
    if not opcode:
        return None
    called = itertools.chain.from_iterable(
        re.findall(r"[\w.\-]+", names) for names in _CALLED.findall(line)
    )
    type_ = line[name.end() : end]
    return Instruction(name[1], type_, opcode[1], tuple(called), line)


def _keep_source(quoted: re.Match) -> str:
    before = quoted.string[: quoted.start()]
    return quoted[0] if before.endswith("source_file=") else '""'


def _end_of_type(line: str, start: int) -> int:
    """Returns where a type ends: a tuple at its own bracket, others at a space."""
    if line[start] != "(":
        return start + len(line[start:].split(" ", 1)[0])
    depth = 0
    for place in range(start, len(line)):
        depth += {"(": 1, ")": -1}.get(line[place], 0)
        if depth == 0:
            return place + 1
    return len(line)
