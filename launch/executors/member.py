"""The processes of a gang: one run on several hosts, told what to make by the first.

Process 0 is an ordinary worker (launch/worker.py) started with `--start
launch.executors.member:start_first`. It shares every order with the others, which
are this module's program and say nothing to the sweep. Variables of the environment
tell each of them who it is.
"""

import atexit
import json
import os
import pathlib
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from launch import attempt, errors, interruption
from scaling import config, execution, hardware, peers

FIRST = "launch.executors.member:start_first"
FOLLOWER = "launch.executors.member"
_NAME = "SCALING_PROCESSES"
_CRASHED = 1


def environment(processes: hardware.Processes) -> dict[str, str]:
    """Returns the variables that tell a process which one of a gang it is."""
    return {_NAME: json.dumps(config.as_dict(processes))}


def processes_of(variables: Mapping[str, str]) -> hardware.Processes:
    """Returns what `environment` made variables of."""
    return hardware.Processes(**json.loads(variables[_NAME]))


def start_first() -> attempt.Runner:
    """Returns what makes runs on process 0, together with the others."""
    group, runner = _join()
    # At exit JAX would wait for the others, which wait for the next order.
    atexit.register(group.abandon, _CRASHED)

    def make(
        settings: config.Settings,
        cell: config.Cell,
        directory: pathlib.Path,
        *,
        how: execution.Execution,
        report: attempt.Say,
        stop: Callable[[], bool],
    ) -> dict[str, Any]:
        group.share(
            {
                "settings": config.as_dict(settings),
                "cell": config.as_dict(cell),
                "directory": str(directory),
                "how": execution.as_dict(how),
            }
        )
        return runner(settings, cell, directory, how=how, report=report, stop=stop)

    return make


def _join() -> tuple[peers.Alone, attempt.Runner]:
    """Returns the gang when all have come, and what makes a run."""
    from scaling import sharding

    group = sharding.start(processes_of(os.environ), fingerprint="gang")
    from scaling import run

    return group, run.run


def follow(
    group: peers.Alone, runner: attempt.Runner, stop: Callable[[], bool]
) -> None:
    """Makes every run that process 0 makes, until asked to stop.

    What may have happened to this process alone is raised, and so ends the others.
    """
    while not stop():
        told = group.share(None)
        directory = pathlib.Path(told["directory"])
        _log_to(directory / f"log-{group.number}.txt")
        try:
            runner(
                config.settings_from_dict(told["settings"]),
                config.cell_from_dict(told["cell"]),
                directory,
                how=execution.from_dict(told["how"]),
                report=lambda detail: None,
                stop=stop,
            )
        except Exception as error:
            if not _is_everywhere(error):
                raise
            traceback.print_exception(error)


def _is_everywhere(error: Exception) -> bool:
    """Tells whether all processes meet an error alike, and go on with the next run."""
    return errors.is_sentence(error) or errors.row_status(error) == "diverged"


def _log_to(log: pathlib.Path) -> None:
    """Sends standard output and error to a file from now on."""
    sys.stdout.flush()
    sys.stderr.flush()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def main() -> NoReturn:
    """Starts a process of a gang that is not the first one."""
    flag, parent = interruption.Flag(), os.getppid()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, flag.set)
    os.dup2(2, 1)
    group, runner = _join()
    status = peers.RESUME_STATUS
    try:
        follow(group, runner, lambda: flag() or os.getppid() != parent)
    except Exception as error:
        traceback.print_exception(error)
        status = _CRASHED if errors.row_status(error) == "failed" else status
    group.abandon(status)
    sys.exit(status)


if __name__ == "__main__":
    main()
