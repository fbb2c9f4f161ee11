"""The program of a worker process: runs cells that it is told on standard input.

Both directions are lines of JSON. In: one task a line, as `message` makes it. Out:
`{"event": "ready"}`, then for each task what the run reports and at last
`{"event": "finished", "row": …}` or `{"event": "failed", "status": …, "note": …}`.
Everything else that a run or a library prints goes to `log.txt` in the run's
directory.
"""

import argparse
import importlib
import json
import os
import pathlib
import sys
import traceback
from collections.abc import Callable
from typing import Any, TextIO

from launch import errors
from launch.executors.task import Task
from scaling import config, execution

Runner = Callable[..., dict[str, Any]]  # the signature of scaling.run.run


def start_real_runs() -> Runner:
    """Returns `scaling.run.run`, with the devices set up before any library."""
    from scaling import sharding

    sharding.start()
    from scaling import run

    return run.run


def message(task: Task) -> str:
    """Returns the line that tells a worker to make a run."""
    return json.dumps(
        {
            "settings": config.as_dict(task.settings),
            "cell": config.as_dict(task.cell),
            "directory": str(task.directory),
            "how": execution.as_dict(task.how),
        }
    )


def serve(tasks: TextIO, out: TextIO, runner: Runner) -> None:
    """Makes the run of every line of `tasks` and answers on `out`."""

    def say(event: dict[str, Any]) -> None:
        out.write(json.dumps(event) + "\n")
        out.flush()

    say({"event": "ready"})
    for line in tasks:
        order = json.loads(line)
        _log_to(pathlib.Path(order["directory"]))
        try:
            row = runner(
                config.settings_from_dict(order["settings"]),
                config.cell_from_dict(order["cell"]),
                pathlib.Path(order["directory"]),
                how=execution.from_dict(order["how"]),
                report=say,
            )
            say({"event": "finished", "row": row})
        except BrokenPipeError:  # the sweep is gone
            raise
        except Exception as error:
            traceback.print_exc()
            reason = {"note": errors.one_line(error)}
            say({"event": "failed", "status": errors.row_status(error), **reason})


def _log_to(run_directory: pathlib.Path) -> None:
    """Sends standard output and error to the run's log from now on."""
    sys.stdout.flush()
    sys.stderr.flush()
    run_directory.mkdir(parents=True, exist_ok=True)
    log = os.open(run_directory / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def _pin(cores: str) -> None:
    """Keeps this process on `cores`, before a library counts them for its threads."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})


def main() -> None:
    """Starts the worker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", default="", help="cores to stay on, as 0,1")
    parser.add_argument(
        "--start",
        default="launch.worker:start_real_runs",
        help="module:function that returns what makes a run",
    )
    arguments = parser.parse_args()
    _pin(arguments.cores)
    # What libraries print on standard output must not reach the protocol.
    protocol = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)  # the log is followed
    module, _, function = arguments.start.partition(":")
    runner = getattr(importlib.import_module(module), function)()
    try:
        serve(sys.stdin, protocol, runner)
    except BrokenPipeError:
        os._exit(1)  # nobody listens; flushing at exit would fail as well


if __name__ == "__main__":
    main()
