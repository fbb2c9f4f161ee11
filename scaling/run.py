"""One run, from a cell to a result row: the table of contents of the system.

    account → environment → parts of an iteration → loop over calls → evaluation

The loops themselves are `scaling.device_loop` (jumanji and other JAX environments)
and `scaling.host_loop` (emulators and other Python environments).
"""

import dataclasses
import json
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any, TextIO

import jax
import numpy as np

from scaling import (
    accounting,
    checkpoint,
    config,
    evaluate,
    execution,
    iteration,
    log,
    loops,
    peers,
    results,
    sharding,
    video,
)
from scaling.agent import model as models
from scaling.envs import registry

Report = Callable[[dict[str, Any]], None]

# Calls handed to the device at a time: it is not told more often than this, and
# learns how many to run as data, so one program serves every number.
_CALLS_AT_ONCE = 256
_SECONDS_AT_ONCE = 1.0
# Evaluation episodes are seeded apart from training.
_EVALUATION_SEED = 1_000_000_007
_NOWHERE = pathlib.Path(os.devnull)


def run(
    settings: config.Settings,
    cell: config.Cell,
    directory: pathlib.Path,
    *,
    how: execution.Execution = execution.DEFAULT,
    report: Report = lambda event: None,
) -> dict[str, Any]:
    """Trains and evaluates one cell; writes and returns its result row.

    Every process of a run calls it alike; the first one writes and reports.

    Args:
      settings: of the study.
      cell: budget, fraction and seed.
      directory: of the run: config, metrics, parameters and row are written there.
      how: the run is carried out.
      report: is told of progress about once a second.

    Raises:
      ValueError: if the cell cannot be run as asked.
      DivergedError: if a loss is no number any more.
    """
    with sharding.precision(settings.precision):
        return _run(settings, cell, directory, how, report)


def _run(
    settings: config.Settings,
    cell: config.Cell,
    directory: pathlib.Path,
    how: execution.Execution,
    report: Report,
) -> dict[str, Any]:
    started, group = time.monotonic(), peers.group()
    attempts = results.attempts_before(directory) + 1
    per_step = registry.frames_per_step(settings.env, settings.protocol)
    account = accounting.account_for(settings, cell, per_step)
    if group.first:
        _write_config(directory, settings, cell)
    report({"event": "phase", "name": "compiling"})
    largest = _largest(settings, cell, account, how.allocate_frames)
    devices = sharding.make_mesh(how.mesh, account.shards)
    loop = loops.make(settings, cell.seed, largest, devices, directory)
    try:
        with (directory / "metrics.jsonl" if group.first else _NOWHERE).open(
            "w"
        ) as file:
            state = _train(loop, settings, cell, account, file, report)
        checkpoint.save_params(directory, state.learner.params)
        report({"event": "phase", "name": "evaluating"})
        episodes = settings.evaluation.episodes
        returns = _play(loop, state, evaluation_seed(cell.seed), episodes)
    finally:
        loop.close()
    row = {
        **results.identity(settings, cell, how.design),
        **_counts(settings, account, state, loop.spec),
        **evaluate.summary(returns),
        "score_kind": "final",
        "wall_clock_s": round(time.monotonic() - started, 2),
        "hardware": sharding.describe(list(devices.devices.flat)),
        "status": "ok",
        "attempts": attempts,
        "resumes": 0,
    }
    if group.first:
        results.write_row(directory, row)
    return row


def _play(
    loop: loops.Loop, state: iteration.State, seed: int, episodes: int
) -> np.ndarray:
    """Returns the returns of episodes that the first process plays."""
    params, group = sharding.on_one_device(state.learner.params), peers.group()
    played = loop.evaluate(params, seed, episodes).tolist() if group.first else None
    return np.array(group.share(played))


def evaluate_again(
    directory: pathlib.Path,
    episodes: int | None = None,
    video_file: pathlib.Path | None = None,
) -> dict[str, Any]:
    """Returns the score columns, and the returns, of a finished run, played again.

    Args:
      directory: of the run.
      episodes: how many; None: as many as the study's settings say.
      video_file: where a video of the first episode goes; None: nowhere.

    Raises:
      ValueError: if the run has not finished, or there can be no such video.
    """
    if video_file is not None:
        video.check(video_file)
    settings, cell = config.load_config(directory)
    play, spec = loops.evaluation(settings)
    shape = jax.eval_shape(models.make_model(spec, settings).init, jax.random.key(0))
    params = checkpoint.load_params(directory, shape)
    number, seed = episodes or settings.evaluation.episodes, evaluation_seed(cell.seed)
    filmed = {}
    if video_file is not None:
        watch = loops.first_episode(settings)
        film = video.film(watch(params, seed, number), spec)
        video.write(video_file, film.pictures)
        filmed = {"video_return": film.total, "video_steps": len(film.pictures) - 1}
    returns = play(params, seed, number)
    return {**evaluate.summary(returns), "returns": returns.tolist(), **filmed}


def evaluation_seed(seed: int) -> int:
    """Returns the seed of a run's evaluation episodes."""
    return (_EVALUATION_SEED + seed) % 2**31


