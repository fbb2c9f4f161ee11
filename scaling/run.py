"""One run, from a cell to a result row: the table of contents of the system.

    account → environment → parts of an iteration → loop over calls → evaluation

The loops themselves are `scaling.device_loop` (jumanji and other JAX environments)
and `scaling.host_loop` (emulators and other Python environments).
"""

import contextlib
import dataclasses
import json
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from scaling import (
    accounting,
    borrowed,
    checkpoint,
    config,
    evaluate,
    execution,
    ledger,
    log,
    loops,
    mixing,
    operations,
    peers,
    results,
    run_state,
    saving,
    sharding,
    snapshots,
    training,
    video,
)
from scaling.agent import model as models
from scaling.envs import registry
from scaling.tracking import followers

Report = Callable[[dict[str, Any]], None]
Join = Callable[
    [training.Run, run_state.State, int], tuple[training.Run, run_state.State]
]
"""(work, state, call to begin with) → work and state to go on with"""


def alone(
    work: training.Run, state: run_state.State, call: int
) -> tuple[training.Run, run_state.State]:
    """Returns work and state as they are: the run goes on by itself."""
    del call
    return work, state


def run(
    settings: config.Settings,
    cell: config.Cell,
    directory: pathlib.Path,
    *,
    how: execution.Execution = execution.DEFAULT,
    report: Report = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
    join: Join = alone,
) -> dict[str, Any]:
    """Trains and evaluates one cell; writes and returns its result row.

    Goes on from the newest whole checkpoint in the directory, if there is one. Every
    process of a run calls it alike; the first one writes and reports.

    Args:
      settings: of the study.
      cell: budget, fraction and seed.
      directory: of the run: config, metrics, parameters and row are written there.
      how: the run is carried out.
      report: is told of progress about once a second.
      stop: is asked about once a second whether to save and stop.
      join: is told where the run begins and may let it go on with others
        (scaling/packing.py).

    Raises:
      ValueError: if the cell cannot be run as asked.
      DivergedError: if a loss is no number any more.
      Interrupted: if it was asked to stop.
    """
    with sharding.precision(settings.precision):
        return _run(settings, cell, directory, how, report, stop, join)


def _run(
    settings: config.Settings,
    cell: config.Cell,
    directory: pathlib.Path,
    how: execution.Execution,
    report: Report,
    stop: Callable[[], bool],
    join: Join,
) -> dict[str, Any]:
    started, group = time.monotonic(), peers.group()
    if group.first:
        _write_config(directory, settings, cell)
    store = snapshots.Store(directory / "checkpoints", how.keep_checkpoints)
    snapshot = _newest(store, config.config_hash(settings, cell), report)
    report({"event": "phase", "name": "compiling"})
    if snapshot is not None:  # its stores have the sizes that they had
        allocate = snapshot.meta["allocate_frames"]
        how = dataclasses.replace(how, allocate_frames=allocate)
    with _prepared(settings, cell, directory, how, store) as work:
        work = work._replace(report=report, stop=stop)
        work, state, call = _begin(work, snapshot)
        before = work.meta.get("journal_seconds", 0.0)
        work, state = join(work, state, call)
        state = work.loop.whole(training.train(work, state, call))
        checkpoint.save_params(directory, state.learner.params)
        report({"event": "phase", "name": "evaluating"})
        scores = _scores(work, state)
    seconds = before + time.monotonic() - started
    row = _row(work, directory, state, scores, seconds)
    if group.first:
        results.write_row(directory, row)
        if not how.keep_replay:
            store.clear()
    return row


