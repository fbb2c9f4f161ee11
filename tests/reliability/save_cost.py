"""What a checkpoint costs against the size of the stores: a program.

    python tests/reliability/save_cost.py --steps 1e4,1e5,1e6 --out DIR

For each number of stored steps of the demo's game it fills the stores with noise, saves
all of them once, and then ten times after so many calls as the demo makes in ten
seconds, as a run would. Prints bytes and seconds; the run waits for `held`, the rest is
written beside it.
"""

import argparse
import dataclasses
import pathlib
import shutil
import statistics

import jax
import numpy as np

from scaling import (
    accounting,
    config,
    hardware,
    loops,
    presets,
    run_state,
    saving,
    sharding,
    snapshots,
)

CALLS = 200  # of the demo in ten seconds on one core
TIMES = 10


def filled(state: run_state.State, cursor: int) -> run_state.State:
    """Returns the state with cursors at `cursor` and noise in the frames."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 2, state.frames.shape, np.uint8)
    shard = state.shard
    steps = shard.steps._replace(complete=shard.steps.complete * 0 + cursor)
    window = shard.window._replace(cursor=shard.window.cursor * 0 + cursor)
    frames = jax.device_put(noise, state.frames.sharding)
    return state._replace(
        frames=frames, shard=shard._replace(steps=steps, window=window)
    )


def costs(steps: int, out: pathlib.Path) -> tuple[saving.Saved, list[saving.Saved]]:
    """Returns the cost of saving all, and of saving what changed since."""
    settings = presets.preset("demo").settings
    replay = dataclasses.replace(settings.replay, stored_steps=steps, window_share=1.0)
    settings = dataclasses.replace(settings, replay=replay)
    cell = config.Cell(frames=steps, fraction=0.5, seed=0)
    account = accounting.account_for(settings, cell, 1)
    mesh = sharding.make_mesh(hardware.ALL_DEVICES, account.shards)
    loop = loops.make(settings, 0, account, mesh, out)
    store = snapshots.Store(out / "checkpoints", keep=2)
    own = sharding.local_shards(mesh, account.shards)
    saver = saving.Saver(store, own, settings.learner.td_steps + 1, loop.host)
    cursor, saved = steps // account.environments, []
    for index in range(TIMES + 1):
        state = jax.block_until_ready(filled(loop.state, cursor + index * CALLS))
        saver.save(state, index, {})
        saver.wait()
        assert saver.saved is not None
        saved.append(saver.saved)
    saver.close()
    loop.close()
    return saved[0], saved[1:]


def main() -> None:
    sharding.start()  # before anything imports an environment library
    parser = argparse.ArgumentParser(description="What a checkpoint costs.")
    parser.add_argument("--steps", default="1e4,1e5,1e6")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    flags = parser.parse_args()
    print("steps | all: MB | held s | wrote s | changed: MB | held s | wrote s")
    for steps in (int(float(number)) for number in flags.steps.split(",")):
        first, others = costs(steps, flags.out / str(steps))
        shutil.rmtree(flags.out / str(steps))
        middle = [
            statistics.median(getattr(other, name) for other in others)
            for name in ("size", "held_s", "wrote_s")
        ]
        print(
            f"{steps:,} | {first.size / 1e6:.1f} | {first.held_s:.3f} | "
            f"{first.wrote_s:.2f} | {middle[0] / 1e6:.1f} | {middle[1]:.3f} | "
            f"{middle[2]:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
