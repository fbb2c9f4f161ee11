"""The loop for host environments: emulators step while the device works.

The lanes are split into fixed groups. In a call the device searches one group after
another; as soon as a group's actions are known its environments step in a thread,
while the device searches the next group and learns. Nothing runs free: a call ends
when all of its parts have, so the result does not depend on how fast any of them is.
"""

import functools
import pathlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from scaling import (
    accounting,
    borrowed,
    config,
    evaluate,
    groups,
    iteration,
    peers,
    run_state,
    saving,
    sharding,
    types,
    video,
)
from scaling import layout as layouts
from scaling.agent import model as models
from scaling.envs import autoreset, interface, registry
from scaling.learner import update
from scaling.replay import frames as frame_store
from scaling.replay import steps


class Programs(NamedTuple):
    """The compiled parts of an iteration; stores of frames are not in them.

    The learner is given to those alone that need it: to hand over the hundreds of
    arrays of an optimiser takes longer than a small program.
    """

    initial: Callable[..., run_state.State]
    place: Callable[..., run_state.Placed]
    search: tuple[Callable[..., types.Searched], ...]  # one for each group
    draw: Callable[..., Any]
    learn: Callable[..., tuple[update.LearnerState, update.Metrics]]
    record: Callable[..., run_state.State]
    read_log: Callable[..., tuple[run_state.State, run_state.Summary]]


class Happened(NamedTuple):
    """What the environments' steps led to, fields [G, E]."""

    reward: Any
    discount: Any
    last: Any


@functools.lru_cache(maxsize=8)
def programs(
    settings: config.Settings,
    spec: types.EnvSpec,
    layout: layouts.Layout,
    mesh: jax.sharding.Mesh,
) -> Programs:
    """Returns one set of programs for all cells of these settings and sizes."""
    parts = iteration.make_parts(settings, spec, layout, sharding.mean(mesh))
    rows, whole = sharding.ROWS, sharding.WHOLE
    learner = run_state.learner_specs(mesh, settings, spec)
    state, but_learner = run_state.specs(learner), run_state.specs(())
    placed = run_state.placed_specs()
    make = functools.partial(sharding.program, mesh=mesh)
    bind = functools.partial
    split = groups.make(settings.groups, layout, mesh)
    return Programs(
        initial=make(
            bind(_initial, parts=parts), inputs=(whole, rows, rows), outputs=state
        ),
        place=make(parts.place, inputs=(but_learner, whole), outputs=placed),
        search=tuple(
            make(
                bind(_search, parts=parts, rows=group.rows),
                inputs=(learner.params, rows, placed, whole, whole),
                outputs=rows,
            )
            for group in split
        ),
        draw=make(
            bind(_draw, parts=parts),
            inputs=(but_learner, placed, whole, whole),
            outputs=rows,
        ),
        learn=make(
            bind(_learn, parts=parts),
            inputs=(state, rows, rows, whole, whole),
            outputs=(learner, whole),
        ),
        record=make(
            bind(_record, parts=parts, order=groups.order(split)),
            inputs=(but_learner, placed, whole, rows, rows),
            outputs=but_learner,
            donate=(0,),
        ),
        read_log=make(
            bind(iteration.read_log, total=sharding.total(mesh)),
            inputs=(state,),
            outputs=(state, whole),
            donate=(0,),
        ),
    )


def _initial(
    seed: Any, number: Any, fixed: Any, *, parts: iteration.Parts
) -> run_state.State:
    archived = run_state.ArchivedFrames((), ())
    start = run_state.Start(number, (), (), (), fixed, archived)
    return parts.initial(jax.random.key(seed), start)


def _search(params, frames, placed, call, total_updates, *, parts, rows):
    """Returns the searches of the rows of a group; their frames are given."""
    past, keys = frame_store.to_rows((placed.past, placed.keys))
    history = types.History(frames, past[rows])
    heat = parts.temperature(call, total_updates)
    return parts.look(params, history, keys[rows], heat)


def _draw(state, placed, call, number, *, parts):
    samples = parts.draw(state, placed, call, number)
    return samples, parts.batch_stacks(state, samples)


def _learn(state, samples, frames, number, total_updates, *, parts):
    progress = iteration.progress(number, total_updates)
    batch = parts.batch(state, samples, frames)
    learner, new = parts.update(state.learner, batch, progress)
    return learner, jax.tree.map(jnp.add, state.metrics, new)


def _record(state, placed, call, found, happened, *, parts, order):
    """Returns the state after a call; `found` has the searches of each group."""
    searched = jax.tree.map(lambda *fields: jnp.concatenate(fields)[order], *found)
    searched = frame_store.to_shards(searched, state.shard.number.size)
    action = searched.action[:, : parts.layout.environments]
    facts = steps.Facts(action, *happened)
    return parts.record(state, placed, call, searched, facts)


