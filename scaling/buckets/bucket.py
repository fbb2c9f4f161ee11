"""A folder of a bucket: objects by name, through fsspec."""

import contextlib
import logging
import pathlib
import uuid
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from scaling import lease_entries
from scaling.buckets import addresses

OWNER = ".owner"  # the folder of the lease


class Object(NamedTuple):
    """What a bucket says of an object."""

    size: int  # bytes
    version: str  # differs when it was written again


class Bucket:
    """A folder of a bucket; what fails raises OSError.

    Args:
      address: gs://BUCKET/FOLDER or s3://BUCKET/FOLDER.

    Raises:
      ValueError: if the extra for it is not installed.
    """

    def __init__(self, address: str):
        self.address = address
        self._files, self._root = _file_system(address)

    def objects(self) -> dict[str, Object]:
        """Returns what is there by name, but for the lease; an object itself as ''."""
        with _os_errors():
            found = self._files.find(self._root, detail=True)
        named = {
            path.removeprefix(self._root).lstrip("/"): Object(
                int(info["size"]), _version(info)
            )
            for path, info in found.items()
            if info["type"] == "file"
        }
        return {
            name: each
            for name, each in named.items()
            # a name that ends with a slash stands for a folder, as consoles make them
            if not name.startswith(f"{OWNER}/") and not name.endswith("/")
        }

    def get(self, name: str, to: pathlib.Path) -> None:
        """Copies an object here; whoever reads the file sees the old one or the new."""
        to.parent.mkdir(parents=True, exist_ok=True)
        part = to.with_name(f".{to.name}.{uuid.uuid4().hex}")
        try:
            with _os_errors():
                self._files.get_file(self._of(name), str(part))
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)

    def put(self, name: str, source: pathlib.Path) -> None:
        """Copies a file there; whoever reads the object sees the old one or the new."""
        with _os_errors():
            self._files.put_file(str(source), self._of(name))

    def read(self, name: str) -> bytes:
        """Returns an object's content.

        Raises:
          FileNotFoundError: if it is not there.
        """
        with _os_errors():
            return self._files.cat_file(self._of(name))

    def write(self, name: str, content: bytes) -> None:
        """Writes an object whole."""
        with _os_errors():
            self._files.pipe_file(self._of(name), content)

    def create(self, name: str, content: bytes) -> bool:
        """Writes an object that is not there; of several that try, one is told True.

        The stores themselves see to it: `ifGenerationMatch=0`, `If-None-Match: *`.
        """
        try:
            with _os_errors():
                self._files.pipe_file(self._of(name), content, mode="create")
        except FileExistsError:
            return False
        return True

    def remove(self, names: Collection[str]) -> None:
        """Deletes objects."""
        if names:
            with contextlib.suppress(FileNotFoundError), _os_errors():
                self._files.rm([self._of(name) for name in names])

    def names(self, folder: str) -> list[str]:
        """Returns the names in a folder."""
        with _os_errors():
            found = self._files.find(self._of(folder))
        return [path.rpartition("/")[2] for path in found]

    def _of(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root


class Owners(lease_entries.Entries):
    """Entries of the lease of a bucket's folder."""

    def __init__(self, bucket: Bucket):
        self._bucket = bucket

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Owners) and other._bucket.address == (
            self._bucket.address
        )

    def __hash__(self) -> int:
        return hash(self._bucket.address)

    def numbers(self) -> list[int]:
        """Returns those that are there."""
        return [int(name) for name in self._bucket.names(OWNER) if name.isdigit()]

    def read(self, number: int) -> bytes:
        """Returns what one says.

        Raises:
          FileNotFoundError: if it is not there.
        """
        return self._bucket.read(self._of(number))

    def create(self, number: int, text: bytes) -> bool:
        """Makes one; of several processes that try, one alone is told True."""
        return self._bucket.create(self._of(number), text)

    def rewrite(self, number: int, text: bytes) -> None:
        """Changes one that this process made."""
        self._bucket.write(self._of(number), text)

    def remove(self, number: int) -> None:
        """Deletes one, if it is there."""
        self._bucket.remove([self._of(number)])

    def _of(self, number: int) -> str:
        return f"{OWNER}/{self.name(number)}"


@contextlib.contextmanager
def reading(address: str) -> Iterator[None]:
    """Turns what a store refuses into a sentence.

    Raises:
      ValueError: instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        said = " ".join(str(error).split())[:300]
        raise ValueError(
            f"{address} cannot be read or written ({said.rstrip('.')}); see that the "
            "bucket is there and that this machine may use it (docs/cloud.md)."
        ) from error


@contextlib.contextmanager
def _os_errors() -> Iterator[None]:
    """Makes one kind of all errors that a store's client may raise."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def _file_system(address: str) -> tuple[Any, str]:
    """Returns fsspec's file system and the path in it."""
    import fsspec  # late: only addresses need it

    scheme = address.partition(":")[0]
    # What fails is told in a sentence, and not by gcsfs on the way.
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
    try:
        # Listings are of this moment: others write, too.
        files, path = fsspec.core.url_to_fs(address, use_listings_cache=False)
    except ImportError as error:
        extra = addresses.EXTRAS[scheme]
        raise ValueError(
            f"{address} needs the extra `{extra}`; install it with pip install -c "
            f"constraints.txt -e '.[{extra}]'."
        ) from error
    return files, path.rstrip("/")


def _version(info: dict[str, Any]) -> str:
    for key in ("ETag", "etag", "generation", "LastModified", "mtime"):
        if info.get(key):
            return str(info[key])
    return ""