@contextlib.contextmanager
def _prepared(
    settings: config.Settings,
    cell: config.Cell,
    directory: pathlib.Path,
    how: execution.Execution,
    store: snapshots.Store,
) -> Iterator[training.Run]:
    """Yields what the loop over calls works with, and closes it."""
    per_step = registry.frames_per_step(settings.env, settings.protocol)
    account = accounting.account_for(settings, cell, per_step)
    sized = largest(settings, cell, account, how.allocate_frames)
    mesh = sharding.make_mesh(how.mesh, account.shards)
    spec = loops.specification(settings)
    data = borrowed.borrow(settings, cell, how, account.shards, spec)
    loop = loops.make(settings, cell.seed, sized, mesh, directory, data)
    own = sharding.local_shards(mesh, account.shards)
    # A priority is final when the n steps after it are there.
    saver = saving.Saver(store, own, settings.learner.td_steps + 1, loop.host)
    follow = followers.of_run(how.track, directory, settings, cell)
    journal = log.Journal(directory / "metrics.jsonl", follow)
    meta = {
        "config_hash": config.config_hash(settings, cell),
        "allocate_frames": how.allocate_frames,
        "hardware": sharding.describe(list(mesh.devices.flat)),
        "notes": [],
    }
    if data is not None:
        meta["borrowed"] = data.row()
    stages = directory / "stages" if how.keep_stages else None
    work = training.Run(loop, settings, cell, account, how, journal, saver, meta)
    try:
        yield work._replace(stages=stages)
    finally:
        journal.close()
        saver.close()
        loop.close()


def _begin(
    work: training.Run, snapshot: snapshots.Snapshot | None
) -> tuple[training.Run, run_state.State, int]:
    """Returns the work, the state and the call to begin with."""
    if snapshot is None:
        work.journal.go_on({})
        return work, work.loop.state, 0
    restored = work.saver.restore(work.loop.state, snapshot)
    meta, notes = work.meta, list(snapshot.meta["notes"])
    if restored.begun_anew and "resumed_at_episode_boundary" not in notes:
        notes.append("resumed_at_episode_boundary")
    if snapshot.meta["hardware"] != meta["hardware"]:
        notes.append(f"resumed on {meta['hardware']} after {snapshot.meta['hardware']}")
    work.journal.go_on(snapshot.meta)
    meta = {**snapshot.meta, **meta, "notes": notes}
    return work._replace(meta=meta), restored.state, snapshot.call


def _row(
    work: training.Run,
    directory: pathlib.Path,
    state: run_state.State,
    scores: dict[str, Any],
    seconds: float,
) -> dict[str, Any]:
    """Returns the row of a finished run."""
    attempts, resumes = ledger.counts(directory)
    return {
        **results.identity(work.settings, work.cell, work.how.design),
        **_counts(work.settings, work.account, state, work.loop.spec),
        **work.meta.get("borrowed", {}),
        **scores,
        "note": "; ".join(filter(None, [scores["note"], *work.meta["notes"]])),
        "score_kind": "final",
        "wall_clock_s": round(seconds, 2),
        "hardware": _hardware(work.meta),
        "status": "ok",
        "attempts": attempts,
        "resumes": resumes,
    }


def _hardware(meta: dict[str, Any]) -> str:
    """Returns the devices, and with how many runs they were shared, if they were."""
    packed = meta.get("packed", 1)
    return meta["hardware"] + (f", {packed} runs packed" if packed > 1 else "")


def _scores(work: training.Run, state: run_state.State) -> dict[str, Any]:
    """Returns the columns of the row that are played, all in the same episodes.

    The network is evaluated in every way that the settings name. Where a data set is
    learned from, the random policy is played too, so that what a data set's policy and
    the agent do more than nothing is measured under one protocol.
    """
    settings, asked = work.settings, work.settings.evaluation
    seed = training.evaluation_seed(work.cell.seed)
    returns = training.play(work.loop.evaluate, state, seed, asked.episodes)
    scores = {f"score_{asked.action}": float(np.mean(returns))}
    for action in asked.also:
        play, _ = loops.evaluation(config.evaluated_by(settings, action))
        played = training.play(play, state, seed, asked.episodes)
        scores[f"score_{action}"] = float(np.mean(played))
    if work.cell.fraction == 1:
        play = loops.random_play(settings)
        played = training.play(play, state, seed, asked.episodes)
        scores["random_score"] = float(np.mean(played))
    return {**evaluate.summary(returns), **scores}


