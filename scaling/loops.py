"""Which loop runs an environment: what the two kinds have in common."""

import functools
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from scaling import (
    accounting,
    borrowed,
    config,
    device_loop,
    evaluate,
    host_loop,
    run_state,
    saving,
    sharding,
    types,
    video,
)
from scaling import layout as layouts
from scaling.agent import model as models
from scaling.envs import interface, registry


class Loop(NamedTuple):
    """A run before its first call, and what moves it on."""

    spec: types.EnvSpec
    state: run_state.State
    advance: Callable[..., run_state.State]  # (state, calls, number, total updates)
    read_log: Callable[..., tuple[run_state.State, run_state.Summary]]
    search: Callable[..., Any]  # (state, `Call`, total updates) → what its lanes find
    evaluate: evaluate.Evaluate
    host: saving.Host | None  # what of the state the host keeps
    close: Callable[[], None]
    whole: Callable[[run_state.State], run_state.State] = lambda state: state
    """What `advance` returned → all of the state, for a loop that keeps it elsewhere"""


def make(
    settings: config.Settings,
    seed: int,
    largest: accounting.Account,
    mesh: jax.sharding.Mesh,
    directory: pathlib.Path,
    data: borrowed.Borrowed | None = None,
) -> Loop:
    """Returns the loop for the settings' environment, ready for its first call.

    Without environments all runs alike are on the device, whatever the environment of
    the evaluation is, but for a data set whose frames are too large: it stays in its
    files.

    Args:
      settings: of the study.
      seed: of the run.
      largest: account of the largest cell that shares the program, for the sizes.
      mesh: of devices.
      directory: of the run, for what the host stores.
      data: what the run borrows, if anything.
    """
    capacity = 0 if data is None else data.capacity
    layout = layouts.layout_for(settings, largest, capacity)
    on_device = registry.is_device(settings.env)
    if data is not None and not layout.environments:
        on_device = data.frame_bytes <= borrowed.MOST_ON_DEVICE
    if on_device:
        return _on_device(settings, seed, layout, mesh, data)
    return _on_host(settings, seed, layout, mesh, directory, data)


def specification(settings: config.Settings) -> types.EnvSpec:
    """Returns the specification of the settings' environment."""
    return evaluation(settings)[1]


def evaluation(settings: config.Settings) -> tuple[evaluate.Evaluate, types.EnvSpec]:
    """Returns the function that plays evaluation episodes, and what it plays."""
    if registry.is_device(settings.env):
        env, play = _device_evaluation(settings)
        return play, env.spec
    return host_loop.evaluation(settings)


def random_play(settings: config.Settings) -> evaluate.Evaluate:
    """Returns the function that plays evaluation episodes at random."""
    if not registry.is_device(settings.env):
        return host_loop.random_play(settings)
    env, _ = _device_player(settings)
    policy = evaluate.random_policy(env.spec.num_actions)
    return evaluate.on_device(env, policy, settings.protocol, _lanes(settings))


def first_episode(settings: config.Settings) -> video.Watch:
    """Returns the function that plays the first episode of an evaluation again."""
    if not registry.is_device(settings.env):
        return host_loop.first_episode(settings)
    env, policy = _device_player(settings)
    return video.on_device(env, policy, settings.protocol, _lanes(settings))


@functools.lru_cache(maxsize=8)
def _device_evaluation(settings: config.Settings) -> tuple[Any, evaluate.Evaluate]:
    env, policy = _device_player(settings)
    return env, evaluate.on_device(env, policy, settings.protocol, _lanes(settings))


@functools.lru_cache(maxsize=8)
def _device_player(settings: config.Settings) -> tuple[Any, evaluate.Policy]:
    """Returns the environment and the policy that is evaluated in it."""
    env = registry.make_device(settings.env, settings.protocol)
    model = models.make_model(env.spec, settings)
    return env, evaluate.policy_for(settings.evaluation.action, model, settings)


def _lanes(settings: config.Settings) -> int:
    return min(settings.evaluation.episodes, evaluate.LANES)


@functools.lru_cache(maxsize=8)
def _device_programs(
    settings: config.Settings, layout: layouts.Layout, mesh: jax.sharding.Mesh
) -> device_loop.Programs:
    """Returns the programs that begin and advance all cells of these sizes."""
    return device_loop.make_programs(_stepped(settings), settings, layout, mesh)


@functools.lru_cache(maxsize=8)
def packed_programs(
    settings: config.Settings, layout: layouts.Layout, mesh: jax.sharding.Mesh
) -> device_loop.PackedPrograms:
    """Returns the programs of several runs, which are spread over the mesh."""
    return device_loop.make_packed(_stepped(settings), settings, layout, mesh)


def _stepped(settings: config.Settings) -> interface.DeviceEnvironment:
    """Returns the environment that a device steps; offline it steps none."""
    if registry.is_device(settings.env):
        return _device_evaluation(settings)[0]
    return interface.NeverStepped(specification(settings))


def _on_device(
    settings: config.Settings,
    seed: int,
    layout: layouts.Layout,
    mesh: jax.sharding.Mesh,
    data: borrowed.Borrowed | None,
) -> Loop:
    play, spec = evaluation(settings)
    programs = _device_programs(settings, layout, mesh)
    shards = sharding.local_shards(mesh, layout.shards)
    number = sharding.from_local(mesh, np.array(shards, np.int32))
    fixed = device_loop.Fixed((), ())
    if data is not None:
        frames = data.frames(shards, spec.observation_dtype)
        fixed = device_loop.Fixed(
            sharding.from_local(mesh, data.facts(shards)),
            sharding.from_local(mesh, frames),
        )
    state = programs.begin(np.uint32(seed), number, fixed)
    return Loop(
        spec=spec,
        state=state,
        advance=programs.advance,
        read_log=programs.read_log,
        search=lambda state, *what: programs.search(
            device_loop.for_search(state), *what
        ),
        evaluate=play,
        host=None,
        close=lambda: None,
    )


def _on_host(
    settings: config.Settings,
    seed: int,
    layout: layouts.Layout,
    mesh: jax.sharding.Mesh,
    directory: pathlib.Path,
    data: borrowed.Borrowed | None,
) -> Loop:
    play, spec = evaluation(settings)
    folder = directory / "frames"
    host = host_loop.HostLoop(settings, spec, layout, seed, mesh, folder, data)
    return Loop(
        spec=spec,
        state=host.state,
        advance=host.advance,
        read_log=host.read_log,
        search=host.search,
        evaluate=play,
        host=host.kept,
        close=host.close,
    )
