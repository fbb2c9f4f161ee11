"""Environments alone, and evaluation episodes."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

from launch import measure
from scaling import config, loops
from scaling.envs import autoreset, registry

_STEPS = {"device": 100, "host": 10}  # of every environment in one run
# Steps of an episode of a host environment: a whole one may take hours on a CPU.
_EPISODE_STEPS = 5
_HOST_EPISODES = 8


def measure_environment(
    settings: config.Settings, effort: measure.Effort
) -> dict[str, Any]:
    """Returns the figures of environments that take random actions."""
    kind = "device" if registry.is_device(settings.env) else "host"
    with {"device": _on_device, "host": _on_host}[kind](settings) as some_steps:
        timing = measure.time_one(some_steps, effort)
    steps = _STEPS[kind] * settings.environments
    frames = steps * registry.frames_per_step(settings.env, settings.protocol)
    return {
        "kind": kind,
        "environments": settings.environments,
        "frames_per_s": frames / timing.median,
        "steps_per_s": steps / timing.median,
        **timing.as_values(),
    }


@contextlib.contextmanager
def _on_device(settings: config.Settings) -> Iterator[Callable[[], Any]]:
    """Yields a function that makes steps on the device."""
    import jax
    import jax.numpy as jnp

    env = registry.make_device(settings.env, settings.protocol)
    number = settings.environments

    def body(index: Any, carry: Any) -> Any:
        rows, key, seen = carry
        action = jax.random.randint(
            jax.random.fold_in(key, index), (number,), 0, env.spec.num_actions
        )
        rows, outcome = autoreset.step(env, rows, action)
        # Else what nobody reads, the observation above all, would not be computed.
        return rows, key, seen + outcome.observation.sum() + outcome.reward.sum()

    @functools.partial(jax.jit, donate_argnums=0)
    def some(rows: Any, key: Any) -> Any:
        seen = jnp.zeros(())
        return jax.lax.fori_loop(0, _STEPS["device"], body, (rows, key, seen))

    key = jax.random.key(0)
    now, _ = jax.jit(functools.partial(autoreset.reset, env))(
        jax.random.split(key, number)
    )

    def once() -> Any:
        nonlocal now, key
        now, _, seen = some(now, key)
        key = jax.random.fold_in(key, 1)
        return seen

    yield once


@contextlib.contextmanager
def _on_host(settings: config.Settings) -> Iterator[Callable[[], Any]]:
    """Yields a function that makes steps on the host, in this process's threads."""
    import numpy as np

    number = settings.environments
    env = registry.make_host(settings.env, settings.protocol, number)
    rows, random = autoreset.HostRows(env, 0), np.random.default_rng(0)
    every = list(range(number))
    rows.reset(every)

    def once() -> None:
        for _ in range(_STEPS["host"]):
            rows.step(every, random.integers(0, env.spec.num_actions, number))

    try:
        yield once
    finally:
        env.close()


def measure_evaluation(
    settings: config.Settings, params: Any, effort: measure.Effort
) -> dict[str, Any]:
    """Returns the figures of evaluation episodes.

    On the device whole ones, as many as the settings say; on the host a few of some
    steps, whose number is known.
    """
    steps = None
    if not registry.is_device(settings.env):
        settings, steps = _cut_short(settings), _EPISODE_STEPS
    play, _ = loops.evaluation(settings)
    number = settings.evaluation.episodes
    timing = measure.time_one(lambda: play(params, 0, number), effort)
    return {
        "episodes": number,
        "steps_of_an_episode": steps,  # None: until it ends by itself
        "episodes_per_s": number / timing.median,
        "steps_per_s": None if steps is None else number * steps / timing.median,
        **timing.as_values(),
    }


def _cut_short(settings: config.Settings) -> config.Settings:
    """Returns the settings with few and short episodes."""
    frames = registry.frames_per_step(settings.env, settings.protocol)
    protocol = dataclasses.replace(
        settings.protocol, max_frames=_EPISODE_STEPS * frames
    )
    episodes = min(_HOST_EPISODES, settings.evaluation.episodes)
    return dataclasses.replace(
        settings,
        protocol=protocol,
        evaluation=dataclasses.replace(settings.evaluation, episodes=episodes),
    )
