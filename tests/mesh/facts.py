"""What a mesh makes of a run: a program that prints facts as JSON.

Run by the tests, since the number of devices is fixed when a process starts:

    JAX_NUM_CPU_DEVICES=8 python facts.py DIRECTORY GAME PRECISION 1,2,4,2x2
    … python facts.py DIRECTORY GAME PRECISION 4 127.0.0.1:9911 0 2   (of two processes)
"""

import dataclasses
import json
import pathlib
import sys
import traceback
from typing import Any

from scaling import config, hardware, sharding


def settings_of(game: str, precision: str) -> config.Settings:
    import test_run

    shared = {"shards": 8, "environments": 8, "precision": precision}
    if game in ("Corridor", "HostCorridor"):
        # Few updates: each one multiplies what rounding makes of another order of sums.
        shared |= {"env": f"test_run:{game}", "samples_per_search": 1.0}
        return dataclasses.replace(test_run.SETTINGS, **shared)
    from scaling import presets

    demo = presets.preset("demo").settings
    learner = dataclasses.replace(demo.learner, batch_size=64)
    evaluation = config.Evaluation(episodes=8, curve_points=0)
    replay = dataclasses.replace(
        demo.replay, priority_exponent=1.0, importance_exponent=1.0
    )
    return dataclasses.replace(
        demo, **shared, replay=replay, learner=learner, evaluation=evaluation
    )


def run_on(directory: pathlib.Path, settings: config.Settings, devices: str) -> dict:
    """Returns the row of a run, its parameters, priorities and losses."""
    import jax
    import numpy as np

    from scaling import execution, run, training

    data, _, model = devices.partition("x")
    mesh = hardware.Mesh(data=int(data), model=int(model or 1))
    kept = {}
    train = training.train

    def spy(*arguments):  # the state is otherwise gone when the run has ended
        kept["state"] = train(*arguments)
        return kept["state"]

    training.train = spy
    try:
        row = run.run(
            settings,
            config.Cell(frames=3000, fraction=0.5, seed=0),
            directory / f"{devices}",
            how=execution.Execution(mesh=mesh),
        )
    finally:
        training.train = train
    with sharding.precision(settings.precision):
        params, priority = sharding.everywhere(
            (kept["state"].learner.params, kept["state"].shard.window.priority)
        )
    flat = np.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(params)])
    directory.mkdir(parents=True, exist_ok=True)
    np.savez(directory / f"{devices}.npz", params=flat, priority=priority)
    return row


def searched(settings: config.Settings, devices: int) -> dict:
    """Returns actions and values of one search on equal inputs."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from scaling import types
    from scaling.agent import model as models
    from scaling.search import mcts

    spec = types.EnvSpec("s", 4, (6,), np.float32, 1.0, 1)
    model = models.make_model(spec, settings)
    search = mcts.make_search(model, settings.search, 0.99)
    mesh = sharding.make_mesh(hardware.Mesh(data=devices), 8)
    rows, whole = sharding.ROWS, sharding.WHOLE
    program = sharding.program(search, mesh, (whole, rows, rows, whole), rows)
    params = model.init(jax.random.key(0))
    # A new network's heads are zero: all its actions would be alike.
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    drawn = [
        0.3 * jax.random.normal(key, leaf.shape, leaf.dtype)
        for key, leaf in zip(keys, leaves, strict=True)
    ]
    history = types.History(
        jax.random.normal(jax.random.key(2), (64, settings.protocol.stack, 6)),
        jnp.zeros((64, settings.protocol.past_actions), jnp.int32),
    )
    row_keys = jax.random.split(jax.random.key(3), 64)
    found = program(tree.unflatten(drawn), history, row_keys, jnp.ones(()))
    return {
        "action": np.asarray(found.action).tolist(),
        "value": np.asarray(found.value).tolist(),
    }


def learned(settings: config.Settings, devices: int) -> list[float]:
    """Returns the losses of 20 updates on recorded batches."""
    import functools

    import jax
    import numpy as np

    from scaling import types
    from scaling.agent import model as models
    from scaling.learner import loss, targets, update

    spec = types.EnvSpec("s", 4, (6,), np.float32, 1.0, 1)
    model = models.make_model(spec, settings)
    mesh = sharding.make_mesh(hardware.Mesh(data=devices), 8)
    rows, whole = sharding.ROWS, sharding.WHOLE
    step = functools.partial(
        update.update,
        model=model,
        settings=settings.learner,
        mean=sharding.mean(mesh),
    )
    program = sharding.program(step, mesh, (whole, rows, whole), (whole, whole))
    state = update.initial(jax.random.key(0), model, settings.learner)
    random = np.random.default_rng(0)
    unroll, losses = settings.learner.unroll_steps, []

    def normal(*shape: int) -> Any:
        return random.normal(size=shape).astype(np.float32)

    def action(*shape: int) -> Any:
        return random.integers(0, 4, shape).astype(np.int32)

    protocol, ones = settings.protocol, normal(64, unroll + 1) * 0 + 1
    for number in range(20):
        policy = np.exp(normal(64, unroll + 1, 4))
        batch = loss.Batch(
            types.History(
                normal(64, protocol.stack, 6), action(64, protocol.past_actions)
            ),
            action(64, unroll),
            targets.Targets(
                value=normal(64, unroll + 1),
                policy=policy / policy.sum(-1, keepdims=True),
                reward=normal(64, unroll),
                value_mask=ones,
                policy_mask=ones,
                reward_mask=ones[:, :unroll],
            ),
            weight=np.abs(normal(64)),
        )
        state, metrics = program(state, batch, np.float32(number / 20))
        losses.append(float(metrics.loss))
    return losses


def facts_of(
    directory: pathlib.Path, game: str, precision: str, devices: str, *, alone: bool
) -> dict[str, Any]:
    """Returns row, and in f32 actions and losses, by mesh."""
    settings, facts = settings_of(game, precision), {}
    for name in devices.split(","):
        facts[name] = {"row": run_on(directory, settings, name)}
        if alone and precision == "f32":
            facts[name]["search"] = searched(settings, int(name))
            facts[name]["losses"] = learned(settings, int(name))
    return facts


def main() -> None:
    directory, game, precision, devices, *several = sys.argv[1:]
    processes = hardware.ONE_PROCESS
    if several:
        coordinator, number, count = several
        processes = hardware.Processes(
            coordinator=coordinator, process_id=int(number), num_processes=int(count)
        )
    group = sharding.start(processes)
    try:
        facts = facts_of(
            pathlib.Path(directory), game, precision, devices, alone=not several
        )
    except BaseException:
        traceback.print_exc()
        group.abandon(1)
        raise
    group.leave()
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
