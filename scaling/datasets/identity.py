"""What names a store of episodes: its folder, and a hash of what is in it."""

import hashlib
import pathlib

from scaling.datasets import episodes, manifest_file


def identity(path: pathlib.Path) -> str:
    """Returns name@hash of a store, with eight digits; the hash covers every chunk's.

    Raises:
      ValueError: if there is no finished store, or it is damaged.
    """
    episodes.open_store(path)
    text = (path / manifest_file.NAME).read_bytes()
    return f"{path.resolve().name}@{digits(text)}"


def digits(text: bytes) -> str:
    """Returns the eight digits of a manifest."""
    return hashlib.sha256(text).hexdigest()[:8]


def is_same(one: str, other: str) -> bool:
    """Returns whether two names are of the same content, wherever it lies."""
    return one.rpartition("@")[2] == other.rpartition("@")[2]
