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

from scaling import accounting, config, evaluate, iteration, types, video
from scaling import layout as layouts
from scaling.agent import model as models
from scaling.envs import autoreset, interface, registry
from scaling.learner import update
from scaling.replay import frames as frame_store
from scaling.replay import steps


class Programs(NamedTuple):
    """The compiled parts of an iteration; stores of frames are not in them."""

    initial: Callable[..., iteration.State]
    place: Callable[..., iteration.Placed]
    search: Callable[..., types.Searched]
    draw: Callable[..., Any]
    learn: Callable[..., tuple[update.LearnerState, update.Metrics]]
    record: Callable[..., iteration.State]


@functools.lru_cache(maxsize=8)
def programs(
    settings: config.Settings, spec: types.EnvSpec, layout: layouts.Layout
) -> Programs:
    """Returns one set of programs for all cells of these settings and sizes."""
    parts = iteration.make_parts(settings, spec, layout)

    def search(params, frames, past, keys, call, total_updates):
        history = types.History(frames, past)
        heat = parts.temperature(call, total_updates)
        return parts.search(params, history, keys, heat)

    def draw(state, call, number):
        samples = parts.draw(state, call, number)
        return samples, parts.batch_stacks(state, samples)

    def learn(state, metrics, samples, frames, progress):
        batch = parts.batch(state, samples, frames)
        learner, new = parts.update(state.learner, batch, progress)
        return learner, jax.tree.map(jnp.add, metrics, new)

    return Programs(
        initial=jax.jit(parts.initial),
        place=jax.jit(parts.place),
        search=jax.jit(search),
        draw=jax.jit(draw),
        learn=jax.jit(learn),
        record=jax.jit(parts.record, donate_argnums=0),
    )


def groups_for(settings: config.Settings, layout: layouts.Layout) -> int:
    """Returns the lockstep groups: the most, up to the setting, that divide lanes."""
    fresh, stored = (
        layout.shards * rows for rows in (layout.environments, layout.stored_slots)
    )
    return max(
        number
        for number in range(1, settings.groups + 1)
        if fresh % number == 0 and stored % number == 0
    )


