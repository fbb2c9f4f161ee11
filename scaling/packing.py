"""Seeds of one cell that go on as one program, each a run like any other.

Each run has a thread of its own and is made there by `scaling.run.run`: its
checkpoints, its log, its evaluation and its row are those of a run by itself, and each
kind goes on from what the other has left. Where its loop would advance its state, the
threads meet, and the states of all are advanced by one program that has a leading axis
of runs, spread over the devices. So a run that fails fails alone; the program goes on
with its place, and nobody looks at that.

Runs can go on together if they are at the same call and their stores are alike: calls
do the same in all seeds of a cell, for they follow from the account alone.
"""

import dataclasses
import functools
import math
import pathlib
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from scaling import (
    accounting,
    config,
    execution,
    hardware,
    loops,
    meeting,
    run,
    run_state,
    sharding,
    training,
)
from scaling import layout as layouts
from scaling.learner import update

Runner = Callable[..., dict[str, Any]]  # the signature of scaling.run.run
_ONE_DEVICE = hardware.Mesh(data=1)


def side_by_side(precision: str, jobs: Sequence[Callable[[Runner], None]]) -> None:
    """Does every job in a thread of its own, with what makes a run of it.

    Args:
      precision: of the runs.
      jobs: each of them calls its runner once, for one of the seeds of a cell.

    Raises:
      Exception: the error of the first job that raised one.
    """
    turn = threading.Condition()
    hall = meeting.Meeting(range(len(jobs)), turn)
    seats = [Seat(number, hall, turn) for number in range(len(jobs))]

    def do(seat: Seat, job: Callable[[Runner], None]) -> None:
        try:
            job(seat.run)
        finally:
            seat.leave()

    with sharding.precision(precision):  # of all threads, until the last one ends
        pairs = zip(seats, jobs, strict=True)
        meeting.in_threads([functools.partial(do, *pair) for pair in pairs])


