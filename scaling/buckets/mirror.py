"""A directory of this machine that is the copy of a folder in a bucket, or its source.

What both sides had in common last time is kept in a file beside the directory: size and
time of each file here, the object's version there. Only what differs is copied.

A bucket may be read at any moment, also when whoever writes to it has just been ended.
So nothing is deleted there before everything was copied, and files that say that others
are whole (manifests, rows) come after those.
"""

import concurrent.futures
import hashlib
import json
import pathlib
import re
import shutil
import sys
import uuid
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from scaling import hardware, results
from scaling.buckets.bucket import Bucket

# Of this machine alone: leases, locks, frames of a run at work, what is being written.
_OWN = re.compile(
    r"(.*/)?(lease/.*|[^/]+\.unfinished/.*|frames/(best/)?frames-\d+\.npy"
    r"|\.results\.lock|\.[^/]+\.[0-9a-f]{32})"
)
STATES = re.compile(r"(.*/)?(checkpoints|params|stages)/.*")  # of networks and stores
_CONNECTIONS = 16
_PASSES = 20  # over a directory that changes meanwhile

Stamp = tuple[int, int]  # bytes, and nanoseconds of the last change


class Common(NamedTuple):
    """A file that both sides have, as it was when it was copied."""

    here: Stamp
    there: str | None  # the object's version; None: it was written from here


class Mirror:
    """A directory and the folder of a bucket.

    Args:
      bucket: the folder.
      kind: of the copy; those of different kinds are apart.
      without: names that are not copied.
    """

    def __init__(
        self, bucket: Bucket, kind: str, without: re.Pattern[str] | None = None
    ):
        self.bucket, self._without = bucket, without
        scheme, _, rest = bucket.address.partition("://")
        number = hashlib.sha256(bucket.address.encode()).hexdigest()[:8]
        name = f"{scheme}-{re.sub(r'[^A-Za-z0-9.-]+', '-', rest)[:80]}-{number}"
        self.root = hardware.cache_root() / "buckets" / kind / name
        self.directory = self.root / rest.rpartition("/")[2]
        self._record = self.root / "common.json"
        self.owner, self._common = self._load()

    def pull(self) -> int:
        """Makes the directory a copy of the folder; returns the bytes copied.

        Without anything there, there is no directory either.
        """
        there = {n: o for n, o in self.bucket.objects().items() if self._is_copied(n)}
        here = self._stamps()
        self.remember(None)  # until it is whole
        for name in set(here) - set(there):
            self._at(name).unlink()
        wanted = [
            name
            for name, each in there.items()
            if (old := self._common.get(name)) is None
            or old.there != each.version
            or old.here != here.get(name)
        ]
        _remove_empty(self.directory)
        with _Pool() as pool:
            pool(lambda name: self.bucket.get(name, self._at(name)), wanted)
        self._common |= {
            name: Common(_stamp(self._at(name)), there[name].version) for name in wanted
        }
        self._common = {n: c for n, c in self._common.items() if n in there}
        self.remember(None)
        return sum(there[name].size for name in wanted)

    def push(self, deletes: bool = True) -> int:
        """Copies what has changed here; returns the bytes copied.

        Args:
          deletes: whether what was deleted here is deleted there, too.
        """
        copied = 0
        for _ in range(_PASSES):
            here = self._stamps()
            more, is_whole = self._push(here)
            copied += more
            if is_whole:
                break
        else:
            raise OSError(f"{self.directory} changes faster than it can be copied")
        gone = set(self._common) - set(here)
        if deletes and gone:  # of some the deletion may have been the last thing done
            self.bucket.remove(sorted(gone & set(self.bucket.objects())))
            self._common = {n: c for n, c in self._common.items() if n not in gone}
        self.remember(self.owner)
        return copied

    def remember(self, owner: str | None) -> None:
        """Writes down what both sides have in common.

        Args:
          owner: id of the lease of the bucket under which this was the source; None:
            the bucket is ahead, or nobody is.
        """
        self.owner = owner
        body = {"owner": owner, "common": self._common}
        results.write_atomically(self._record, json.dumps(body))

    def _load(self) -> tuple[str | None, dict[str, Common]]:
        try:
            body = json.loads(self._record.read_text())
            common = {
                name: Common((here[0], here[1]), there)
                for name, (here, there) in body["common"].items()
            }
            return body["owner"], common
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None, {}  # then all of it is copied

    def _push(self, here: dict[str, Stamp]) -> tuple[int, bool]:
        """Returns the bytes copied, and whether every file was still there."""
        changed = [
            name
            for name, stamp in here.items()
            if name not in self._common or self._common[name].here != stamp
        ]
        copied = 0
        for rank in sorted({_rank(name) for name in changed}):
            names = [name for name in changed if _rank(name) == rank]
            with _Pool() as pool:
                there = pool(self._send, names)
            sent = [n for n, is_there in zip(names, there, strict=True) if is_there]
            copied += sum(here[name][0] for name in sent)
            self._common |= {name: Common(here[name], None) for name in sent}
            if len(sent) < len(names):
                return copied, False
        return copied, True

    def _send(self, name: str) -> bool:
        """Copies a file to the bucket; returns whether it was there.

        Files that may grow are copied aside before.
        """
        aside = self.root / f"sending.{uuid.uuid4().hex}"
        try:
            if _rank(name) in (_PART, _WHOLE):
                self.bucket.put(name, self._at(name))
            else:
                shutil.copyfile(self._at(name), aside)
                self.bucket.put(name, aside)
        except FileNotFoundError:
            if self._at(name).exists():
                raise
            return False
        finally:
            aside.unlink(missing_ok=True)
        return True

    def _stamps(self) -> dict[str, Stamp]:
        found = {}
        for path in self.directory.rglob("*"):
            name = path.relative_to(self.directory).as_posix()
            try:
                if self._is_copied(name) and path.is_file():
                    found[name] = _stamp(path)
            except FileNotFoundError:  # deleted just now
                continue
        if self.directory.is_file():  # an address of one file
            found[""] = _stamp(self.directory)
        return found

    def _is_copied(self, name: str) -> bool:
        is_left_out = self._without is not None and self._without.fullmatch(name)
        return not (is_left_out or _OWN.fullmatch(name))

    def _at(self, name: str) -> pathlib.Path:
        return self.directory / name if name else self.directory


_ANY, _PART, _WHOLE, _ROW = range(4)  # in this order


def _rank(name: str) -> int:
    """Returns when a file is copied: what says that others are whole comes last."""
    parts = name.split("/")
    if parts[-1] == "manifest.json":
        return _WHOLE
    if parts[-1] in ("result.json", "results.csv"):
        return _ROW
    return _PART if {"checkpoints", "params", "stages"} & set(parts[:-1]) else _ANY


def _stamp(path: pathlib.Path) -> Stamp:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _remove_empty(directory: pathlib.Path) -> None:
    """Deletes folders without files, the deepest first."""
    folders = (path for path in directory.rglob("*") if path.is_dir())
    for folder in [*sorted(folders, reverse=True), directory]:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


class _Pool:
    """Does something with many names at a time; the first error ends it."""

    def __enter__(self) -> "_Pool":
        self._threads = concurrent.futures.ThreadPoolExecutor(_CONNECTIONS)
        return self

    def __exit__(self, *exception: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def __call__(self, do: Callable[[str], Any], names: Iterable[str]) -> list[Any]:
        return list(self._threads.map(do, names))


def say(text: str) -> None:
    """Tells the user, beside what a command prints."""
    print(text, file=sys.stderr, flush=True)