def _newest(
    store: snapshots.Store, config_hash: str, report: Report
) -> snapshots.Snapshot | None:
    """Returns the checkpoint to go on from, the same one in every process."""
    snapshot, skipped = store.newest()
    if snapshot is not None and snapshot.meta["config_hash"] != config_hash:
        skipped.append(f"The checkpoints in {store.root} are of another run.")
        snapshot = None
    if snapshot is not None or skipped:
        call = 0 if snapshot is None else snapshot.call
        report({"event": "resumed", "call": call, "skipped": skipped})
    return snapshot


def evaluate_again(
    directory: pathlib.Path,
    episodes: int | None = None,
    video_file: pathlib.Path | None = None,
    action: config.Action | None = None,
) -> dict[str, Any]:
    """Returns the score columns, and the returns, of a finished run, played again.

    Args:
      directory: of the run.
      episodes: how many; None: as many as the study's settings say.
      video_file: where a video of the first episode goes; None: nowhere.
      action: how actions are selected; None: as the study's settings say.

    Raises:
      ValueError: if the run has not finished, there can be no such video, or it would
        have to search and has no model.
    """
    if video_file is not None:
        video.check(video_file)
    settings, cell = config.load_config(directory)
    if action is not None:
        settings = config.evaluated_by(settings, action)
    play, spec = loops.evaluation(settings)
    shape = jax.eval_shape(models.make_model(spec, settings).init, jax.random.key(0))
    params = checkpoint.load_params(directory, shape)
    number, seed = (
        episodes or settings.evaluation.episodes,
        training.evaluation_seed(cell.seed),
    )
    filmed = {}
    if video_file is not None:
        watch = loops.first_episode(settings)
        film = video.film(watch(params, seed, number), spec)
        video.write(video_file, film.pictures)
        filmed = {"video_return": film.total, "video_steps": len(film.pictures) - 1}
    returns = play(params, seed, number)
    return {**evaluate.summary(returns), "returns": returns.tolist(), **filmed}


def _write_config(
    directory: pathlib.Path, settings: config.Settings, cell: config.Cell
) -> None:
    values = {"settings": config.as_dict(settings), "cell": config.as_dict(cell)}
    results.write_atomically(
        directory / "config.json", json.dumps(values, indent=1) + "\n"
    )


def largest(
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


def _counts(
    settings: config.Settings,
    account: accounting.Account,
    state: run_state.State,
    spec: Any,
) -> dict[str, Any]:
    """Returns the columns of the row that count, from the stores where they can."""
    searched = sharding.everywhere(state.shard.window.cursor).astype(np.int64)  # [G, L]
    fresh = int(searched[:, : account.environments // account.shards].sum())
    total = int(searched.sum())
    updates = int(state.learner.updates)
    networks = operations.of_runs(settings, spec, fresh > 0)
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
        "sources": _sources(settings, account, state),
        "flops": networks.of(total, updates * account.batch_size),
        "digest": _digest(state),
    }


def _sources(
    settings: config.Settings, account: accounting.Account, state: run_state.State
) -> str:
    """Returns each source with its share of the stored searches, as run."""
    if not account.stored:
        return ""
    shares = mixing.of_run(settings, account.environments)
    searched = sharding.everywhere(state.shard.tally.searched).sum(axis=0)
    parts = zip(shares, searched / searched.sum(), strict=True)
    return ",".join(f"{share.source}:{had:.6g}" for share, had in parts)


def _digest(state: run_state.State) -> str:
    """Returns the hash of every action and reward of the run."""
    return "".join(
        f"{int(word):08x}" for word in sharding.everywhere(state.shard.digest)
    )
