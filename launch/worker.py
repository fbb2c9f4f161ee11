"""The program of a worker process: runs cells that it is told on standard input.

Both directions are lines of JSON. In: one task a line, as `message` makes it. Out:
`{"event": "ready"}`, then for each task what the run reports and at last what came of
it (launch/attempt.py). Everything else that a run or a library prints goes to
`log.txt` in the run's directory.

On SIGTERM, and when the sweep is gone, the run saves and the process ends.
"""

import argparse
import importlib
import json
import os
import pathlib
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, TextIO

from launch import attempt, interruption
from launch.executors.task import Task
from scaling import config, execution, peers


def start_real_runs() -> attempt.Runner:
    """Returns `scaling.run.run`, with the devices set up before any library."""
    from scaling import sharding

    sharding.start()
    from scaling import run

    return run.run


class Order(NamedTuple):
    """What a worker is told to make."""

    task: Task
    rules: attempt.Rules
    over: bytes | None  # a stale lease to take over


def message(order: Order) -> str:
    """Returns the line that tells a worker to make a run."""
    task, rules, over = order
    return json.dumps(
        {
            "settings": config.as_dict(task.settings),
            "cell": config.as_dict(task.cell),
            "directory": str(task.directory),
            "how": execution.as_dict(task.how),
            "rules": config.as_dict(rules),
            "over": None if over is None else over.decode("latin-1"),
        }
    )


def order_of(line: str) -> Order:
    """Returns the order of which `message` made a line."""
    told = json.loads(line)
    directory, over = pathlib.Path(told["directory"]), told["over"]
    task = Task(
        run_id=directory.name,
        settings=config.settings_from_dict(told["settings"]),
        cell=config.cell_from_dict(told["cell"]),
        directory=directory,
        how=execution.from_dict(told["how"]),
        group=None,
        work=0,
    )
    rules = attempt.Rules(**told["rules"])
    return Order(task, rules, None if over is None else over.encode("latin-1"))


class Line:
    """The way back to the sweep; when it is gone, the run is asked to stop."""

    def __init__(self, out: TextIO, flag: interruption.Flag):
        self._out, self._flag, self.broken = out, flag, False

    def __call__(self, event: dict[str, Any]) -> None:
        """Says what has happened."""
        try:
            self._out.write(json.dumps(event) + "\n")
            self._out.flush()
        except BrokenPipeError:
            self.broken = True
            self._flag.set()


def serve(
    tasks: TextIO, say: Line, runner: attempt.Runner, stop: Callable[[], bool]
) -> None:
    """Makes the run of every line of `tasks` and answers, until asked to stop."""
    say({"event": "ready"})
    for line in tasks:
        if stop():
            return
        say(_make(order_of(line), say, runner, stop))
        if stop():
            return


def _make(
    order: Order, say: Line, runner: attempt.Runner, stop: Callable[[], bool]
) -> attempt.Outcome:
    begun = attempt.begin(*order)
    if not isinstance(begun, attempt.Attempt):
        return begun
    _log_to(order.task.directory)
    outcome = begun.run(runner, say, stop)
    if begun.error is not None:
        traceback.print_exception(begun.error)
    return outcome


def _log_to(run_directory: pathlib.Path) -> None:
    """Sends standard output and error to the run's log from now on."""
    sys.stdout.flush()
    sys.stderr.flush()
    log = os.open(run_directory / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def _pin(cores: str) -> None:
    """Keeps this process on `cores`, before a library counts them for its threads."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})


def _stop_for(flag: interruption.Flag) -> Callable[[], bool]:
    """Returns what tells a run to stop: a signal, or that the sweep is gone."""
    sweep = os.getppid()
    return lambda: flag() or os.getppid() != sweep


def main() -> NoReturn:
    """Starts the worker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", default="", help="cores to stay on, as 0,1")
    parser.add_argument(
        "--start",
        default="launch.worker:start_real_runs",
        help="module:function that returns what makes a run",
    )
    arguments = parser.parse_args()
    flag = interruption.Flag()
    stop = _stop_for(flag)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, flag.set)
    _pin(arguments.cores)
    # What libraries print on standard output must not reach the protocol.
    protocol = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)  # the log is followed
    module, _, function = arguments.start.partition(":")
    runner = getattr(importlib.import_module(module), function)()
    say = Line(protocol, flag)
    serve(sys.stdin, say, runner, stop)
    if say.broken:
        os._exit(peers.RESUME_STATUS)  # flushing at exit would fail
    sys.exit(peers.RESUME_STATUS if stop() else 0)


if __name__ == "__main__":
    main()
