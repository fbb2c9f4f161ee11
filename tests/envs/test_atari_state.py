"""States are checked before the emulator sees them, and none goes on wrongly."""

import functools

import numpy as np
import pytest

from scaling import config
from scaling.envs import atari, atari_state, known, registry

ROMS = {path.stem: path for path in registry._atari_roms().values()}


def make(rom, **protocol):
    defaults = {"image_size": 84, "colour": "gray"} | protocol
    return atari.Emulator(ROMS[rom], config.Protocol(**defaults))


def play(emulator, actions):
    """Returns all that came of `actions`; episodes that end begin again."""
    came = []
    for action in actions.tolist():
        frame, *rest = emulator.step(action)
        came.append((frame.tobytes(), *rest))
        if rest[1] or rest[2]:
            emulator.reset(len(came))
    return came


@functools.cache
def played(rom="ms_pacman", steps=30):
    """Returns a fresh state and the record after some steps."""
    emulator = make(rom)
    emulator.reset(1)
    play(emulator, np.random.default_rng(0).integers(18, size=steps))
    return emulator._fresh, emulator.save()


def state_of(record):
    return record["ale"].tobytes()


def test_what_does_not_change_is_found():
    fresh, record = played()
    same = atari_state._fixed(fresh).same
    texts = [fresh[part][4:] for part in same]
    for name in (b"System", b"M6502Low", b"M6532", b"TIA", b"TIASound", b"CartridgeF8"):
        assert name in texts
    assert (128).to_bytes(4, "little") in [fresh[part] for part in same]  # bytes of RAM
    assert state_of(record) != fresh
    for part in same:
        assert state_of(record)[part] == fresh[part]


@pytest.mark.parametrize("length", [0, 100, 7724, 7726, 20_000])
def test_a_state_of_another_length_is_refused(length):
    fresh, record = played()
    assert len(fresh) == 7725
    state = (state_of(record) + bytes(20_000))[:length]
    with pytest.raises(ValueError, match=rf"row 3 .*{length} bytes.*{len(fresh)}"):
        atari_state.load(None, fresh, 3, state)


@pytest.mark.parametrize("fill", [0, 255, None])
def test_garbage_of_the_right_length_is_refused(fill):
    fresh, _ = played()
    garbage = np.random.default_rng(0).bytes(len(fresh))
    state = garbage if fill is None else bytes([fill]) * len(fresh)
    with pytest.raises(ValueError, match=r"row 3 .*not one of this game under"):
        atari_state.load(None, fresh, 3, state)


@pytest.mark.parametrize("part", [b"M6532\x80", b"System", b"TIASound", b"87e79cd4"])
def test_a_changed_text_or_memory_size_is_refused(part):
    fresh, record = played()
    state = bytearray(state_of(record))
    state[state.index(part) + len(part) - 1] ^= 2
    with pytest.raises(ValueError, match=r"row 0 .*not one of this game under"):
        atari_state.load(None, fresh, 0, bytes(state))


@pytest.mark.parametrize("offset", [16, 20, 24, -8, -4])
def test_a_changed_mode_length_or_paddle_limit_is_refused(offset):
    fresh, record = played()
    state = bytearray(state_of(record))
    state[offset] ^= 1
    with pytest.raises(ValueError, match="not one of this game"):
        atari_state.load(None, fresh, 0, bytes(state))


@pytest.mark.parametrize(
    ("chip", "number", "value", "bound"),
    [
        (b"CartridgeF8", 0, 2, 2),
        (b"CartridgeF8", 0, -1, 2),
        (b"\x03\0\0\0TIA", 41, 160, 160),
        (b"\x03\0\0\0TIA", 51, 2**31 - 1, 4),
    ],
)
def test_a_number_out_of_its_range_is_refused(chip, number, value, bound):
    fresh, record = played()
    state = bytearray(state_of(record))
    place = state.index(chip) + len(chip) + 4 * number
    state[place : place + 4] = value.to_bytes(4, "little", signed=True)
    with pytest.raises(ValueError, match=rf"row 6 .* {value} where .* below {bound} "):
        atari_state.load(None, fresh, 6, bytes(state))


