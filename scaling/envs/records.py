"""Records of rows: what they are made of, and reading them when strangers wrote them.

A record is what a host environment needs to put one row back where it was: plain
arrays of numbers by name, nothing pickled. Those of many rows are kept in one flat
mapping, under `row3/NAME` for the row with the global number 3, so that any split
of the rows over processes finds its own.

Records may come from a stranger's file. Every array's type and shape are checked
before anything is made of it, and what does not fit is a `ValueError`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt64

Record = Mapping[str, np.ndarray]

GENERATOR_WORDS = 6
_WORD = 2**64 - 1


class Field(NamedTuple):
    """What an array of a record must be."""

    dtype: Any
    shape: tuple[int | None, ...]  # None: a length of any size


def check(row: int, record: Record, fields: Mapping[str, Field]) -> None:
    """Refuses a record that has not exactly `fields`.

    Raises:
      ValueError: naming the row and the first field that is missing or unlike.
    """
    for name, field in fields.items():
        found = record.get(name)
        if not isinstance(found, np.ndarray):
            raise damaged(row, f"it has no array {name!r}")
        lengths = zip(found.shape, field.shape, strict=False)
        fits = found.ndim == len(field.shape) and all(
            wanted in (None, length) for length, wanted in lengths
        )
        if found.dtype != np.dtype(field.dtype) or not fits:
            raise damaged(
                row,
                f"{name!r} is {found.dtype} {found.shape} and should be "
                f"{np.dtype(field.dtype)} {field.shape}",
            )
    if unknown := sorted(set(record) - set(fields)):
        raise damaged(row, f"it has {unknown[0]!r}, which this environment never saves")


def damaged(row: int, why: str) -> ValueError:
    """Returns the error that says why the record of `row` cannot be used."""
    return ValueError(
        f"The saved state of environment row {row} of this process is damaged or "
        f"belongs to another environment: {why}; resume from an older checkpoint."
    )


def pack_generator(random: np.random.Generator) -> UInt64[np.ndarray, "6"]:
    """Returns the exact state of a PCG64 generator, as `default_rng` makes it.

    The words are state and increment, each low half first, whether half a word is
    left over from the last draw, and that half.
    """
    whole = random.bit_generator.state
    state, increment = whole["state"]["state"], whole["state"]["inc"]
    words = [state & _WORD, state >> 64, increment & _WORD, increment >> 64]
    return np.array([*words, whole["has_uint32"], whole["uinteger"]], np.uint64)


def unpack_generator(row: int, words: UInt64[np.ndarray, "6"]) -> np.random.Generator:
    """Returns the generator that goes on where the packed one was.

    Raises:
      ValueError: if no PCG64 generator has such a state.
    """
    state, state_high, step, step_high, left_over, half = words.tolist()
    if not step & 1 or left_over > 1 or half >= 2**32:
        raise damaged(row, "its random generator has a state that PCG64 cannot have")
    generator = np.random.PCG64(0)
    generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": state_high << 64 | state, "inc": step_high << 64 | step},
        "has_uint32": left_over,
        "uinteger": half,
    }
    return np.random.Generator(generator)


def put(saved: dict[str, np.ndarray], number: int, record: Record) -> None:
    """Adds the record of the row with the global `number` to `saved`.

    Raises:
      ValueError: if the environment returned anything but arrays of numbers.
    """
    for name, array in record.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
            raise ValueError(
                f"The environment saved {name!r} of row {number} as "
                f"{getattr(array, 'dtype', type(array).__name__)}, but only NumPy "
                "arrays of numbers, booleans or bytes (uint8) are kept; convert it "
                "(docs/extending.md)."
            )
        saved[f"row{number}/{name}"] = array


def take(saved: Record, numbers: range) -> list[dict[str, np.ndarray]]:
    """Returns the records of the rows with the global `numbers`, in their order.

    Raises:
      ValueError: if a row is missing.
    """
    found: dict[int, dict[str, np.ndarray]] = {number: {} for number in numbers}
    prefixes = {f"row{number}": number for number in numbers}
    for key, array in saved.items():
        prefix, _, name = key.partition("/")
        if prefix in prefixes:
            found[prefixes[prefix]][name] = array
    if missing := [number for number, record in found.items() if not record]:
        raise ValueError(
            f"The saved environments have no row {missing[0]}; resume with as many "
            "environments as were saved, or from another checkpoint."
        )
    return [found[number] for number in numbers]
