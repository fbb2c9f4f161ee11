"""A bucket, and machines with disks of their own."""

import bucket_stores as stores
import fsspec
import pytest

from scaling.buckets import keeping, mirror


@pytest.fixture
def store(monkeypatch, tmp_path):
    """An empty store, used by the first machine, one copy at a time."""
    monkeypatch.setattr(keeping, "_LOOK_S", 0.01)
    monkeypatch.setattr(mirror, "_CONNECTIONS", 1)  # so that failures are repeatable
    known = dict(fsspec.registry)
    fsspec.register_implementation("gs", stores.Store, clobber=True)
    stores.Store.empty()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "first"))
    yield stores.Store
    fsspec.register_implementation("gs", known.get("gs", "gcsfs.GCSFileSystem"), True)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Goes to another machine, by its name."""
    return lambda name: monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
