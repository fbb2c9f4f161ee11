"""Directories in buckets as commands use them: kept by one, visited by others.

A kept one has one owner at a time, by the protocol of `scaling.lease` with entries in
the bucket: a second machine is refused while the first one lives.
"""

import contextlib
import fcntl
import functools
import json
import os
import pathlib
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator

from scaling import lease
from scaling.buckets import addresses
from scaling.buckets.bucket import Bucket, Owners, reading
from scaling.buckets.mirror import Mirror, say

COPY_S = 300.0  # between copies while a command works
BEAT_S = 20.0  # between an owner's signs of life
EXPIRY_S = 120.0  # without one, after which an owner is taken for gone
_LOOK_S = 5.0


@contextlib.contextmanager
def kept(address: str, copy_s: float = COPY_S) -> Iterator[pathlib.Path]:
    """Yields a directory that is copied to the bucket again and again, and at the end.

    If this machine was the last to write there, its copy is as new as the bucket's or
    newer and is used as it is; else it is made a copy of the bucket first.

    Args:
      address: of the folder.
      copy_s: seconds between copies.

    Raises:
      ValueError: if the bucket cannot be read or written, or another process writes
        there.
    """
    bucket = Bucket(address)
    mirror, lost = Mirror(bucket, "kept"), threading.Event()
    with reading(address):
        last, (number, owner) = mirror.owner, _last_owner(bucket)
        held = _own(bucket, functools.partial(_end, bucket, mirror, lost))
    with held:
        if last is None or (owner, number + 1) != (last, held.number):
            with reading(address):
                size = mirror.pull()
            say(f"{address}: {_megabytes(size)} copied to {mirror.directory}.")
        else:
            say(f"{address}: {mirror.directory} is its source, and goes on.")
        mirror.remember(held.id)
        with _Copier(mirror, held, lost, copy_s):
            yield mirror.directory


class _Copier:
    """A thread that copies a directory to its bucket, and the last copy."""

    def __init__(
        self, mirror: Mirror, held: lease.Lease, lost: threading.Event, copy_s: float
    ):
        self._mirror, self._held = mirror, held
        self._lost, self._copy_s = lost, copy_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> "_Copier":
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._over.set()
        self._thread.join()
        address, directory = self._mirror.bucket.address, self._mirror.directory
        try:
            with reading(address):
                is_ours = self._push()
            failed = f"Another has taken {address}, which lacks the end of {directory}."
        except ValueError as failure:
            is_ours = False
            failed = (
                f"The last copy failed: {failure} {directory} is ahead of it; the same "
                "command on this machine goes on from there and copies it."
            )
        if is_ours:
            say(f"{address} has all of {directory}.")
        elif error is None:
            raise ValueError(failed)
        else:
            say(failed)

    def _keep(self) -> None:
        fails = False
        while not self._over.wait(self._copy_s):
            try:
                self._push()
                fails = False
            except Exception as error:  # of any kind; the next copy may succeed
                if not fails:
                    say(f"A copy failed, and is tried again: {error}")
                fails = True

    def _push(self) -> bool:
        """Copies what has changed; returns False if the bucket is another's now."""
        # Asked each time: a process that stood still may wake up here first.
        if self._lost.is_set() or not self._held.held():
            return False
        self._mirror.push()
        return True


def _last_owner(bucket: Bucket) -> tuple[int, str | None]:
    """Returns number and id of the newest entry; 0 and None if there is none."""
    owners = Owners(bucket)
    number = max(owners.numbers(), default=0)
    if not number:
        return 0, None
    try:
        return number, json.loads(owners.read(number))["id"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return number, None


def _own(bucket: Bucket, lost: Callable[[], None]) -> lease.Lease:
    """Returns the lease of a bucket; waits to see whether an owner still lives.

    Raises:
      ValueError: if it does.
    """
    owners, observer = Owners(bucket), lease.Observer(EXPIRY_S)
    watched: lease.Sighting | None = None
    while True:
        seen = observer.look_at(owners)
        if seen is None or seen.stale:
            with contextlib.suppress(lease.TakenError):  # by one that was faster
                over = None if seen is None else seen.text
                return lease.take(owners, over, lost, BEAT_S)
        elif watched is None or watched.number != seen.number:
            watched = seen
            say(
                f"{bucket.address} was last written by {seen.by}, which did not say "
                f"that it ended; looking for {EXPIRY_S:g} s whether it is alive."
            )
        elif seen.text != watched.text:
            raise ValueError(
                f"{bucket.address} is written by {seen.by}, and one process at a time "
                "writes to a bucket: wait for it, stop it, or name another place; "
                "several machines need a directory that they share, such as NFS."
            )
        time.sleep(_LOOK_S)


def _end(bucket: Bucket, mirror: Mirror, lost: threading.Event) -> None:
    """Ends the command as SIGTERM does, since another machine writes there now."""
    lost.set()
    say(
        f"Error: this process stood still so long that another took {bucket.address}; "
        f"it ends, and {mirror.directory} is not copied there any more."
    )
    os.kill(os.getpid(), signal.SIGTERM)


class Visit:
    """A copy of a folder for a command that reads, and may add a report.

    Attributes:
      directory: the copy.
    """

    def __init__(self, mirror: Mirror):
        self._mirror, self.directory = mirror, mirror.directory

    def refresh(self) -> int:
        """Makes the copy anew; returns the bytes that were copied.

        Raises:
          ValueError: if the bucket cannot be read.
        """
        root = self._mirror.root
        root.mkdir(parents=True, exist_ok=True)
        with (root / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of others on this machine
            with reading(self._mirror.bucket.address):
                return self._mirror.pull()

    def owner(self) -> str | None:
        """Returns who has the folder and has not given it back, as HOST pid N.

        Raises:
          ValueError: if the bucket cannot be read.
        """
        with reading(self._mirror.bucket.address):
            seen = lease.Observer().look_at(Owners(self._mirror.bucket))
        return None if seen is None else seen.by

    def add(self) -> None:
        """Copies what was written here to the bucket, and deletes nothing there.

        Raises:
          ValueError: if it cannot be written.
        """
        with reading(self._mirror.bucket.address):
            size = self._mirror.push(deletes=False)
        if size:
            say(f"{self._mirror.bucket.address}: {_megabytes(size)} copied there.")


@contextlib.contextmanager
def visited(
    address: str,
    without: re.Pattern[str] | None = None,
    may_be_new: bool = False,
) -> Iterator[Visit]:
    """Yields a copy of a folder; files that are written to it go to the bucket.

    Args:
      address: of the folder, or of one file.
      without: names that are not copied.
      may_be_new: whether nothing need be there.

    Raises:
      ValueError: if the bucket cannot be read or written, or there is nothing.
    """
    visit = Visit(Mirror(Bucket(address), "visited", without))
    size = visit.refresh()
    if not (may_be_new or visit.directory.exists()):
        raise ValueError(f"{address} is not there; see its name.")
    say(f"{address}: {_megabytes(size)} copied to {visit.directory}.")
    yield visit
    visit.add()


@contextlib.contextmanager
def visiting(
    directory: pathlib.Path, without: re.Pattern[str] | None = None
) -> Iterator[Visit | None]:
    """Yields a visit of a directory that is an address, None of any other.

    Raises:
      ValueError: as `visited`.
    """
    address = addresses.address(directory)
    if address is None:
        yield None
        return
    with visited(address, without) as visit:
        yield visit


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