class HostLoop:
    """One run with host environments: those of this process's shards.

    Args:
      settings: of the study.
      spec: of the environment.
      layout: sizes.
      seed: of the run.
      mesh: of devices.
      directory: where the frames are stored while the run lasts.
      data: what the run borrows, if anything; its frames stay in its files.
    """

    def __init__(
        self,
        settings: config.Settings,
        spec: types.EnvSpec,
        layout: layouts.Layout,
        seed: int,
        mesh: jax.sharding.Mesh,
        directory: pathlib.Path,
        data: borrowed.Borrowed | None = None,
    ):
        self._layout, self._mesh = layout, mesh
        self._programs = programs(settings, spec, layout, mesh)
        self._shards = sharding.local_shards(mesh, layout.shards)
        self._groups = groups.local(
            groups.make(settings.groups, layout, mesh), layout, mesh
        )
        self._frames = self._home(
            directory, (layout.columns, layout.step_capacity), spec
        )
        homes: list[tuple[frame_store.Home, int]] = [(self._frames, layout.columns)]
        if data is not None:
            homes.append((data.on_host(self._shards), 1))
        self._best = None
        if layout.best_steps:
            shape = (1, layout.best_capacity)
            self._best = self._home(directory / "best", shape, spec)
            homes.append((self._best, 1))
        self._homes = frame_store.JoinedFrames(homes)
        self._environments = None
        if rows := len(self._shards) * layout.environments:
            env = registry.make_host(settings.env, settings.protocol, rows)
            self._environments = autoreset.HostRows(
                env, seed, self._shards[0] * layout.environments
            )
            first = self._environments.reset(range(rows))
            self._store(first, np.zeros(rows, int), np.ones(rows, bool))
        self._actors = ThreadPoolExecutor(len(self._groups), "environments")
        self._fetcher = ThreadPoolExecutor(1, "batches")
        fixed = () if data is None else data.facts(self._shards)
        self.state = self._programs.initial(
            np.uint32(seed),
            *sharding.from_local(mesh, (np.array(self._shards, np.int32), fixed)),
        )

    def _home(
        self, directory: pathlib.Path, shape: tuple[int, int], spec: types.EnvSpec
    ) -> frame_store.HostFrames:
        return frame_store.HostFrames(
            directory,
            self._shards,
            (*shape, *spec.observation_shape),
            spec.observation_dtype,
        )

    def advance(
        self,
        state: run_state.State,
        calls: accounting.Calls,
        number: int,
        total_updates: int,
    ) -> run_state.State:
        """Returns the state after the first `number` of `calls`."""
        for index in range(number):
            call = run_state.Call(*(field[index] for field in calls))
            state = self._call(state, call, total_updates)
        return state

    def search(
        self, state: run_state.State, call: run_state.Call, total_updates: int
    ) -> list[types.Searched]:
        """Returns what each group of a call finds; nothing else of it is done."""
        placed = self._programs.place(state._replace(learner=()), call)
        return self._find(state.learner.params, placed, call, total_updates)

    @property
    def kept(self) -> saving.Host:
        """What of the state the host keeps."""
        return saving.Host(self._environments, self._frames, self._best)

    def read_log(
        self, state: run_state.State
    ) -> tuple[run_state.State, run_state.Summary]:
        """Returns the state with its sums for the log at zero, and what they were."""
        return self._programs.read_log(state)

    def close(self) -> None:
        """Stops the environments and deletes the stored frames."""
        self._actors.shutdown()
        self._fetcher.shutdown()
        if self._environments is not None:
            self._environments.env.close()
        if self._best is not None:
            self._best.close()
        self._frames.close()

    def _call(
        self,
        state: run_state.State,
        call: run_state.Call,
        total_updates: int,
    ) -> run_state.State:
        learner, state = state.learner, state._replace(learner=())
        placed = self._programs.place(state, call)
        batches = self._batches(state, placed, call)
        first = next(batches, None)  # on its way while the device searches
        found, acting = self._search_and_act(
            learner.params, placed, call, total_updates
        )
        for offset, (samples, frames) in enumerate(_chain(first, batches)):
            number = np.int32(call.first_update + offset)
            learning = state._replace(learner=learner)
            learner, metrics = self._programs.learn(
                learning, samples, frames.result(), number, total_updates
            )
            state = state._replace(metrics=metrics)
        outcome = self._outcome(acting)
        peers.group().mark(f"the environments of call {call.number}")
        live = sharding.to_local(placed.live)[:, : self._layout.environments]
        state = self._programs.record(
            state,
            placed,
            call,
            found,
            sharding.from_local(self._mesh, self._happened(outcome)),
        )
        if outcome is not None:
            self._copy_the_best(state)
            count = sharding.to_local(state.shard.steps.complete)
            self._store(outcome.observation, count.reshape(-1), live.reshape(-1))
        return state._replace(learner=learner)

    def _batches(
        self, state: run_state.State, placed: run_state.Placed, call: run_state.Call
    ) -> Iterator[tuple[Any, Future]]:
        """Yields the samples of the call's updates; the next frames are on the way.

        All are drawn from what was recorded before the call, in a fixed order, and
        no more than two batches are in memory.
        """
        waiting: list[tuple[Any, Future]] = []
        for offset in range(call.updates):
            number = np.int32(call.first_update + offset)
            samples, stacks = self._programs.draw(state, placed, call, number)
            waiting.append((samples, self._fetcher.submit(self._fetch, stacks)))
            if offset:
                yield waiting.pop(0)
        yield from waiting

    def _fetch(self, stacks: tuple[steps.Stack, ...]) -> tuple[jax.Array, ...]:
        return tuple(
            sharding.from_local(
                self._mesh, self._to_shards(self._gather(sharding.to_local(stack)))
            )
            for stack in stacks
        )

    def _gather(self, stack: steps.Stack) -> np.ndarray:
        """Returns the frames [G·B, D, ...] of stacks with fields [G, B, ...]."""
        shards, rows = stack.column.shape
        shard = np.repeat(np.arange(shards), rows)
        return self._homes.gather(shard, frame_store.to_rows(stack))

    def _search_and_act(
        self,
        params: types.Params,
        placed: run_state.Placed,
        call: run_state.Call,
        total_updates: int,
    ) -> tuple[list[types.Searched], list[Future]]:
        """Searches group after group; a group's environments step meanwhile."""
        found, acting = self._find(params, placed, call, total_updates), []
        if call.fresh:
            for group, result in zip(self._groups, found, strict=True):
                action = sharding.to_local(result.action)[group.is_fresh]
                acting.append(
                    self._actors.submit(self._step, group.environments, action)
                )
        return found, acting

    def _find(
        self,
        params: types.Params,
        placed: run_state.Placed,
        call: run_state.Call,
        total_updates: int,
    ) -> list[types.Searched]:
        """Returns what the groups find, one after another; the device is at it."""
        stack = frame_store.to_rows(sharding.to_local(placed.stack))
        found = []
        for group, search in zip(self._groups, self._programs.search, strict=True):
            wanted = steps.Stack(*(field[group.rows] for field in stack))
            frames = self._homes.gather(group.rows // self._layout.lanes, wanted)
            frames = sharding.from_local(self._mesh, frames)
            found.append(search(params, frames, placed, call, total_updates))
        return found

    def _step(self, environments: np.ndarray, action: np.ndarray) -> types.Outcome:
        assert self._environments is not None
        return self._environments.step(environments.tolist(), action)

    def _outcome(self, acting: list[Future]) -> types.Outcome | None:
        """Returns what all environments did, in the order of rows."""
        if not acting:
            return None
        parts = [future.result() for future in acting]
        joined = jax.tree.map(lambda *fields: np.concatenate(fields), *parts)
        order = np.argsort(np.concatenate([g.environments for g in self._groups]))
        return jax.tree.map(lambda field: field[order], joined)

    def _happened(self, outcome: types.Outcome | None) -> Happened:
        """Returns what the environments' steps led to, zeros if there were none."""
        if outcome is None:
            none = np.zeros((len(self._shards), self._layout.environments), np.float32)
            return Happened(none, none, none > 0)
        last = outcome.terminated | outcome.truncated
        return self._to_shards(Happened(outcome.reward, outcome.discount, last))

    def _to_shards(self, rows: Any) -> Any:
        return frame_store.to_shards(rows, len(self._shards))

    def _copy_the_best(self, state: run_state.State) -> None:
        """Copies the frames of the episodes that the call has made the best."""
        if self._best is None:
            return
        moves = sharding.to_local(state.shard.archives.best.table.moves)
        for shard, row in np.argwhere(moves.length > 0):
            move = frame_store.Move(*(int(field[shard, row]) for field in moves))
            home = self._frames
            if move.column == self._layout.columns:
                home, move = self._best, move._replace(column=0)
            home.copy_to(self._best, int(shard), move)

    def _store(self, frame: np.ndarray, step: np.ndarray, live: np.ndarray) -> None:
        self._frames.append(*map(self._to_shards, (frame, step, live)))


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    if first is not None:
        yield first
        yield from rest


def evaluation(settings: config.Settings) -> tuple[evaluate.Evaluate, types.EnvSpec]:
    """Returns the function that plays evaluation episodes, and the specification."""
    env, policy = _player(settings)
    return evaluate.on_host(env, policy, settings.protocol), env.spec


def random_play(settings: config.Settings) -> evaluate.Evaluate:
    """Returns the function that plays evaluation episodes at random."""
    env, _ = _player(settings)
    policy = evaluate.random_policy(env.spec.num_actions)
    return evaluate.on_host(env, policy, settings.protocol)


def first_episode(settings: config.Settings) -> video.Watch:
    """Returns the function that plays the first episode of an evaluation again."""
    env, policy = _player(settings)
    return video.on_host(env, policy, settings.protocol)


@functools.lru_cache(maxsize=2)
def _player(
    settings: config.Settings,
) -> tuple[interface.HostEnvironment, evaluate.Policy]:
    """Returns the environments and the policy that is evaluated in them.

    The environments are kept for the next evaluation: starting one takes long.
    """
    rows = min(settings.evaluation.episodes, evaluate.LANES)
    env = registry.make_host(settings.env, settings.protocol, rows)
    model = models.make_model(env.spec, settings)
    return env, evaluate.policy_for(settings.evaluation.action, model, settings)
