"""Loading a serialised state of the Arcade Learning Environment, checked.

A state does not hold all of the game (ale-py 0.12.1), so not every one is restored:
- Not whether the game had finished its frame, which Qbert and Tetris have not at the
  start of an episode and TicTacToe3D while it thinks. There the emulator goes on
  wrongly, or ends the process. So both must be at the end of a frame, the state and
  the emulator that takes it up; the start of an episode is gone to by its own way.
- Not the two screens that the emulator draws in turn. A frame cut short, as a few
  games do when the picture changes, shows what was there before. So the two frames
  after the state must be as long as the one before it.
- Not all that the game's rules keep: the emulator must return the same bytes after
  loading, which MiniatureGolf's does not.
Whatever passed went on exactly, at 40 points of random play in each of the 104 ROMs;
refused were all of MiniatureGolf but the start, and 2 of the 4120 others. Unseen would
stay a frame that one action cuts short and no action does not, and what Pitfall2's
music chip has beyond eight digits.

The emulator trusts its states. One of another game is taken up in part without a
word, garbage raises whatever comes, and a wrong size of a memory makes it write past
the memory's end. So everything that is the same in all states of a ROM is compared
with a fresh one before the emulator sees any of it: the length, the game's mode and
difficulty, the limits of the paddles, the sizes of the memories, and every text (the
ROM's digest, the names of the chips, the console's generator, which rests while a
game is played). Numbers that the emulator counts its tables and banks by must be in
range: those known of the chips in the 104 ROMs, `_CHIPS`.

What cannot be checked is what the emulator makes of all other numbers. It is C++
without bounds, and somebody who means harm has time to look for a way through. Resume
other people's runs of Atari only where you would also run their code.
"""

import functools
import re
import struct
import types
from collections.abc import Mapping
from typing import Any, NamedTuple

from scaling.envs import records

# A state: six numbers of 4 bytes (paddles, frames, mode, difficulty), the length of
# the emulator's own part and that part, the two limits of the paddles.
_MODE_TO_LENGTH = slice(16, 28)
_PADDLE_LIMITS = slice(-8, None)
# Every text follows its length. The MD5 of the ROM, the generator, and names.
_TEXT = re.compile(rb"[0-9a-f]{32}|[0-9 ]{1000,}|System|M65\w+|TIA\w*|Cartridge\w+")
_PICTURE = b"\x03\0\0\0TIA"  # the chip that draws, whose numbers follow its name
_LINE = 228  # clocks of the picture chip
# Qbert and Tetris have finished theirs after two more.
_MOST_UNFINISHED = 60


class Chip(NamedTuple):
    """What is known of the numbers, of 4 bytes each, that follow a chip's name."""

    same: tuple[int, ...] = ()  # which are the same in all states: sizes
    below: Mapping[int, int] = types.MappingProxyType({})  # which are in [0, bound)


_CHIPS = {
    b"M6532": Chip(same=(0,)),
    b"TIA": Chip(below=dict.fromkeys(range(41, 46), 160) | {51: 4}),  # places on a line
    b"CartridgeF8": Chip(below={0: 2}),  # banks
    b"CartridgeF6": Chip(below={0: 4}),
    b"CartridgeF8SC": Chip(same=(1,), below={0: 2}),
    b"CartridgeF6SC": Chip(same=(1,), below={0: 4}),
    b"CartridgeE0": Chip(same=(0,), below=dict.fromkeys(range(1, 5), 8)),
    b"CartridgeDPC": Chip(
        same=(1, 10, 19, 28, 37), below={0: 2} | dict.fromkeys(range(20, 28), 2048)
    ),
}


class Beam(NamedTuple):
    """The first numbers of the picture chip; clocks but for the last two."""

    frame_start: int
    display_start: int
    display_stop: int
    last_update: int
    left_of_line: int
    lines: int  # of the last whole frame
    line: int  # that the beam is in


