"""A worker process and the pipes to it."""

import contextlib
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from typing import Any

from launch import worker
from launch.executors.task import Task

GRACE_S = 10.0  # for a worker to end by itself before it is killed


class WorkerProcess:
    """A process that runs `launch/worker.py`, pinned to its cores."""

    def __init__(self, cores: list[int], start: str):
        # Errors go here until a run's own log takes over; closed by `close`.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        command = [sys.executable, "-P", "-m", "launch.worker", "--start", start]
        self._process = subprocess.Popen(
            [*command, "--cores", ",".join(map(str, cores))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C reaches the sweep, which decides
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout

    def make(self, task: Task) -> Iterable[dict[str, Any]]:
        """Hands over a task and yields what the worker says until it is silent."""
        (task.directory / "log.txt").unlink(missing_ok=True)  # of an earlier attempt
        try:
            self._input.write(worker.message(task) + "\n")
            self._input.flush()
        except BrokenPipeError:
            return
        for line in self._output:
            if not line.endswith("\n"):  # it died while writing
                return
            yield json.loads(line)

    def reason_of_death(self, task: Task) -> str:
        """Returns why the process ended while it was at `task`, in one line."""
        status = self._process.wait()
        how = f"ended with exit status {status}"
        if status < 0:
            how = f"was killed by {signal.Signals(-status).name}"
        self._errors.seek(0)
        last = _last_line(_read(task.directory / "log.txt") or self._errors.read())
        return f"The worker {how}" + (f"; its last line: {last}" if last else ".")

    def ask_to_end(self) -> None:
        """Asks the process to end whatever it is at."""
        self._process.terminate()

    def end_by(self, deadline: float) -> None:
        """Waits for the process until `deadline`, then ends it by force."""
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Lets the process end by itself, and sees to it that it does."""
        with contextlib.suppress(BrokenPipeError):  # it is dead already
            self._input.close()
        self.end_by(time.monotonic() + GRACE_S)
        self._output.close()
        self._errors.close()


def _read(path: pathlib.Path) -> bytes:
    """Returns the file's content, nothing if there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")[:500]
