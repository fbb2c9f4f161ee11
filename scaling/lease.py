"""The lease of a run: at most one process makes it, on whatever machine.

`RUN/lease/` holds numbered files, of which the highest one counts. A process takes
the lease by creating the next number (O_CREAT | O_EXCL, which one of several wins, on
NFS too), and gives it back by writing `released` into its own file. So the lease goes
from hand to hand in one step, a stale one too, and no file is ever written by two.

The holder rewrites its file every few seconds. Clocks of machines differ, so an
observer believes nothing but its own: a lease is stale when its content has not
changed for a minute while the observer looked. On the holder's own machine it is
free at once when the process is dead.
"""

import contextlib
import json
import os
import pathlib
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from scaling import peers
from scaling.lease_entries import Entries, Folder

NAME = "lease"
BEAT_S = 5.0  # between the holder's signs of life
EXPIRY_S = 60.0  # without one, after which an observer takes the holder for gone
_PAUSE_S = 0.02


class TakenError(RuntimeError):
    """Another process holds the lease."""

    def __init__(self, by: str):
        super().__init__(f"taken by {by}")
        self.by = by


class Sighting(NamedTuple):
    """A lease that somebody holds, as it was seen."""

    number: int
    text: bytes  # changes with every sign of life
    by: str  # HOST pid N
    stale: bool = False


class Observer:
    """Tells leases that are alive from stale ones, by this process's own clock.

    Args:
      expiry_s: without a sign of life, after which a holder is taken for gone; None:
        `EXPIRY_S`.
    """

    def __init__(self, expiry_s: float | None = None) -> None:
        self._expiry_s = expiry_s
        self._seen: dict[Entries, tuple[bytes, float]] = {}

    def look(self, run_directory: pathlib.Path) -> Sighting | None:
        """Returns the lease of a run that is held; None: it is free.

        It takes looks over a minute to find a holder on another machine gone.
        """
        return self.look_at(Folder(run_directory / NAME))

    def look_at(self, entries: Entries) -> Sighting | None:
        """Returns the lease that is held, `stale` if its holder is; None: it is free.

        It takes looks over the expiry to find a holder on another machine gone.
        """
        expiry_s = EXPIRY_S if self._expiry_s is None else self._expiry_s
        _, seen = _newest(entries)
        if seen is None:
            self._seen.pop(entries, None)
            return None
        now = time.monotonic()
        text, since = self._seen.get(entries, (None, now))
        if text != seen.text:
            since = now
        self._seen[entries] = (seen.text, since)
        return seen._replace(stale=now - since > expiry_s)


class Lease:
    """A lease that this process holds and keeps alive until it is released.

    Attributes:
      number: of its entry.
      id: that no other lease has.
    """

    def __init__(self, entries: Entries, number: int, content: dict[str, Any]):
        self._entries, self.number, self.id = entries, number, content["id"]
        self._content, self._beats = content, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._lost: Callable[[], None] = _end
        self._beat_s = BEAT_S

    def begin(self, lost: Callable[[], None], beat_s: float | None = None) -> "Lease":
        """Starts the signs of life; `lost` is called should the lease be taken."""
        self._lost, self._beat_s = lost, BEAT_S if beat_s is None else beat_s
        self._thread.start()
        return self

    def __enter__(self) -> "Lease":
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def held(self) -> bool:
        """Tells whether the lease is still this process's."""
        return _highest(self._entries) == self.number

    def release(self) -> None:
        """Gives the lease back; it may have been lost before."""
        if self._over.is_set():
            return
        self._over.set()
        self._thread.join()
        with contextlib.suppress(OSError):  # it is no more: others find us gone
            self._write(released=True)

    def _keep(self) -> None:
        while not self._over.wait(self._beat_s):
            try:
                if not self.held():
                    self._lost()
                    return
                self._write(released=False)
            except OSError:  # a shared disk hiccups; others wait for a minute
                continue

    def _write(self, *, released: bool) -> None:
        self._beats += 1
        text = _as_text({**self._content, "released": released, "beat": self._beats})
        self._entries.rewrite(self.number, text)