class Seat:
    """The place of one run among others.

    Args:
      number: of the place.
      hall: where all meet before their first call.
      turn: held by the thread that is at work.
    """

    def __init__(self, number: int, hall: meeting.Meeting, turn: threading.Condition):
        self._number, self._hall, self._turn = number, hall, turn
        self._room: _Room | None = None
        self._devices: int | None = None  # that the runs may be spread over

    def run(
        self,
        settings: config.Settings,
        cell: config.Cell,
        directory: pathlib.Path,
        *,
        how: execution.Execution = execution.DEFAULT,
        report: run.Report = lambda event: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> dict[str, Any]:
        """Makes a run as `scaling.run.run` does, with the others where that can be.

        The run itself is on one device; `how.mesh` says over how many the runs are
        spread.
        """
        self._devices = how.mesh.data
        how = dataclasses.replace(how, mesh=_ONE_DEVICE)
        with self._turn:
            return run.run(
                settings,
                cell,
                directory,
                how=how,
                report=report,
                stop=stop,
                join=self._join,
            )

    def leave(self) -> None:
        """Notes that the run has ended; nobody waits for it."""
        for place in (self._hall, self._room):
            if place is not None:
                place.leave(self._number)

    def _join(
        self, work: training.Run, state: run_state.State, call: int
    ) -> tuple[training.Run, run_state.State]:
        """Returns work and state of a run that goes on with those at its call."""
        brought = _Brought(work, state, call, self._devices)
        rooms = functools.partial(_rooms, turn=self._turn)
        room: _Room | None = self._hall.meet(self._number, brought, rooms)
        if room is None:
            return work, state
        self._room, bind = room, functools.partial
        loop = work.loop._replace(
            advance=bind(room.advance, self._number),
            read_log=bind(room.read_log, self._number),
            search=bind(room.search, self._number),
            whole=bind(room.whole, self._number),
        )
        packed = max(room.size, work.meta.get("packed", 1))
        meta = {**work.meta, "packed": packed}
        agree = bind(room.agree, self._number)
        return work._replace(loop=loop, meta=meta, agree=agree), room.seen(self._number)


class _Brought(NamedTuple):
    """A run before it goes on."""

    work: training.Run
    state: run_state.State
    call: int
    devices: int | None

    @property
    def can_be_packed(self) -> bool:
        """Whether there is something left to do, all of it on the device.

        Borrowed data are not packed: each run would have its own copy of them.
        """
        on_device = self.work.loop.host is None and "borrowed" not in self.work.meta
        return on_device and self.call < self.work.account.calls

    @property
    def layout(self) -> layouts.Layout:
        """Sizes of its stores; it borrows no data."""
        work = self.work
        allocated = work.how.allocate_frames
        sized = run.largest(work.settings, work.cell, work.account, allocated)
        return layouts.layout_for(work.settings, sized)


def _rooms(
    brought: dict[int, _Brought], turn: threading.Condition
) -> dict[int, "_Room | None"]:
    """Returns where each run goes on: with those like it, or None, by itself."""
    alike: dict[Any, list[int]] = {}
    for number, one in brought.items():
        if one.can_be_packed:
            alike.setdefault((one.call, one.layout), []).append(number)
    rooms: dict[int, _Room | None] = dict.fromkeys(brought)
    for numbers in alike.values():
        if len(numbers) > 1:
            room = _Room({number: brought[number] for number in numbers}, turn)
            rooms |= dict.fromkeys(numbers, room)
    return rooms


class _Room:
    """Runs that go on as one program, and their state.

    Args:
      brought: the runs, by the numbers of their seats; their states are given away.
      turn: held by the thread that is at work.
    """

    def __init__(self, brought: dict[int, _Brought], turn: threading.Condition):
        first, numbers = next(iter(brought.values())), list(brought)
        self._rows = {number: row for row, number in enumerate(numbers)}
        self._meeting = meeting.Meeting(numbers, turn)
        self._home = first.state.key.sharding
        devices, spare = _spread(len(numbers), first.devices or jax.device_count())
        mesh = sharding.make_mesh(hardware.Mesh(data=devices), devices)
        self._programs = loops.packed_programs(first.work.settings, first.layout, mesh)
        states = [one.state for one in brought.values()]
        self._keep(_stacked(states + [states[-1]] * spare, mesh))

    @property
    def size(self) -> int:
        """Runs that began here."""
        return len(self._rows)

    def leave(self, number: int) -> None:
        """Notes that a run has ended."""
        self._meeting.leave(number)

    def advance(
        self,
        number: int,
        state: run_state.State,
        calls: accounting.Calls,
        count: int,
        total_updates: int,
    ) -> run_state.State:
        """Returns what is seen of a run after some calls of all."""
        del state

        def deal(brought: dict[int, Any]) -> dict[int, Any]:
            state = self._programs.advance(self._state, calls, count, total_updates)
            self._keep(state)
            return {one: self.seen(one) for one in brought}

        return self._meeting.meet(number, None, deal)

    def read_log(
        self, number: int, state: run_state.State
    ) -> tuple[run_state.State, run_state.Summary]:
        """Returns what is seen of a run, with its network, and its sums for the log."""
        del state

        def deal(brought: dict[int, Any]) -> dict[int, Any]:
            state, summary = self._programs.read_log(self._state)
            self._keep(state)
            sums = jax.tree.map(np.array, summary)
            return {one: self._part(one, sums) for one in brought}

        summary = self._meeting.meet(number, None, deal)
        seen = self.seen(number)
        params = self._taken(number, self._state.learner.params)
        learner = seen.learner._replace(params=params)
        return seen._replace(learner=learner), summary

    def search(
        self,
        number: int,
        state: run_state.State,
        call: run_state.Call,
        total_updates: int,
    ) -> None:
        """Waits for the searches of a call of all runs; nothing else of it is done."""
        del state

        def deal(brought: dict[int, Any]) -> dict[int, Any]:
            found = self._programs.search(self._state, call, total_updates)
            jax.block_until_ready(found)
            return dict.fromkeys(brought)

        self._meeting.meet(number, None, deal)

    def agree(self, number: int, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the first run's values, and the largest of any."""

        def deal(brought: dict[int, np.ndarray]) -> dict[int, Any]:
            found = np.stack(list(brought.values()))
            return dict.fromkeys(brought, (found[0], found.max(axis=0)))

        return self._meeting.meet(number, values, deal)

    def seen(self, number: int) -> run_state.State:
        """Returns the state of a run, but without what only `whole` cuts out."""
        none: dict[str, Any] = dict.fromkeys(run_state.State._fields, ())
        learner: dict[str, Any] = dict.fromkeys(update.LearnerState._fields, ())
        return run_state.State(**none)._replace(
            learner=update.LearnerState(**learner),
            metrics=self._part(number, self._metrics),
        )

    def whole(self, number: int, state: run_state.State) -> run_state.State:
        """Returns all of the state of a run, as it is now."""
        del state
        return self._taken(number, self._state)

    def _keep(self, state: run_state.State) -> None:
        """Keeps the state of all, and a copy of its sums: the state is given away."""
        self._state = state
        self._metrics = jax.tree.map(np.array, state.metrics)

    def _part(self, number: int, sums: Any) -> Any:
        """Returns a run's part of sums that were copied."""
        return jax.tree.map(lambda x: x[self._rows[number]], sums)

    def _taken(self, number: int, tree: Any) -> Any:
        """Returns a run's part of the state, where a run by itself has it."""
        return jax.device_put(sharding.row(tree, self._rows[number]), self._home)


def _spread(runs: int, devices: int) -> tuple[int, int]:
    """Returns how many devices the runs are spread over, and places left over.

    Each device has equally many places; one that is left over repeats a run.
    """
    each = math.ceil(runs / devices)
    used = math.ceil(runs / each)
    return used, used * each - runs


def _stacked(
    states: Sequence[run_state.State], mesh: jax.sharding.Mesh
) -> run_state.State:
    """Returns the states on a leading axis that is spread over a mesh; frees theirs."""

    def stack(*leaves: jax.Array) -> jax.Array:
        is_key = jnp.issubdtype(leaves[0].dtype, jax.dtypes.prng_key)
        plain = [jax.random.key_data(leaf) if is_key else leaf for leaf in leaves]
        whole = sharding.from_local(mesh, np.stack([np.asarray(x) for x in plain]))
        for leaf in leaves:
            if not leaf.is_deleted():
                leaf.delete()
        return jax.random.wrap_key_data(whole) if is_key else whole

    return jax.tree.map(stack, *states)
