"""Whole iterations, as a run makes them: the real loop, on stores of a run's size.

A call is one search batch and the updates that follow it. Calls of the same run are
also made with their updates left out, so the difference is what updates take; and their
searches by themselves, so the rest is what the loop adds to them.
"""

import contextlib
import pathlib
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from launch import benchmark_trace, benchmark_workloads, measure
from scaling import (
    accounting,
    config,
    hardware,
    layout,
    loops,
    search_time,
    sharding,
    training,
)
from scaling.envs import registry

SEED = 100  # of the runs that are made
_PILOT = 8  # calls that tell how many suit the time there is
_MOST_OF_AN_UPDATE = 16  # calls that are made for the sake of one update

Change = Callable[[accounting.Calls], accounting.Calls]


class Calls(NamedTuple):
    """Which calls are measured; None: as many as suit the time there is."""

    first: int
    of_a_repeat: int | None = None


class Going(NamedTuple):
    """A run under way."""

    loop: loops.Loop
    mesh: Any  # of devices
    account: accounting.Account
    state: Any
    call: int  # the next one


class Pair(NamedTuple):
    """Some calls that were timed, as many without updates, and a search."""

    seconds: float  # of a call
    without_updates: float  # of a call
    searching: float  # of a call, its searches by themselves
    updates: float  # of a call
    searched: float  # states of a call


def account_of(
    workload: benchmark_workloads.Workload, fraction: float
) -> accounting.Account:
    """Returns the account of the run whose calls are measured.

    Raises:
      ValueError: if the budget is too small for such a run.
    """
    settings = workload.settings
    cell = config.Cell(frames=workload.frames, fraction=fraction, seed=SEED)
    per_step = registry.frames_per_step(settings.env, settings.protocol)
    return accounting.account_for(settings, cell, per_step)


