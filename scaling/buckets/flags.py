"""The flags of a command with directories of this machine in place of addresses."""

import contextlib
import dataclasses
import pathlib
import re
from collections.abc import Collection, Iterator
from typing import Any, TypeVar, cast

from scaling.buckets import addresses, keeping

T = TypeVar("T")
_NEW = ("out",)  # what need not be there, where it is only visited


@contextlib.contextmanager
def here(
    flags: T,
    keeps: Collection[str] = (),
    without: re.Pattern[str] | None = None,
    copy_s: float = keeping.COPY_S,
) -> Iterator[T]:
    """Yields the flags of a command with copies in place of what is in buckets.

    Args:
      flags: a dataclass; fields that are paths, tuples of paths or words may be
        addresses, also those of dataclasses in it.
      keeps: names of the fields that the command owns and writes; what others name is
        visited.
      without: names that are not copied for a visit.
      copy_s: seconds between copies of what is kept.

    Raises:
      ValueError: if a bucket cannot be read or written, another process writes there,
        or an address is of another kind.
    """
    with contextlib.ExitStack() as stack:

        def local(name: str, value: Any) -> Any:
            if dataclasses.is_dataclass(value):
                return of(value)
            if isinstance(value, tuple):
                new = tuple(local(name, each) for each in value)
                return value if new == value else new
            if not isinstance(value, pathlib.Path | str):
                return value
            address = addresses.address(value)
            if address is None:
                return value
            if name in keeps:
                return stack.enter_context(keeping.kept(address, copy_s))
            visit = keeping.visited(address, without, name in _NEW)
            return type(value)(stack.enter_context(visit).directory)

        def of(given: Any) -> Any:
            old = {f.name: getattr(given, f.name) for f in dataclasses.fields(given)}
            new = {name: local(name, value) for name, value in old.items()}
            changed = {n: v for n, v in new.items() if v is not old[n]}
            return dataclasses.replace(given, **changed) if changed else given

        yield cast(T, of(flags))