class HostLoop:
    """One run with host environments.

    Args:
      settings: of the study.
      spec: of the environment.
      layout: sizes.
      seed: of the run.
      directory: where the frames are stored while the run lasts.
    """

    def __init__(
        self,
        settings: config.Settings,
        spec: types.EnvSpec,
        layout: layouts.Layout,
        seed: int,
        directory: pathlib.Path,
    ):
        self._layout = layout
        self._programs = programs(settings, spec, layout)
        self._groups = _group_rows(layout, groups_for(settings, layout))
        shape = (layout.shards, max(1, layout.environments), layout.step_capacity)
        self._frames = frame_store.HostFrames(
            directory, shape, spec.observation_shape, spec.observation_dtype
        )
        rows = layout.shards * layout.environments
        self._environments = None
        if rows:
            env = registry.make_host(settings.env, settings.protocol, rows)
            self._environments = autoreset.HostRows(env, seed)
            first = self._environments.reset(range(rows))
            self._store(first, np.zeros(rows, int), np.ones(rows, bool))
        self._actors = ThreadPoolExecutor(len(self._groups), "environments")
        self._fetcher = ThreadPoolExecutor(1, "batches")
        self.state = self._programs.initial(
            jax.random.key(seed), iteration.Start((), (), ())
        )

    def advance(
        self,
        state: iteration.State,
        calls: accounting.Calls,
        number: int,
        total_updates: int,
    ) -> tuple[iteration.State, update.Metrics]:
        """Returns the state after the first `number` of `calls`, and summed metrics."""
        metrics = update.no_metrics()
        for index in range(number):
            call = iteration.Call(*(int(field[index]) for field in calls))
            state, metrics = self._call(state, metrics, call, total_updates)
        return state, metrics

    def close(self) -> None:
        """Stops the environments and deletes the stored frames."""
        self._actors.shutdown()
        self._fetcher.shutdown()
        if self._environments is not None:
            self._environments.env.close()
        self._frames.close()

    def _call(
        self,
        state: iteration.State,
        metrics: update.Metrics,
        call: iteration.Call,
        total_updates: int,
    ) -> tuple[iteration.State, update.Metrics]:
        placed = self._programs.place(state, call)
        batches = self._batches(state, call)
        first = next(batches, None)  # on its way while the device searches
        searched, acting = self._search_and_act(state, placed, call, total_updates)
        learner = state.learner
        for offset, (samples, frames) in enumerate(_chain(first, batches)):
            progress = (call.first_update + offset) / max(total_updates, 1)
            learner, metrics = self._programs.learn(
                state._replace(learner=learner),
                metrics,
                samples,
                frames.result(),
                progress,
            )
        outcome = self._outcome(acting)
        live = np.asarray(placed.live[:, : self._layout.environments]).reshape(-1)
        facts = jax.tree.map(self._to_shards, self._facts(searched, outcome))
        state = self._programs.record(
            state._replace(learner=learner),
            placed,
            call,
            jax.tree.map(self._to_shards, searched),
            facts,
        )
        if outcome is not None:
            count = np.asarray(state.shard.steps.complete).reshape(-1)
            self._store(outcome.observation, count, live)
        return state, metrics

    def _batches(
        self, state: iteration.State, call: iteration.Call
    ) -> Iterator[tuple[Any, Future]]:
        """Yields the samples of the call's updates; the next frames are on the way.

        All are drawn from what was recorded before the call, in a fixed order, and
        no more than two batches are in memory.
        """
        waiting: list[tuple[Any, Future]] = []
        for offset in range(call.updates):
            number = call.first_update + offset
            samples, stacks = self._programs.draw(state, call, number)
            waiting.append((samples, self._fetcher.submit(self._fetch, stacks)))
            if offset:
                yield waiting.pop(0)
        yield from waiting

    def _fetch(self, stacks: tuple[steps.Stack, ...]) -> tuple[jax.Array, ...]:
        return tuple(jnp.asarray(self._frames.gather(stack)) for stack in stacks)

    def _search_and_act(
        self,
        state: iteration.State,
        placed: iteration.Placed,
        call: iteration.Call,
        total_updates: int,
    ) -> tuple[types.Searched, list[Future]]:
        """Searches group after group; a group's environments step meanwhile."""
        inputs = (self._frames.gather(placed.stack), placed.past, placed.keys)
        frames, past, keys = frame_store.to_rows(inputs)
        found = [
            self._programs.search(
                state.learner.params,
                frames[rows],
                past[rows],
                keys[rows],
                call,
                total_updates,
            )
            for rows, _ in self._groups
        ]
        acting = []
        if call.fresh:
            for (rows, environments), result in zip(self._groups, found, strict=True):
                action = np.asarray(result.action)[: len(environments)]
                acting.append(self._actors.submit(self._step, environments, action))
                del rows
        return _in_order(found, self._groups), acting

    def _step(self, environments: np.ndarray, action: np.ndarray) -> types.Outcome:
        assert self._environments is not None
        return self._environments.step(environments.tolist(), action)

    def _outcome(self, acting: list[Future]) -> types.Outcome | None:
        """Returns what all environments did, in the order of rows."""
        if not acting:
            return None
        parts = [future.result() for future in acting]
        joined = jax.tree.map(lambda *fields: np.concatenate(fields), *parts)
        order = np.argsort(np.concatenate([rows for _, rows in self._groups]))
        return jax.tree.map(lambda field: field[order], joined)

    def _facts(
        self, searched: types.Searched, outcome: types.Outcome | None
    ) -> steps.Facts:
        """Returns the facts of the environments' steps, zeros if there were none."""
        rows = self._layout.shards * self._layout.environments
        if outcome is None:
            none = jnp.zeros(rows)
            return steps.Facts(none.astype(jnp.int32), none, none, none > 0)
        action = self._to_shards(searched.action)[:, : self._layout.environments]
        return steps.Facts(
            action=action.reshape(rows),
            reward=jnp.asarray(outcome.reward),
            discount=jnp.asarray(outcome.discount),
            last=jnp.asarray(outcome.terminated | outcome.truncated),
        )

    def _to_shards(self, rows: Any) -> Any:
        return frame_store.to_shards(rows, self._layout.shards)

    def _store(self, frame: np.ndarray, step: np.ndarray, live: np.ndarray) -> None:
        self._frames.append(*map(self._to_shards, (frame, step, live)))


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    if first is not None:
        yield first
        yield from rest


def _group_rows(
    layout: layouts.Layout, groups: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns each group's rows of the search batch and its environments' numbers.

    The rows of the environments come first.
    """
    rows = np.arange(layout.shards * layout.lanes).reshape(layout.shards, -1)
    fresh = rows[:, : layout.environments].reshape(-1)
    stored = rows[:, layout.environments :].reshape(-1)
    return [
        (
            np.concatenate([fresh[group::groups], stored[group::groups]]),
            np.arange(fresh.size)[group::groups],
        )
        for group in range(groups)
    ]


def _in_order(
    found: list[types.Searched], groups: list[tuple[np.ndarray, np.ndarray]]
) -> types.Searched:
    """Returns the results of all groups in the order of the search batch."""
    order = np.argsort(np.concatenate([rows for rows, _ in groups]))
    return jax.tree.map(lambda *parts: jnp.concatenate(parts)[order], *found)


def evaluation(settings: config.Settings) -> tuple[evaluate.Evaluate, types.EnvSpec]:
    """Returns the function that plays evaluation episodes, and the specification."""
    env, policy = _player(settings)
    return evaluate.on_host(env, policy, settings.protocol), env.spec


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
    return env, evaluate.greedy_policy(models.make_model(env.spec, settings), settings)
