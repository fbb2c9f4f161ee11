"""One host's part of a gang: a worker process there, and the lines to and from it.

An instance lives in a Ray actor, so that what the sweep says reaches another machine.
Nothing here imports Ray. When the actor goes, with Ray or with the sweep, the worker
notices that its parent is gone, saves and ends (launch/worker.py), unless Ray ends it
with the actor: then the run goes on from the checkpoint before.
"""

import contextlib
import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from scaling import peers

_HEAR_S = 5.0  # that the sweep waits at most for a line, before it asks again
_GRACE_S = 10.0  # for a worker without work to end by itself
_TAIL = 1 << 12  # bytes of what it wrote that are kept


class Place(NamedTuple):
    """What a host says of itself."""

    name: str
    cores: list[int]  # that its processes may use
    free_port: int


class End(NamedTuple):
    """How a worker ended."""

    status: int  # negative: killed by the signal of that number
    last_words: str  # what it wrote before a run's own log took over


class Host:
    """A worker process on this host; methods may be called from several threads."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._ended: End | None = None
        # The worker's errors go here until a run's own log takes over.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115

    def place(self, address: str) -> Place:
        """Returns what the sweep has to know of this host.

        Args:
          address: by which the other hosts reach it.
        """
        if hasattr(os, "sched_getaffinity"):
            cores = sorted(os.sched_getaffinity(0))
        else:
            cores = list(range(os.cpu_count() or 1))
        return Place(socket.gethostname(), cores, peers.free_port(address))

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        cores: Collection[int],
    ) -> None:
        """Starts `python -P -m` with the arguments.

        Args:
          arguments: module and flags.
          environment: variables besides those of this host.
          cores: to stay on; none: all.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            env={**os.environ, **environment},
            start_new_session=True,  # signals to Ray's processes are none of its own
        )
        if cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self._process.pid, cores)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, line: str) -> None:
        """Hands the worker a line; if it is dead, `hear` will say so."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def hear(self) -> tuple[list[str], bool]:
        """Returns what lines have come, waiting for one, and whether it was all."""
        heard: list[str | None] = []
        with contextlib.suppress(queue.Empty):
            heard.append(self._lines.get(timeout=_HEAR_S))
            while heard[-1] is not None:
                heard.append(self._lines.get_nowait())
        return [line for line in heard if line is not None], None in heard

    def end(self) -> End:
        """Returns how the worker ended, when it has."""
        status = self._process.wait()
        with self._lock:
            if self._ended is None:
                size = os.fstat(self._errors.fileno()).st_size
                tail = os.pread(self._errors.fileno(), _TAIL, max(0, size - _TAIL))
                self._ended = End(status, tail.decode(errors="replace"))
            return self._ended

    def ask_to_end(self) -> None:
        """Asks the worker to save and to end."""
        self._process.terminate()

    def kill(self) -> None:
        """Ends the worker whatever it is at."""
        self._process.kill()

    def close(self) -> End:
        """Lets the worker end by itself, and sees to it that it does."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self.kill()
        end = self.end()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()
        return end

    def _read(self) -> None:
        """Takes the worker's lines to where `hear` finds them."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith("\n"):  # else it died while writing
                self._lines.put(line)
        self._lines.put(None)
