"""The program of a worker process: runs cells that it is told on standard input.

Both directions are lines of JSON. In: one task a line, or a list of tasks to make side
by side, as `message` makes it. Out: `{"event": "ready"}`, then for each task what the
run reports and at last what came of it (launch/attempt.py), of several with the
`run_id`. Everything else that a run or a library prints goes to `log.txt` in the run's
directory; of several, in that of the first.

On SIGTERM, and when the sweep is gone, the run saves and the process ends.
"""

import argparse
import functools
import importlib
import json
import os
import pathlib
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn, Protocol, TextIO

from launch import attempt, interruption
from launch.executors.task import Task
from scaling import config, execution, peers


class Runs(Protocol):
    """What makes runs."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Makes a run by itself, as `scaling.run.run` does."""
        ...

    def side_by_side(
        self, settings: config.Settings, jobs: Sequence[Callable[[attempt.Runner], Any]]
    ) -> None:
        """Does jobs at the same time, each with what makes one of some runs."""
        ...


class _RealRuns:
    """Makes real runs, side by side as one program."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        from scaling import run

        return run.run(*args, **kwargs)

    def side_by_side(
        self, settings: config.Settings, jobs: Sequence[Callable[[attempt.Runner], Any]]
    ) -> None:
        from scaling import packing

        packing.side_by_side(settings.precision, jobs)


def start_real_runs() -> Runs:
    """Returns what makes runs, with the devices set up before any library."""
    from scaling import sharding

    sharding.start()
    from scaling import packing  # noqa: F401, what cannot be imported fails here

    return _RealRuns()


class Order(NamedTuple):
    """What a worker is told to make."""

    task: Task
    rules: attempt.Rules
    over: bytes | None  # a stale lease to take over


def message(*orders: Order) -> str:
    """Returns the line that tells a worker to make a run, or some side by side."""
    told = [_as_dict(order) for order in orders]
    return json.dumps(told[0] if len(told) == 1 else told)


def _as_dict(order: Order) -> dict[str, Any]:
    task, rules, over = order
    return {
        "settings": config.as_dict(task.settings),
        "cell": config.as_dict(task.cell),
        "directory": str(task.directory),
        "how": execution.as_dict(task.how),
        "rules": config.as_dict(rules),
        "over": None if over is None else over.decode("latin-1"),
    }


def orders_of(line: str) -> list[Order]:
    """Returns the orders of which `message` made a line."""
    told = json.loads(line)
    return [_order(each) for each in (told if isinstance(told, list) else [told])]


def order_of(line: str) -> Order:
    """Returns the order of which `message` made a line, the only one."""
    (order,) = orders_of(line)
    return order


def _order(told: dict[str, Any]) -> Order:
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
        self._lock = threading.Lock()  # runs side by side have threads

    def __call__(self, event: dict[str, Any]) -> None:
        """Says what has happened."""
        try:
            with self._lock:
                self._out.write(json.dumps(event) + "\n")
                self._out.flush()
        except BrokenPipeError:
            self.broken = True
            self._flag.set()

    def of(self, run_id: str) -> attempt.Say:
        """Returns the way back of one of several runs."""
        return lambda event: self({**event, "run_id": run_id})


def serve(tasks: TextIO, say: Line, runs: Runs, stop: Callable[[], bool]) -> None:
    """Makes the runs of every line of `tasks` and answers, until asked to stop."""
    say({"event": "ready"})
    for line in tasks:
        if stop():
            return
        orders = orders_of(line)
        if len(orders) == 1:
            say(_make(orders[0], say, runs, stop))
        else:
            _make_together(orders, say, runs, stop)
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


def _make_together(
    orders: Sequence[Order], say: Line, runs: Runs, stop: Callable[[], bool]
) -> None:
    """Makes runs side by side; says what comes of each as soon as it is known."""
    attempts: list[attempt.Attempt] = []
    for order in orders:
        begun = attempt.begin(*order)
        if isinstance(begun, attempt.Attempt):
            attempts.append(begun)
        else:
            say.of(order.task.run_id)(begun)
    if not attempts:
        return
    _log_to(attempts[0].task.directory)
    for each in attempts[1:]:
        _note_where_the_log_is(each.task, attempts[0].task)

    def make(each: attempt.Attempt, runner: attempt.Runner) -> None:
        tell = say.of(each.task.run_id)
        tell(each.run(runner, tell, stop))
        if each.error is not None:
            traceback.print_exception(each.error)

    jobs = [functools.partial(make, each) for each in attempts]
    runs.side_by_side(attempts[0].task.settings, jobs)


def _note_where_the_log_is(task: Task, first: Task) -> None:
    with (task.directory / "log.txt").open("a") as log:
        log.write(
            "This run was made in one program with others; what was printed is in "
            f"../{first.run_id}/log.txt\n"
        )


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
    runs = getattr(importlib.import_module(module), function)()
    say = Line(protocol, flag)
    serve(sys.stdin, say, runs, stop)
    if say.broken:
        os._exit(peers.RESUME_STATUS)  # flushing at exit would fail
    sys.exit(peers.RESUME_STATUS if stop() else 0)


if __name__ == "__main__":
    main()
