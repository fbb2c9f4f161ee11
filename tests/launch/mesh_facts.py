"""Compiles on meshes of virtual CPU devices and prints, as JSON, what is in them.

Run in a process of its own with JAX_NUM_CPU_DEVICES=8: JAX fixes the number of
devices when it starts.
"""

import dataclasses
import json
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from launch import collectives, compile_report, hlo
from scaling import accounting, compiling, config, hardware, lowering, sharding, types
from scaling import layout as layouts
from scaling.agent import model as models
from scaling.envs import interface
from scaling.search import mcts


class State(NamedTuple):
    """B walkers on a line."""

    place: jax.Array  # [B]


class Line:
    """Walk right for a reward; an episode ends at either end."""

    kind = "device"

    def __init__(self, protocol):
        del protocol
        self.spec = types.EnvSpec("line", 2, (5,), np.float32, 1.0, 1)

    def reset(self, keys):
        place = jnp.full(keys.shape[0], 2)
        return State(place), jax.nn.one_hot(place, 5)

    def step(self, state, action):
        place = state.place + 2 * action - 1
        last = (place == 0) | (place == 4)
        reward = (place == 4).astype(jnp.float32)
        observation = jax.nn.one_hot(place, 5)
        return State(place), interface.Transition(
            observation, reward, last, jnp.zeros_like(last)
        )


class HostLine:
    """The same on the host; only its specification is asked for."""

    kind = "host"

    def __init__(self, protocol, size):
        self.spec, self.size = Line(protocol).spec, size

    def reset(self, rows, seeds):
        raise NotImplementedError

    def step(self, rows, action):
        raise NotImplementedError

    def close(self):
        pass


SETTINGS = config.Settings(
    env="mesh_facts:Line",
    environments=4,
    samples_per_search=1.0,
    max_lanes=16,
    shards=1,
    protocol=config.Protocol(stack=2, past_actions=1),
    network=config.Network(kind="mlp", units=16, blocks=1, head_units=16),
    value=config.Value(bins=11, limit=2.0),
    search=config.Search(policy="gumbel", simulations=4),
    replay=config.Replay(stored_steps=400, window=1000, segment_length=6, warm_up=16),
    learner=config.Learner(batch_size=16, discount=0.9),
)


def spread(devices: int, **changes) -> tuple[config.Settings, config.Cell]:
    """Returns settings with so much work for each of so many devices."""
    replay = dataclasses.replace(
        SETTINGS.replay,
        stored_steps=SETTINGS.replay.stored_steps * devices,
        window=SETTINGS.replay.window * devices,
    )
    batch = SETTINGS.learner.batch_size * devices
    settings = dataclasses.replace(
        SETTINGS,
        environments=SETTINGS.environments * devices,
        max_lanes=SETTINGS.max_lanes * devices,
        shards=devices,
        replay=replay,
        learner=dataclasses.replace(SETTINGS.learner, batch_size=batch),
        **changes,
    )
    return settings, config.Cell(frames=600 * devices, fraction=0.75, seed=0)


def mesh_of(ways: int, shards: int) -> jax.sharding.Mesh:
    return sharding.make_mesh(hardware.Mesh(data=ways), shards)


def programs(settings: config.Settings, cell: config.Cell, ways: int):
    account = accounting.account_for(settings, cell, 1)
    layout = layouts.layout_for(settings, account)
    return lowering.programs(settings, layout, mesh_of(ways, layout.shards)).programs


def facts(text: str) -> dict:
    """Returns how often each kind meets where, and whether a search was seen."""
    program = hlo.Program(text)
    return {
        "search": any(map(compile_report.is_search, program.loops)),
        "meetings": [
            {
                "kind": meeting.kind,
                "bytes": meeting.bytes,
                "devices": len(meeting.group or ()),
                "loops": [loop.function for loop in meeting.loops],
                "in_search": any(map(compile_report.is_search, meeting.loops)),
            }
            for meeting in collectives.find(program)
        ],
    }


def iteration(settings: config.Settings, cell: config.Cell, ways: int) -> dict:
    """Returns the facts of each program of an iteration on so many devices."""
    found = {}
    for program in programs(settings, cell, ways):
        compiled = compiling.compile_program(program)
        found[program.name] = {
            **facts(compiled.text),
            "flops": compiled.flops,
            **compiled.memory._asdict(),
            "total": compiled.memory.total,
            "parameters": lowering.costs(settings).parameters,
        }
    return found


def meeting_in_search() -> dict:
    """Returns the facts of a search whose model asks other devices for a mean."""
    mesh, spec = mesh_of(2, 2), Line(None).spec
    model = models.make_model(spec, SETTINGS)
    step = models.dynamics_of(model)

    def dynamics(params, hidden, action):
        return jax.lax.pmean(step(params, hidden, action), sharding.DATA)

    search = mcts.make_search(
        model._replace(dynamics=dynamics), SETTINGS.search, SETTINGS.learner.discount
    )
    rows, whole = sharding.ROWS, sharding.WHOLE
    bad: Any = sharding.program(search, mesh, (whole, rows, rows, whole), rows)
    params = model.init(jax.random.key(0))
    history = types.History(jnp.zeros((4, 2, 5)), jnp.zeros((4, 1), jnp.int32))
    keys = jax.random.split(jax.random.key(1), 4)
    compiled = bad.lower(params, history, keys, jnp.ones(())).compile()
    return facts(compiled.as_text())


PARTS = {
    "eight": lambda: iteration(*spread(8), 8),
    "bad": meeting_in_search,
    "weak": lambda: {n: iteration(*spread(n), n) for n in (1, 2, 4, 8)},
    "host": lambda: iteration(*spread(8, env="mesh_facts:HostLine"), 8),
}

if __name__ == "__main__":
    sharding.start()
    json.dump({name: PARTS[name]() for name in sys.argv[1:]}, sys.stdout)