def test_a_state_of_another_game_with_the_same_length_is_refused():
    fresh, _ = played()
    _, other = played("breakout")
    assert other["ale"].size == len(fresh)
    with pytest.raises(ValueError, match="not one of this game"):
        atari_state.load(None, fresh, 0, state_of(other))


def broken(chip, number):
    """Returns a record with a flag that is neither true nor false."""
    _, record = played()
    state = bytearray(state_of(record))
    place = state.index(chip) + len(chip) + 4 * number
    state[place : place + 4] = b"\x07\0\0\0"
    return record | {"ale": np.frombuffer(bytes(state), np.uint8)}


def test_what_the_emulator_throws_is_a_sentence():
    with pytest.raises(ValueError, match=r"row 2 .* the emulator refuses its state"):
        make("ms_pacman").restore(2, broken(b"\x03\0\0\0TIA", 19))


def test_nothing_is_left_of_a_state_that_was_taken_up_in_part():
    emulator, fine = make("ms_pacman"), make("ms_pacman")
    assert not emulator.restore(0, broken(b"M6502Low", 6))
    emulator.reset(1)
    fine.reset(1)
    actions = np.arange(18)
    assert play(emulator, actions) == play(fine, actions)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"executed": np.array(18)}, "it executed the action 18"),
        ({"executed": np.array(-1)}, "it executed the action -1"),
        ({"executed": np.array(1.0)}, "'executed' is float64"),
        ({"ale": np.zeros(9, np.uint8)}, "has 9 bytes"),
        ({"ale": np.zeros(7725, np.int8)}, "'ale' is int8"),
        ({"screens": np.zeros((2, 210, 161), np.uint8)}, r"'screens' is uint8"),
        ({"screens": np.zeros((1, 210, 160), np.uint8)}, r"'screens' is uint8"),
        ({"random": np.zeros(6, np.uint64)}, "PCG64 cannot have"),
    ],
)
def test_malformed_records_are_refused(change, sentence):
    _, record = played()
    emulator = make("ms_pacman")
    with pytest.raises(ValueError, match=rf"row 5 .*{sentence}"):
        emulator.restore(5, record | change)


def assert_goes_on(source, other, actions):
    """Asserts that a row is refused or goes on; returns whether it went on."""
    if not other.restore(0, source.save()):
        return False
    assert play(other, actions) == play(source, actions)
    return True


@pytest.mark.parametrize("skip", [1, 2, 4])
def test_a_row_goes_on_whatever_the_frame_skip(skip):
    source = make("breakout", frame_skip=skip, colour="rgb", full_action_space=False)
    other = make("breakout", frame_skip=skip, colour="rgb", full_action_space=False)
    source.reset(0)
    other.reset(1)
    rng = np.random.default_rng(0)
    for steps in (0, 1, 30):
        play(source, rng.integers(4, size=steps))
        assert assert_goes_on(source, other, rng.integers(4, size=20))


@pytest.mark.parametrize("steps_of_other", [0, 1, 30])
def test_qbert_goes_on_but_while_its_first_frames_are_cut(steps_of_other):
    source, other = make("qbert", frame_skip=1), make("qbert", frame_skip=1)
    went_on = []
    for steps in range(4):
        for emulator, before in ((source, steps), (other, steps_of_other)):
            emulator.reset(0)
            play(emulator, np.full(before, 3))
        went_on.append(assert_goes_on(source, other, np.arange(12)))
    assert went_on == [True, False, True, True]


def test_a_state_that_the_emulator_does_not_take_up_is_none():
    source, other = make("miniature_golf"), make("miniature_golf")
    source.reset(0)
    source.step(0)
    assert not other.restore(0, source.save())


@pytest.mark.slow
@pytest.mark.parametrize("rom", sorted(set(ROMS) - set(known.ATARI_REFUSED)))
def test_every_game_goes_on_or_is_refused(rom):
    """As measured with ale-py 0.12.1: none goes on wrongly, nearly all go on."""
    source, other = make(rom), make(rom)
    source.reset(0)
    rng = np.random.default_rng(11)
    went_on = 0
    for _ in range(20):
        before, after = rng.integers(1, 40), 12
        actions = rng.integers(source.num_actions, size=before + after)
        play(source, actions[:before])
        went_on += assert_goes_on(source, other, actions[before:])
    assert went_on == 0 if rom == "miniature_golf" else went_on >= 15