def _end() -> None:
    # Another process makes the run now: whatever this one still wrote would harm it.
    print(
        "Error: this process stood still so long that another took its run; it ends.",
        file=sys.stderr,
        flush=True,
    )
    os._exit(peers.RESUME_STATUS)


def acquire(
    run_directory: pathlib.Path,
    over: bytes | None = None,
    lost: Callable[[], None] = _end,
) -> Lease:
    """Returns the lease of a run, to be released at the end.

    Args:
      run_directory: of the run.
      over: what an `Observer` saw of a stale lease, which is then taken over if
        it has not changed since.
      lost: called from a thread when another process has taken the lease over.

    Raises:
      TakenError: if another process holds it.
    """
    folder = run_directory / NAME
    folder.mkdir(parents=True, exist_ok=True)
    return take(Folder(folder), over, lost)


def take(
    entries: Entries,
    over: bytes | None,
    lost: Callable[[], None],
    beat_s: float | None = None,
) -> Lease:
    """Returns a lease wherever its entries are; else as `acquire`.

    Args:
      entries: of the lease.
      over: what an `Observer` saw.
      lost: called from a thread.
      beat_s: between signs of life; None: `BEAT_S`.

    Raises:
      TakenError: if another process holds it.
    """
    while True:
        number, seen = _newest(entries)
        if seen is not None and seen.text != over:
            raise TakenError(seen.by)
        # After the entry that was looked at: another process may hold the next one now.
        made = _create(entries, number + 1)
        if made is not None:
            return made.begin(lost, beat_s)
        time.sleep(_PAUSE_S)  # until a shared disk shows what the other one made


def _create(entries: Entries, number: int) -> Lease | None:
    """Returns the lease of that number, None if another process was faster."""
    content = _who()
    text = _as_text({**content, "released": False, "beat": 0})
    if not entries.create(number, text):
        return None
    if _highest(entries) != number:  # others went on and swept this number away
        entries.remove(number)
        return None
    for old in entries.numbers():
        if old < number:
            entries.remove(old)
    return Lease(entries, number, content)


def _newest(entries: Entries) -> tuple[int, Sighting | None]:
    """Returns the highest number, 0 if there is none, and the lease held by it.

    None: it is free, or its process is dead here.
    """
    while True:
        if not (number := _highest(entries)):
            return 0, None
        try:
            text = entries.read(number)
        except FileNotFoundError:  # it went from hand to hand just now
            continue
        break
    try:
        content = json.loads(text)
        by = f"{content['host']} pid {content['pid']}"
        if content["released"] or _is_dead_here(content):
            return number, None
    except (ValueError, KeyError, TypeError):  # being written, or torn by a fault
        by = "an unknown process"
    return number, Sighting(number, text, by)


def _highest(entries: Entries) -> int:
    """Returns the highest number there is, 0 if there is none."""
    return max(entries.numbers(), default=0)


def _as_text(content: dict[str, Any]) -> bytes:
    """Returns the content as a line that is equally long for every beat."""
    return (json.dumps(content).ljust(511) + "\n").encode()


def _who() -> dict[str, Any]:
    """Returns what names this process among all machines."""
    return {
        "host": socket.gethostname(),
        "machine": _machine(),
        "pid": os.getpid(),
        "born": _birth(os.getpid()),
        "id": uuid.uuid4().hex,
        "time": time.time(),
    }


def _machine() -> str:
    """Returns what the processes share of which this one can see the numbers.

    Host names are not enough: containers have numbers of their own.
    """
    try:
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no Linux
        return f"{socket.gethostname()} {uuid.getnode()}"


def _is_dead_here(content: dict[str, Any]) -> bool:
    """Tells whether a holder ran on this machine and is no more."""
    if content["machine"] != _machine():
        return False
    if _birth(content["pid"]) != content["born"]:  # gone, or its number is used again
        return True
    try:
        os.kill(content["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's
        return False
    return False


def _birth(pid: int) -> str | None:
    """Returns when a process began, in the kernel's ticks; None: dead, or no Linux."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
    return None if fields[0] in "ZX" else fields[19]