@contextlib.contextmanager
def begun(
    settings: config.Settings, account: accounting.Account
) -> Iterator[tuple[Going, pathlib.Path]]:
    """Yields a run before its first call, and a directory; both are gone after."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        directory = pathlib.Path(name)
        mesh = sharding.make_mesh(hardware.ALL_DEVICES, account.shards)
        loop = loops.make(settings, SEED, account, mesh, directory)
        try:
            yield Going(loop, mesh, account, loop.state, 0), directory
        finally:
            loop.close()


def as_scheduled(calls: accounting.Calls) -> accounting.Calls:
    """Returns the calls of a run as they are."""
    return calls


def without_updates(calls: accounting.Calls) -> accounting.Calls:
    """Returns the calls with their updates left out, which no run does."""
    return calls._replace(updates=0 * calls.updates)


def advance(
    going: Going, number: int, change: Change = as_scheduled
) -> tuple[Going, float]:
    """Returns the run some calls later, and the seconds that they took."""
    seconds = 0.0
    while number:
        some = min(number, training.CALLS_AT_ONCE)
        going, taken = _advance(going, some, change)
        number, seconds = number - some, seconds + taken
    return going, seconds


def _advance(going: Going, number: int, change: Change) -> tuple[Going, float]:
    account, call = going.account, going.call
    schedule = change(training.padded(account.schedule(call, call + number)))
    state, seconds = measure.returned(
        lambda: going.loop.advance(going.state, schedule, number, account.updates)
    )
    return going._replace(state=state, call=call + number), seconds


def measure_iteration(
    workload: benchmark_workloads.Workload,
    fraction: float,
    effort: measure.Effort,
    calls: Calls,
    profile: pathlib.Path | None = None,
) -> dict[str, Any]:
    """Returns the figures of a call.

    Args:
      workload: settings and budget.
      fraction: share of searched states that are stored ones.
      effort: of the measurement.
      calls: which ones are measured.
      profile: directory for a trace of as many calls as a repeat has; None: none.

    Raises:
      ValueError: if the run is too short for the calls asked for.
    """
    account = account_of(workload, fraction)
    with begun(workload.settings, account) as (going, _):
        going, starting = start(going, calls.first)
        going, number = calls_for(going, effort, calls.of_a_repeat)
        pairs = []
        for _ in range(effort.repeats):
            going, pair = _pair(going, number)
            pairs.append(pair)
        traced = {}
        if profile is not None:
            on_device = registry.is_device(workload.settings.env)
            traced = _trace(going, number, profile, on_device)
    return {
        "fraction": fraction,
        "frames": account.frames,
        "first_call": going.call - 2 * effort.repeats * number,
        "calls_of_a_repeat": number,
        "compile_s": max(0.0, starting - 2 * pairs[0].seconds),
        **_sizes(workload.settings, account),
        **_figures(pairs, account),
        **traced,
    }


def start(going: Going, first_call: int) -> tuple[Going, float]:
    """Returns the run where calls have updates, and the seconds of compiling ones.

    Those are the first call of all and the first one with an update.
    """
    learning = going.account.learning_from + 1
    going, of_first = advance(going, 1)
    going, _ = advance(going, learning - going.call)
    going, of_update = advance(going, 1)
    going, _ = advance(going, max(0, first_call - going.call))
    return going, of_first + of_update


def calls_for(
    going: Going, effort: measure.Effort, asked: int | None = None
) -> tuple[Going, int]:
    """Returns the run, and how many calls a repeat has of those that are left.

    It makes some calls to learn how many suit the time, unless a number is asked for.

    Args:
      going: the run.
      effort: of the measurement.
      asked: calls of a repeat; None: as many as suit.

    Raises:
      ValueError: if there are not so many.
    """
    seconds = 1.0  # of a call
    if asked is None:
        going, seconds = advance(going, 1)
        if seconds < 1:
            going, seconds = advance(going, _PILOT)
            seconds /= _PILOT
    account = going.account
    left = account.calls - going.call
    most = left // (2 * effort.repeats + 1)  # without updates too, and for a trace
    share = effort.seconds / effort.repeats / 3  # with and without updates, searches
    # So few updates may come that short repeats would have none.
    of_an_update = min(_MOST_OF_AN_UPDATE, account.calls // max(1, account.updates) + 1)
    suit = max(of_an_update, int(share / seconds))
    wanted = asked or max(1, min(most, suit))
    if wanted > most:
        raise ValueError(
            f"{effort.repeats} repeats of {wanted} calls, with updates and without, do "
            f"not fit the {left} calls that are left of {account.calls}; give "
            "more --frames, or fewer --calls or --repeats."
        )
    return going, wanted


def _pair(going: Going, number: int) -> tuple[Going, Pair]:
    """Returns the run after `number` calls, and as many again without updates.

    The searches of the call after them are made as many times, and waited for.
    """
    schedule = going.account.schedule(going.call, going.call + number)
    going, seconds = advance(going, number)
    going, less = advance(going, number, without_updates)
    search = search_time.of_call(going.loop, going.state, going.call, going.account)
    measure.run_once(search)  # compiles, the first time
    searching = sum(measure.run_once(search) for _ in range(number)) / number
    searched = float((schedule.fresh + schedule.stored).sum())
    updates = float(schedule.updates.sum())
    return going, Pair(
        seconds / number,
        less / number,
        searching,
        updates / number,
        searched / number,
    )


def _trace(
    going: Going, number: int, directory: pathlib.Path, on_device: bool
) -> dict[str, Any]:
    """Writes a trace of some calls; returns what they took, and the parts' shares.

    Args:
      going: the run.
      number: of calls.
      directory: for the trace, which TensorBoard and Perfetto show.
      on_device: whether a call is one program, whose text names its parts.
    """
    import jax

    parts: dict[str, dict[str, str]] = {}
    if on_device:
        account, call = going.account, going.call
        schedule = training.padded(account.schedule(call, call + number))
        program: Any = going.loop.advance
        lowered = program.lower(going.state, schedule, number, account.updates)
        text = lowered.compile().as_text()
        parts["jit__advance"] = benchmark_trace.parts_of(text)
    before = {*directory.rglob("*")}
    with jax.profiler.trace(str(directory)):
        _, seconds = advance(going, number)
    written = sorted({*directory.rglob("*.xplane.pb")} - before)
    at_work = benchmark_trace.shares(benchmark_trace.operations(written), parts)
    return {"traced_call_s": seconds / number, "at_work": at_work}


def _sizes(settings: config.Settings, account: accounting.Account) -> dict[str, Any]:
    """Returns what the calls and the stores of a run consist of."""
    sizes = registry.sizes(settings.env, settings.protocol)
    stores = sizes and layout.store_bytes(layout.layout_for(settings, account), *sizes)
    return {
        "environments": account.environments,
        "lanes": account.lanes,
        "batch": account.batch_size,
        "calls_of_the_run": account.calls,
        "store_bytes": stores,
    }


def _figures(pairs: Sequence[Pair], account: accounting.Account) -> dict[str, Any]:
    """Returns the medians over repeats; rates follow from them."""
    middle = Pair(*(statistics.median(column) for column in zip(*pairs, strict=True)))
    seconds = [pair.seconds for pair in pairs]
    updating = [pair.seconds - pair.without_updates for pair in pairs]
    beyond = [pair.without_updates / pair.searching for pair in pairs]
    per_step = account.frames_per_step
    return {
        "call_s": middle.seconds,
        "fastest_call_s": min(seconds),
        "slowest_call_s": max(seconds),
        "repeats": len(pairs),
        "call_without_updates_s": middle.without_updates,
        "search_s": middle.searching,
        "time_of_search": statistics.median(beyond),
        "updates_of_a_call": middle.updates,
        "update_s": statistics.median(updating) / middle.updates
        if middle.updates
        else None,
        "searched_of_a_call": middle.searched,
        "searched_states_per_s": middle.searched / middle.seconds,
        "updates_per_s": middle.updates / middle.seconds,
        "frames_per_s": (1 - account.realised_fraction)
        * middle.searched
        * per_step
        / middle.seconds,
    }