def load(ale: Any, fresh: bytes, row: int, state: bytes) -> bool:
    """Makes `ale` go on from `state`; returns whether it goes on exactly.

    Args:
      ale: an `ale_py.ALEInterface` at the start of an episode.
      fresh: the state it is in.
      row: to name in an error.
      state: from `ale.cloneState().serialize()`, without the emulator's generator.

    Raises:
      ValueError: if `state` is not one of this ROM.
    """
    import ale_py

    _check(fresh, row, state)
    if state == fresh:
        return True
    beam = _beam(state)
    if not _finished(beam) or not _finish(ale):
        return False
    # ale-py turns what its C++ throws into SystemError, where it can.
    try:
        loaded = ale_py.ALEState(state)
        ale.restoreState(loaded)
    except (SystemError, RuntimeError, MemoryError, ValueError):
        raise records.damaged(row, "the emulator refuses its state") from None
    if ale.cloneState().serialize() != state or not _draws_all(ale, beam):
        return False
    ale.restoreState(loaded)
    return True


def _check(fresh: bytes, row: int, state: bytes) -> None:
    """Refuses what is not a state of the same ROM as `fresh`."""
    if len(state) != len(fresh):
        raise records.damaged(
            row,
            f"its emulator state has {len(state)} bytes, and one of this game under "
            f"the installed ale-py has {len(fresh)}",
        )
    fixed = _fixed(fresh)
    if any(state[part] != fresh[part] for part in fixed.same):
        raise records.damaged(
            row, "its emulator state is not one of this game under the installed ale-py"
        )
    for offset, bound in fixed.below:
        number = _number(state, offset)
        if not 0 <= number < bound:
            raise records.damaged(
                row,
                f"its emulator state has {number} where numbers below {bound} are",
            )


class Fixed(NamedTuple):
    """What holds in every state of a ROM."""

    same: tuple[slice, ...]  # parts that never change
    below: tuple[tuple[int, int], ...]  # offsets of numbers, and their bounds


@functools.lru_cache(maxsize=8)
def _fixed(fresh: bytes) -> Fixed:
    """Returns what every state of the ROM has in common with `fresh`."""
    same, below, start = [_MODE_TO_LENGTH, _PADDLE_LIMITS], [], 0
    while start + 4 <= len(fresh):
        length = _number(fresh, start)
        text = fresh[start + 4 : start + 4 + max(length, 0)]
        if len(text) != length or not _TEXT.fullmatch(text):
            start += 1
            continue
        end = start + 4 + length
        chip = _CHIPS.get(text, Chip())
        same += [slice(start, end)]
        same += [slice(end + 4 * n, end + 4 * n + 4) for n in chip.same]
        below += [(end + 4 * n, bound) for n, bound in chip.below.items()]
        start = end
    return Fixed(tuple(same), tuple(below))


def _number(state: bytes, offset: int) -> int:
    return struct.unpack_from("<i", state, offset)[0]


def _beam(state: bytes) -> Beam:
    numbers = state.index(_PICTURE) + len(_PICTURE)
    return Beam(*struct.unpack_from("<7i", state, numbers))


def _finished(beam: Beam) -> bool:
    """Returns whether the frame is at its end.

    There the beam is in the last of the frame's lines. Of a frame that is not
    finished when the emulator stops, after 25 000 instructions, it has passed more.
    """
    return beam.line == beam.lines


def _finish(ale: Any) -> bool:
    """Waits for the end of a frame; returns whether it came."""
    for _ in range(_MOST_UNFINISHED):
        if _finished(_beam(ale.cloneState().serialize())):
            return True
        ale.act(0)
    return False


def _draws_all(ale: Any, before: Beam) -> bool:
    """Plays two frames; returns whether each drew as much as the one before them."""
    shown = before.display_stop - before.frame_start
    for _ in range(2):
        ale.act(0)
        beam = _beam(ale.cloneState().serialize())
        if not _finished(beam) or _LINE * beam.lines < min(shown, _LINE * before.lines):
            return False
    return True