def _write_config(
    directory: pathlib.Path, settings: config.Settings, cell: config.Cell
) -> None:
    values = {"settings": config.as_dict(settings), "cell": config.as_dict(cell)}
    results.write_atomically(
        directory / "config.json", json.dumps(values, indent=1) + "\n"
    )


def _largest(
    settings: config.Settings,
    cell: config.Cell,
    account: accounting.Account,
    allocate_frames: int | None,
) -> accounting.Account:
    """Returns the account of the largest cell that shares a program with this."""
    if allocate_frames is None or allocate_frames <= cell.frames:
        return account
    if cell.searches is not None:  # a path: other budgets have other fractions
        return account
    larger = accounting.account_for(
        settings,
        dataclasses.replace(cell, frames=allocate_frames),
        account.frames_per_step,
    )
    # Rounding may give another budget another number of rows: then no sharing.
    return larger if larger.lanes == account.lanes else account


def _train(
    loop: loops.Loop,
    settings: config.Settings,
    cell: config.Cell,
    account: accounting.Account,
    file: TextIO,
    report: Report,
) -> iteration.State:
    """Returns the state after the last call; logs, reports and plays curve points."""
    state, call, number = loop.state, 0, 8
    started = time.monotonic()
    curve = _curve_calls(settings.evaluation, account)
    while call < account.calls:
        before = time.monotonic()
        stop = min(call + number, account.calls, *(c for c in curve if c > call))
        schedule = _padded(account.schedule(call, stop))
        state, summary = loop.advance(state, schedule, stop - call, account.updates)
        line = log.train_line(account, stop, summary, time.monotonic() - started)
        log.write(file, line)
        log.check(line)
        report({"event": "progress", **log.progress(account, stop, line)})
        if stop in curve:
            log.write(file, _curve_point(loop, settings, cell, line, state))
        following = _next_number(number, time.monotonic() - before)
        number = int(sharding.agree(np.array([following]))[0][0])
        call = stop
        peers.group().mark(f"call {call}")
    return state


def _next_number(number: int, seconds: float) -> int:
    """Returns how many calls to hand over so that a report comes about each second."""
    if seconds < _SECONDS_AT_ONCE / 2:
        return min(2 * number, _CALLS_AT_ONCE)
    return max(1, number // 2) if seconds > 2 * _SECONDS_AT_ONCE else number


def _curve_calls(
    settings: config.Evaluation, account: accounting.Account
) -> tuple[int, ...]:
    """Returns the calls after which a point of the learning curve is played."""
    points = settings.curve_points
    calls = {round(account.calls * k / (points + 1)) for k in range(1, points + 1)}
    return tuple(sorted(calls - {0, account.calls}))


def _padded(calls: accounting.Calls) -> accounting.Calls:
    spare = _CALLS_AT_ONCE - len(calls.number)
    return accounting.Calls(*(np.pad(field, (0, spare)) for field in calls))


def _curve_point(
    loop: loops.Loop,
    settings: config.Settings,
    cell: config.Cell,
    line: dict[str, Any],
    state: iteration.State,
) -> dict[str, Any]:
    """Returns a point of the learning curve; it is never a result."""
    episodes = settings.evaluation.curve_episodes
    returns = _play(loop, state, evaluation_seed(cell.seed) + 1, episodes)
    counts = {name: line[name] for name in ("call", "frames", "searched", "updates")}
    return {"kind": "curve", **counts, **evaluate.summary(returns)}


def _counts(
    settings: config.Settings,
    account: accounting.Account,
    state: iteration.State,
    spec: Any,
) -> dict[str, Any]:
    """Returns the columns of the row that count, from the stores where they can."""
    searched = sharding.everywhere(state.shard.window.cursor).astype(np.int64)  # [G, L]
    fresh = int(searched[:, : account.environments // account.shards].sum())
    total = int(searched.sum())
    updates = int(state.learner.updates)
    return {
        "frames": account.frames,
        "agent_steps": account.agent_steps,
        "frames_per_step": account.frames_per_step,
        "realised_fraction": (total - fresh) / total,
        "searched_states": total,
        "learner_updates": updates,
        "samples": updates * account.batch_size,
        "samples_per_search": updates * account.batch_size / total,
        "environments": account.environments,
        "lanes": account.lanes,
        "sources": "recent:1" if account.stored else "",
        "flops": _flops(settings, spec, total, updates * account.batch_size),
        "digest": _digest(state),
    }


def _flops(settings: config.Settings, spec: Any, searched: int, samples: int) -> float:
    """Returns the networks' operations: calls of each network × one call's.

    A search calls the representation once and the model `simulations` times; a
    sample unrolls K steps, and its backward pass costs twice the forward pass.
    """
    model = models.make_model(spec, settings)
    row = models.row_flops(model, spec, settings.protocol)
    root, step = row.represent + row.predict, row.dynamics + row.predict
    search = root + settings.search.simulations * step
    sample = 3 * (root + settings.learner.unroll_steps * step)
    return searched * search + samples * sample


def _digest(state: iteration.State) -> str:
    """Returns the hash of every action and reward of the run."""
    return "".join(
        f"{int(word):08x}" for word in sharding.everywhere(state.shard.digest)
    )
