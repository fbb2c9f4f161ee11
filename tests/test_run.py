"""Invariants of whole runs, on a tiny game made for the purpose."""

import dataclasses
import json
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scaling import (
    accounting,
    config,
    execution,
    hardware,
    iteration,
    log,
    loops,
    run,
    run_state,
    sharding,
    training,
    types,
)
from scaling import layout as layouts
from scaling.envs import interface
from scaling.replay import window


class CorridorState(NamedTuple):
    """B walkers in a corridor."""

    place: jax.Array  # [B]
    steps: jax.Array  # [B]


class Corridor:
    """Walk right to the end for a reward of 1; 12 steps at most."""

    kind = "device"
    length = 4

    def __init__(self, protocol):
        del protocol
        self.spec = types.EnvSpec("corridor", 2, (5,), np.float32, 1.0, 1)

    def _observe(self, place):
        return jax.nn.one_hot(place, self.length + 1)

    def start(self, keys):
        return jax.vmap(lambda key: jax.random.randint(key, (), 0, 2))(keys)

    def reset(self, keys):
        place = self.start(keys)
        return CorridorState(place, jnp.zeros_like(place)), self._observe(place)

    def step(self, state, action):
        place = jnp.clip(state.place + 2 * action - 1, 0, self.length)
        steps = state.steps + 1
        terminated = place == self.length
        return CorridorState(place, steps), interface.Transition(
            self._observe(place),
            terminated.astype(jnp.float32),
            terminated,
            (steps >= 12) & ~terminated,
        )


class HostCorridor:
    """The same game on the host."""

    kind = "host"

    def __init__(self, protocol, size):
        self._game = Corridor(protocol)
        self.spec, self.size = self._game.spec, size
        self._place = np.zeros(size, int)
        self._steps = np.zeros(size, int)

    def reset(self, rows, seeds):
        rows = list(rows)
        self._place[rows] = self.start(seeds)
        self._steps[rows] = 0
        return np.eye(5, dtype=np.float32)[self._place[rows]]

    def step(self, rows, action):
        rows = list(rows)
        place = np.clip(self._place[rows] + 2 * action - 1, 0, Corridor.length)
        self._place[rows] = place
        self._steps[rows] += 1
        terminated = place == Corridor.length
        return interface.Transition(
            np.eye(5, dtype=np.float32)[place],
            terminated.astype(np.float32),
            terminated,
            (self._steps[rows] >= 12) & ~terminated,
        )

    def start(self, seeds):
        return np.array([np.random.default_rng(seed).integers(2) for seed in seeds])

    def close(self):
        pass


class SameCorridor(Corridor):
    """Every episode begins at the same place."""

    def start(self, keys):
        return jnp.zeros(keys.shape[0], jnp.int32)


class SameHostCorridor(HostCorridor):
    """The same game on the host, for the same episodes."""

    def start(self, seeds):
        return np.zeros(len(seeds), int)


SETTINGS = config.Settings(
    env=f"{__name__}:Corridor",
    environments=4,
    samples_per_search=4.0,
    max_lanes=64,
    shards=2,
    protocol=config.Protocol(stack=2, past_actions=1),
    network=config.Network(kind="mlp", units=16, blocks=1, head_units=16),
    value=config.Value(bins=11, limit=2.0),
    search=config.Search(policy="gumbel", simulations=4),
    replay=config.Replay(stored_steps=400, window=1000, segment_length=6, warm_up=16),
    learner=config.Learner(
        batch_size=16, discount=0.9, learning_rate=1e-2, weight_decay=0.0
    ),
    evaluation=config.Evaluation(episodes=8, curve_points=1, curve_episodes=4),
)
HOST = dataclasses.replace(SETTINGS, env=f"{__name__}:HostCorridor")


