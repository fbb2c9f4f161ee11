"""The loop over calls: advance, log, play curve points, save, stop when asked.

Lines of the log and curve points come after fixed calls, whatever the speed, so a
run that was interrupted leaves the same lines as one that was not.

At a line the device is given the calls after it before the host waits for its sums, so
that it idles at none.
"""

import pathlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from scaling import (
    accounting,
    checkpoint,
    config,
    evaluate,
    execution,
    ledger,
    log,
    loops,
    operations,
    peers,
    run_state,
    saving,
    search_time,
    sharding,
    stages,
)

Report = Callable[[dict[str, Any]], None]

# Calls handed to the device at a time: it is not told more often than this, and
# learns how many to run as data, so one program serves every number.
CALLS_AT_ONCE = 256
_SECONDS_AT_ONCE = 1.0
_LINES, _CALLS_OF_LINE = 100, 1000  # lines of a run, unless it is longer than that
# Evaluation episodes are seeded apart from training.
_EVALUATION_SEED = 1_000_000_007


class Run(NamedTuple):
    """What the loop works with."""

    loop: loops.Loop
    settings: config.Settings
    cell: config.Cell
    account: accounting.Account
    how: execution.Execution
    journal: log.Journal
    saver: saving.Saver
    meta: dict[str, Any]  # for every checkpoint
    report: Report = lambda event: None
    stop: Callable[[], bool] = lambda: False
    stages: pathlib.Path | None = None  # for the networks of curve points, if kept
    # With the runs that go on in step with this one: those of its processes.
    agree: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] = sharding.agree


class Unwritten(NamedTuple):
    """A line of the log whose sums are on their way from the device."""

    call: int
    summary: run_state.Summary


class Now(NamedTuple):
    """Where the run is."""

    state: run_state.State  # may be on its way
    call: int
    saved: float  # when the last checkpoint was begun
    saved_call: int
    told: int = -1  # the last checkpoint that was reported
    unwritten: Unwritten | None = None
    timing: search_time.Mark | None = None  # set once calls were made


class Decision(NamedTuple):
    """What comes next; all processes decide alike."""

    number: int  # of calls
    save: bool
    stop: bool
    time_search: bool


def train(run: Run, state: run_state.State, call: int) -> run_state.State:
    """Returns the state after the last call, a checkpoint of it written.

    Args:
      run: what to work with.
      state: before `call`.
      call: the first one to make.

    Raises:
      DivergedError: if a loss is no number any more.
      Interrupted: if it was asked to stop; a checkpoint is written then.
    """
    points, curve = _points(run), _curve_calls(run)
    now, then = Now(state, call, time.monotonic(), call), Decision(8, *[False] * 3)
    while now.call < run.account.calls:
        before = time.monotonic()
        stop = min(now.call + then.number, *(p for p in points if p > now.call))
        now = _tell_saved(run, _advance(run, now, stop))
        if stop not in points or now.timing is None or peers.group().count > 1:
            now = _wait(run, now)
        if stop in points:
            now = _log(run, now, now.call in curve)
        then = _decide(run, now, then.number, time.monotonic() - before)
        if then.time_search and not then.stop:
            now = _time_search(run, now)
        if then.save or then.stop:
            now = _save(run, now)
        if then.stop:
            run.saver.wait()
            _tell_saved(run, now)
            raise ledger.Interrupted(
                f"The run was asked to stop and is saved at call {now.call} of "
                f"{run.account.calls}; the same command goes on from there."
            )
    now, _ = _write(run, now)
    if now.saved_call < now.call:  # else this very state is on the disk
        now = _save(run, now)
    run.saver.wait()
    return _tell_saved(run, now).state


def _advance(run: Run, now: Now, stop: int) -> Now:
    schedule = padded(run.account.schedule(now.call, stop))
    state = run.loop.advance(now.state, schedule, stop - now.call, run.account.updates)
    now, _ = _write(run, now)  # while the device works
    return now._replace(state=state, call=stop)


def _wait(run: Run, now: Now) -> Now:
    """Returns the run once the device has made the calls it was given."""
    jax.block_until_ready(now.state.metrics)
    peers.group().mark(f"call {now.call}")
    run.report({"event": "progress", **log.progress(run.account, now.call)})
    return now._replace(timing=now.timing or search_time.mark(now.call))


def _log(run: Run, now: Now, is_curve: bool) -> Now:
    """Returns the run with its sums read, to be written while it goes on.

    Before a point of the learning curve they are written at once.
    """
    state, summary = run.loop.read_log(now.state)
    now = now._replace(state=state, unwritten=Unwritten(now.call, summary))
    if not is_curve:
        return now
    now, line = _write(run, now)
    run.journal.write(_curve_point(run, line, state))
    _keep_stage(run, now.call, state)
    return now


