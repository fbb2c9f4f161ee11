"""A worker process and the pipes to it."""

import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from typing import Any

from launch import worker
from launch.executors import death

_GRACE_S = 10.0  # for a worker without work to end by itself


class WorkerProcess:
    """A process that runs `launch/worker.py`, pinned to its cores."""

    def __init__(self, cores: list[int], start: str):
        self.ready = False  # whether it ever was
        self._log_bytes = 0  # of earlier attempts
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

    def make(
        self, order: worker.Order, *mates: worker.Order
    ) -> Iterable[dict[str, Any]]:
        """Hands over an order and yields what the worker says until it is silent.

        Of several orders the runs are made side by side.
        """
        self._log_bytes = len(death.log_of(order.task.directory))
        try:
            self._input.write(worker.message(order, *mates) + "\n")
            self._input.flush()
        except BrokenPipeError:
            return
        for line in self._output:
            if not line.endswith("\n"):  # it died while writing
                return
            said = json.loads(line)
            if said["event"] == "ready":
                self.ready = True
            else:
                yield said

    def death(self, run_directory: pathlib.Path) -> death.Death:
        """Returns why the process ended while it was at a run."""
        status = self._process.wait()
        log = death.log_of(run_directory)[self._log_bytes :]
        self._errors.seek(0)
        return death.of(status, log or self._errors.read())

    def ask_to_end(self) -> None:
        """Asks the process to save and to end."""
        self._process.terminate()

    def kill(self) -> None:
        """Ends the process whatever it is at."""
        self._process.kill()

    def close(self) -> None:
        """Lets the process end by itself, and sees to it that it does."""
        with contextlib.suppress(BrokenPipeError):  # it is dead already
            self._input.close()
        try:
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        self._output.close()
        self._errors.close()
