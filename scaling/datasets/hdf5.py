"""HDF5 files of others, read without being led elsewhere or made to fill memory."""

import contextlib
import importlib
import pathlib
from collections.abc import Iterator
from typing import Any

MOST_BYTES = 2**32  # of an episode's array: 27 000 frames of 210×160×3 take 2.7 GB


def dataset(file: Any, group: str, name: str, named: str) -> Any:
    """Returns `group/name` of an open file, unread and found to be harmless.

    A link or an external store could name any file of this machine, a virtual set
    likewise, and a few bytes can claim any size.

    Args:
      file: an `h5py.File`.
      group: name of a group at its top.
      name: name of the array in it.
      named: words for the file and the episode, which a sentence begins with.

    Raises:
      ValueError: if it is missing, led elsewhere, or too large.
    """
    h5py = importlib.import_module("h5py")  # an extra
    at: Any = file
    for part in (group, name):
        link = at.get(part, getlink=True) if isinstance(at, h5py.Group) else None
        if link is None:
            raise ValueError(f"{named} has no {name}.")
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{named} has a link to elsewhere as its {name}.")
        at = at[part]
    if not isinstance(at, h5py.Dataset) or at.external or at.is_virtual:
        raise ValueError(f"{named} has {name} that are not in the file itself.")
    if not at.shape or at.nbytes > MOST_BYTES:
        raise ValueError(
            f"{named} has {name} of shape {at.shape}, {at.nbytes:,} bytes; at most "
            f"{MOST_BYTES:,} are read."
        )
    return at


@contextlib.contextmanager
def sentences(path: pathlib.Path) -> Iterator[None]:
    """Turns what h5py raises for a damaged file into a sentence."""
    try:
        yield
    except (OSError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{path} cannot be read as HDF5 ({reason}); fetch it again."
        ) from error