def _write(run: Run, now: Now) -> tuple[Now, dict[str, Any]]:
    """Returns the run with no line of the log left to write, and the one written."""
    if now.unwritten is None:
        return now, {}
    call, summary = now.unwritten
    summary = jax.device_get(summary)
    seconds, acts = run.journal.seconds(), run.account.environments > 0
    costs = operations.of_runs(run.settings, run.loop.spec, acts)
    line = log.train_line(run.account, call, summary, seconds, costs)
    run.journal.write(line)
    log.check(line)
    told = {"episode_return": line["episode_return"]}
    run.report({"event": "progress", **log.progress(run.account, call), **told})
    return now._replace(unwritten=None), line


def _keep_stage(run: Run, call: int, state: run_state.State) -> None:
    """Writes the network of a curve point, if such are kept.

    No checkpoint is beyond this call yet, so a run that goes on has every stage.
    """
    if run.stages is not None:
        run.saver.wait()  # one writer at a time
        folder = stages.folder(run.stages, call)
        checkpoint.save_params(folder, state.learner.params)


def _decide(run: Run, now: Now, number: int, seconds: float) -> Decision:
    """Returns what comes after `number` calls that took so many seconds."""
    how = run.how
    due = time.monotonic() - now.saved > how.checkpoint_seconds
    if how.checkpoint_calls is not None:
        due = due or now.call - now.saved_call >= how.checkpoint_calls
    mark = now.timing or search_time.mark(now.call)
    timing = search_time.is_due(
        mark, now.call, run.settings, run.account, how.time_search_seconds
    )
    own = Decision(_next_number(number, seconds), due, run.stop(), timing)
    first, largest = run.agree(np.array(own, np.int32))
    return Decision(int(first[0]), bool(first[1]), bool(largest[2]), bool(first[3]))


def _time_search(run: Run, now: Now) -> Now:
    """Returns the run with a line on the time that its searches take."""
    now, _ = _write(run, now)
    jax.block_until_ready(now.state.metrics)
    at, since = time.monotonic(), now.timing or search_time.mark(now.call)
    search_s = search_time.timed(run.loop, now.state, now.call, run.account)
    line = search_time.line(run.account, now.call, since, at, search_s)
    run.journal.write(line)
    return now._replace(timing=search_time.mark(now.call))


def _save(run: Run, now: Now) -> Now:
    """Returns the run with a checkpoint begun, unless its sums are no numbers."""
    now, _ = _write(run, now)
    if not all(np.isfinite(np.asarray(value)) for value in now.state.metrics):
        return now  # the next line of the log ends the run; what is kept is whole
    state, meta = run.loop.whole(now.state), {**run.meta, **run.journal.position()}
    run.saver.save(state, now.call, meta)
    return now._replace(saved=time.monotonic(), saved_call=now.call)


def _tell_saved(run: Run, now: Now) -> Now:
    """Reports a checkpoint once it is on the disk."""
    saved = run.saver.saved
    if saved is None or saved.call <= now.told:
        return now
    run.report({"event": "saved", **saved._asdict()})
    return now._replace(told=saved.call)


def _next_number(number: int, seconds: float) -> int:
    """Returns how many calls to hand over so that a report comes about each second."""
    if seconds < _SECONDS_AT_ONCE / 2:
        return min(2 * number, CALLS_AT_ONCE)
    return max(1, number // 2) if seconds > 2 * _SECONDS_AT_ONCE else number


def _points(run: Run) -> tuple[int, ...]:
    """Returns the calls after which the log is read, the last call among them."""
    calls = run.account.calls
    every = min(-(-calls // _LINES), _CALLS_OF_LINE)
    return tuple(sorted({*range(every, calls, every), *_curve_calls(run), calls}))


def _curve_calls(run: Run) -> frozenset[int]:
    """Returns the calls after which a point of the learning curve is played."""
    points, calls = run.settings.evaluation.curve_points, run.account.calls
    at = {round(calls * k / (points + 1)) for k in range(1, points + 1)}
    return frozenset(at - {0, calls})


def padded(calls: accounting.Calls) -> accounting.Calls:
    """Returns the calls with spare ones behind: programs take one number of them."""
    spare = CALLS_AT_ONCE - len(calls.number)
    return accounting.Calls(*(np.pad(field, (0, spare)) for field in calls))


def _curve_point(
    run: Run, line: dict[str, Any], state: run_state.State
) -> dict[str, Any]:
    """Returns a point of the learning curve; it is never a result."""
    episodes = run.settings.evaluation.curve_episodes
    seed = evaluation_seed(run.cell.seed) + 1
    returns = play(run.loop.evaluate, state, seed, episodes)
    counts = {name: line[name] for name in ("call", "frames", "searched", "updates")}
    return {"kind": "curve", **counts, **evaluate.summary(returns)}


def play(
    evaluated: evaluate.Evaluate, state: run_state.State, seed: int, episodes: int
) -> np.ndarray:
    """Returns the returns of episodes that the first process plays."""
    params, group = sharding.on_one_device(state.learner.params), peers.group()
    played = evaluated(params, seed, episodes).tolist() if group.first else None
    return np.array(group.share(played))


def evaluation_seed(seed: int) -> int:
    """Returns the seed of a run's evaluation episodes."""
    return (_EVALUATION_SEED + seed) % 2**31