def cell(frames=600, fraction=0.5, seed=0, **fields):
    return config.Cell(frames=frames, fraction=fraction, seed=seed, **fields)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A device run and a host run, their rows and directories."""
    made = {}
    for name, settings in (("device", SETTINGS), ("host", HOST)):
        directory = tmp_path_factory.mktemp(name)
        made[name] = (run.run(settings, cell(), directory), directory)
    return made


@pytest.mark.parametrize("kind", ["device", "host"])
def test_a_run_keeps_its_account(finished, kind):
    row, _ = finished[kind]
    assert row["frames"] == row["agent_steps"] == 600
    assert row["searched_states"] == 1200
    assert row["learner_updates"] == 4 * 1200 // 16
    assert abs(row["realised_fraction"] - 0.5) <= 1 / 1200
    assert row["status"] == "ok"
    assert row["eval_episodes"] == 8
    assert row["flops"] > 0


@pytest.mark.parametrize("kind", ["device", "host"])
def test_without_the_flag_no_stage_is_kept(finished, kind):
    _, directory = finished[kind]
    assert '"curve"' in (directory / "metrics.jsonl").read_text()
    assert not (directory / "stages").exists()


@pytest.mark.parametrize("kind", ["device", "host"])
def test_a_run_learns_the_corridor(finished, kind):
    row, _ = finished[kind]
    assert row["score"] == 1.0  # a uniformly random policy ends in time less often


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("device", SETTINGS), pytest.param("host", HOST, marks=pytest.mark.slow)],
)
def test_the_same_cell_gives_the_same_run(finished, kind, settings, tmp_path):
    first, _ = finished[kind]
    again = run.run(settings, cell(), tmp_path)
    other = run.run(settings, cell(seed=1), tmp_path)
    assert again["digest"] == first["digest"] != other["digest"]
    assert again["score"] == first["score"]


@pytest.mark.slow
def test_larger_stores_change_no_number(finished, tmp_path):
    first, _ = finished["device"]
    again = run.run(
        SETTINGS, cell(), tmp_path, how=execution.Execution(allocate_frames=2000)
    )
    assert again["digest"] == first["digest"]


@pytest.mark.slow
@pytest.mark.parametrize("groups", [1, 2])
def test_groups_change_when_environments_step_and_nothing_else(
    finished, groups, tmp_path
):
    first, _ = finished["host"]
    settings = dataclasses.replace(HOST, groups=groups)
    assert run.run(settings, cell(), tmp_path)["digest"] == first["digest"]


@pytest.mark.parametrize("kind", ["device", "host"])
def test_a_finished_run_is_evaluated_again_to_the_same_score(finished, kind):
    row, directory = finished[kind]
    again = run.evaluate_again(directory)
    assert again["score"] == row["score"]
    assert len(again["returns"]) == 8


def test_metrics_count_up_and_hold_a_curve_point(finished):
    for _, directory in finished.values():
        text = (directory / "metrics.jsonl").read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        curve = [line for line in lines if line["kind"] == "curve"]
        assert len(curve) == 1
        assert curve[0]["eval_episodes"] == 4
        searched = [line["searched"] for line in lines if line["kind"] == "train"]
        assert searched == sorted(searched)
        assert searched[-1] == 1200


def test_frames_on_the_host_are_deleted_after_the_run(finished):
    _, directory = finished["host"]
    assert not (directory / "frames").exists()


def begin(settings, the_cell, directory):
    account = accounting.account_for(settings, the_cell, 1)
    mesh = sharding.make_mesh(hardware.ALL_DEVICES, account.shards)
    loop = loops.make(settings, the_cell.seed, account, mesh, directory)
    return account, loop


def stacked(calls):
    spare = training.CALLS_AT_ONCE - len(calls.number)
    return accounting.Calls(*(np.pad(field, (0, spare)) for field in calls))


def test_fraction_0_never_searches_a_stored_step(tmp_path):
    account, loop = begin(SETTINGS, cell(fraction=0.0), tmp_path)
    state = loop.advance(
        loop.state,
        stacked(account.schedule(0, account.calls)),
        account.calls,
        account.updates,
    )
    entries = state.shard.window.entries
    # Every searched step was searched in the call in which it was made.
    np.testing.assert_array_equal(entries.step, entries.call)
    assert int(state.shard.window.cursor.sum()) == 600
    assert account.stored_slots == 0


def test_stored_targets_name_the_facts_of_their_steps(tmp_path):
    account, loop = begin(SETTINGS, cell(frames=400, fraction=0.8), tmp_path)
    state = loop.advance(
        loop.state,
        stacked(account.schedule(0, account.calls)),
        account.calls,
        account.updates,
    )
    stored, searches = state.shard.steps, state.shard.window
    for shard, lane in np.ndindex(*searches.cursor.shape):
        for index in range(int(searches.cursor[shard, lane])):
            entry = jax.tree.map(
                lambda x, at=(shard, lane, index): x[at], searches.entries
            )
            at = (shard, int(entry.column), int(entry.step))
            assert int(entry.action) == int(stored.action[at])
            assert float(entry.reward) == float(stored.reward[at])
            assert float(entry.discount) == float(stored.discount[at])


WRAPPING = dataclasses.replace(
    SETTINGS,
    replay=config.Replay(
        stored_steps=64, window=200, window_share=0.5, segment_length=5, warm_up=8
    ),
)


def check_nothing_is_evicted(state, window_from):
    """Every sampleable entry and every lane points at what is still stored."""
    stored, searches = state.shard.steps, state.shard.window
    capacity = stored.action.shape[2]
    entries = jax.vmap(window.sampleable, in_axes=(0, None))(searches, window_from)
    assert (np.asarray(entries.stop - entries.first).sum(axis=1) > 0).all()
    ring = searches.priority.shape[2]
    for shard, lane in np.ndindex(*searches.cursor.shape):
        first, stop = int(entries.first[shard, lane]), int(entries.stop[shard, lane])
        for index in range(first, stop):
            at = (shard, lane, index % ring)
            entry = jax.tree.map(lambda x, at=at: np.asarray(x)[at], searches.entries)
            complete = int(stored.complete[shard, entry.column])
            deepest = entry.step - WRAPPING.protocol.stack + 1
            assert max(0, deepest) > complete - capacity
            slot = (shard, int(entry.column), int(entry.step) % capacity)
            assert entry.action == stored.action[slot]
            assert entry.reward == stored.reward[slot]
            assert entry.discount == stored.discount[slot]
    placed = state.shard.lanes
    newest = np.take_along_axis(
        np.asarray(stored.complete), np.asarray(placed.column), axis=1
    )
    deepest = np.maximum(np.asarray(placed.step) - WRAPPING.protocol.stack + 1, 0)
    assert (placed.waiting | (deepest > newest - capacity)).all()


@pytest.mark.parametrize(
    "fraction",
    [
        pytest.param(0.05, marks=pytest.mark.slow),
        0.5,
        pytest.param(0.95, marks=pytest.mark.slow),
    ],
)
def test_rings_that_wrap_lose_nothing_that_is_pointed_at(fraction, tmp_path):
    account, loop = begin(WRAPPING, cell(frames=1600, fraction=fraction), tmp_path)
    state, call = loop.state, 0
    layout = layouts.layout_for(WRAPPING, account)
    assert layout.step_capacity < 1600 / 4  # the rings do wrap
    numbers = [account.learning_from, 3, 50, 97, account.calls]
    for number in numbers:
        stop = min(call + number, account.calls - 1)
        while call < stop:
            until = min(stop, call + training.CALLS_AT_ONCE)
            calls = account.schedule(call, until)
            state = loop.advance(state, stacked(calls), until - call, account.updates)
            call = until
        window_from = jnp.asarray(account.schedule(call, call + 1).window_from[0])
        check_nothing_is_evicted(state, window_from)


def test_both_loops_make_the_same_run_of_the_same_game(tmp_path):
    """With a network that never changes: the two compile it differently."""
    digests = set()
    for game in ("Corridor", "HostCorridor"):
        learner = dataclasses.replace(SETTINGS.learner, learning_rate=1e-30)
        settings = dataclasses.replace(
            SETTINGS, env=f"{__name__}:Same{game}", learner=learner
        )
        row = run.run(settings, cell(frames=200), tmp_path / game)
        digests.add(row["digest"])
    assert len(digests) == 1


def test_temperature_falls_with_the_updates():
    part = iteration.temperature
    call = run_state.Call(*np.zeros(len(run_state.Call._fields), int))
    heats = [
        float(
            part(
                call._replace(first_update=u), jnp.array(100), settings=SETTINGS.search
            )
        )
        for u in (0, 49, 50, 74, 75, 99)
    ]
    assert heats == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


def test_a_loss_that_is_no_number_ends_the_run(tmp_path):
    learner = dataclasses.replace(SETTINGS.learner, learning_rate=float("inf"))
    settings = dataclasses.replace(SETTINGS, learner=learner)
    with pytest.raises(log.DivergedError, match="learning-rate"):
        run.run(settings, cell(), tmp_path)
    assert not (tmp_path / "result.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("bootstrap", ["root_value", "target_network"])
def test_both_bootstraps_and_priorities_run(bootstrap, tmp_path):
    learner = dataclasses.replace(SETTINGS.learner, bootstrap=bootstrap)
    settings = dataclasses.replace(SETTINGS, learner=learner)
    row = run.run(settings, cell(frames=300), tmp_path)
    assert row["status"] == "ok"


def test_the_size_of_the_stores_is_known_before(tmp_path):
    account = accounting.account_for(SETTINGS, cell(), 1)
    mesh = sharding.make_mesh(hardware.ALL_DEVICES, account.shards)
    loop = loops.make(SETTINGS, 0, account, mesh, tmp_path)
    shard, observation = loop.state.shard, 5 * 4
    kept = [*shard.steps._replace(complete=()), *shard.window.entries]
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(kept))
    size += shard.window.priority.nbytes + loop.state.frames.nbytes
    size += shard.window.drift.newest.nbytes
    layout = layouts.layout_for(SETTINGS, account)
    assert layouts.store_bytes(layout, observation, 2) == size
    loop.close()
