"""Collected episodes are evaluation's, in order, whatever runs beside them."""

import dataclasses
import importlib
import math
import pathlib
import sys
from typing import Any

import jax
import numpy as np
import pytest
import test_run
from hypothesis import given
from hypothesis import strategies as st

from scaling import checkpoint, collecting, config, evaluate, playing, types
from scaling.agent import model as models
from scaling.datasets import compatibility, episodes, writer

sys.path.append(str(pathlib.Path(__file__).parent / "datasets"))
recorded: Any = importlib.import_module("recorded")

GAMES = {"device": test_run.SETTINGS, "host": test_run.HOST}
RANDOM = collecting.Behaviour(name="random", action="random", seed=5)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A directory with the parameters of a network that learned nothing."""
    directory = tmp_path_factory.mktemp("network")
    spec = test_run.Corridor(None).spec
    model = models.make_model(spec, test_run.SETTINGS)
    checkpoint.save_params(directory, model.init(jax.random.key(0)))
    return directory


def played(settings, behaviour, wanted, size=4, kept=collecting.NOTHING):
    with collecting.lanes(settings, behaviour, size) as lanes:
        return list(collecting.episodes(lanes, wanted, kept))


def evaluated(kind, action, network, number, lanes=4):
    """What evaluation plays with the same keys and seeds."""
    settings = GAMES[kind]
    game = test_run.Corridor(None)
    model = models.make_model(game.spec, settings)
    params = checkpoint.load_params(
        network, jax.eval_shape(model.init, jax.random.key(0))
    )
    policy = {
        "mcts": lambda: evaluate.greedy_policy(model, settings),
        "policy": lambda: evaluate.policy_head(model),
    }[action]()
    if kind == "device":
        play = evaluate.on_device(game, policy, settings.protocol, lanes)
    else:
        host = test_run.HostCorridor(None, lanes)
        play = evaluate.on_host(host, policy, settings.protocol)
    return play(params, collecting._SEED + 5, number)


@pytest.mark.parametrize("kind", ["device", "host"])
@pytest.mark.parametrize(
    "action", [pytest.param("mcts", marks=pytest.mark.slow), "policy"]
)
def test_episodes_are_those_that_evaluation_plays(kind, action, network):
    behaviour = dataclasses.replace(RANDOM, action=action, network=network)
    found = played(GAMES[kind], behaviour, collecting.Wanted(episodes=14))
    returns = [episode.rewards.sum() for episode in found]
    np.testing.assert_array_equal(returns, evaluated(kind, action, network, 14))
    assert action == "mcts" or len(set(returns)) > 1


@pytest.mark.parametrize("kind", ["device", "host"])
@pytest.mark.parametrize(
    "action", [pytest.param("policy", marks=pytest.mark.slow), "random"]
)
def test_an_episode_is_the_same_whatever_is_played_beside_it(kind, action, network):
    behaviour = dataclasses.replace(RANDOM, action=action, network=network)
    wanted = collecting.Wanted(episodes=9)
    expected = played(GAMES[kind], behaviour, wanted, size=4)
    assert len({len(episode.actions) for episode in expected}) > 1
    for size in (1, 7):
        for one, other in zip(
            expected, played(GAMES[kind], behaviour, wanted, size), strict=True
        ):
            recorded.assert_equal(one, other)
    later = played(GAMES[kind], behaviour, wanted, kept=collecting.Kept(6, 1))
    for one, other in zip(expected[6:], later, strict=True):
        recorded.assert_equal(one, other)


def test_another_seed_plays_other_episodes():
    other = dataclasses.replace(RANDOM, seed=6)
    lengths = [
        [
            len(e.actions)
            for e in played(test_run.HOST, b, collecting.Wanted(episodes=9))
        ]
        for b in (RANDOM, other)
    ]
    assert lengths[0] != lengths[1]


class Telling(test_run.HostCorridor):
    """Tells of each episode all that happened, by the seed that began it."""

    told: dict = {}  # noqa: RUF012, a record of all that are made

    def __init__(self, protocol, size):
        super().__init__(protocol, size)
        self.seeds = [-1] * size

    def reset(self, rows, seeds):
        first = super().reset(rows, seeds)
        for row, seed, seen in zip(rows, seeds, first, strict=True):
            self.seeds[row] = seed
            self.told[seed] = ([seen], [], [], [])
        return first

    def step(self, rows, action):
        moved = super().step(rows, action)
        facts = (moved.observation, action, moved.reward, moved.terminated)
        columns = zip(rows, *facts, strict=True)
        for row, *each in columns:
            for held, fact in zip(self.told[self.seeds[row]], each, strict=True):
                held.append(fact)
        return moved


def test_what_is_collected_is_what_the_environment_did():
    Telling.told = {}
    settings = dataclasses.replace(test_run.HOST, env=f"{__name__}:Telling")
    found = played(settings, RANDOM, collecting.Wanted(episodes=11), size=3)
    told = list(Telling.told.values())  # in the order in which they were begun
    assert len(told) == 11
    for episode in found:
        match = [
            each
            for each in told
            if len(each[1]) == len(episode.actions)
            and np.array_equal(each[0], episode.observations)
        ]
        assert any(
            np.array_equal(each[1], episode.actions)
            and np.array_equal(each[2], episode.rewards)
            and each[3][-1] == episode.terminated
            for each in match
        )
    total = sum(len(each[1]) for each in told)
    assert sum(len(episode.actions) for episode in found) == total


class Scripted:
    """Lanes whose episodes last as long as a list says; observations name them."""

    spec = types.EnvSpec("scripted", 2, (2,), np.float32, 1.0, 1)

    def __init__(self, lengths, size):
        self.lengths, self.size = lengths, size
        self.number, self.steps = np.zeros(size, int), np.zeros(size, int)
        self.begun, self.most, self.ended = [], 0, set()

    def seen(self):
        return np.stack([self.number, self.steps], axis=1).astype(np.float32)

    def begin(self, lanes, numbers):
        self.begun += numbers
        self.number[lanes], self.steps[lanes] = numbers, 0
        return self.seen()[lanes]

    def step(self, live):
        self.steps[live] += 1
        ended = self.steps >= np.array(self.lengths)[self.number]
        self.ended |= {int(self.number[lane]) for lane in live if ended[lane]}
        unended = next(n for n in range(len(self.lengths) + 1) if n not in self.ended)
        self.most = max(self.most, max(self.begun) - unended)
        return playing.Moved(
            self.number % 2,
            self.seen(),
            self.steps,
            ended & (self.number % 3 == 0),
            ended,
        )


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=40),
    st.integers(1, 6),
    st.integers(0, 10),
    st.booleans(),
)
def test_episodes_come_whole_and_in_order_and_no_lane_runs_away(
    lengths, size, skip, by_frames
):
    number = len(lengths)
    skip = min(skip, number - 1)
    total = sum(lengths)
    wanted = collecting.Wanted(frames=total) if by_frames else collecting.Wanted(number)
    lanes = Scripted(lengths + [5] * 4 * size, size)
    lanes.ended = set(range(skip))
    kept = collecting.Kept(skip, sum(lengths[:skip]))
    found = list(collecting.episodes(lanes, wanted, kept))
    assert len(found) == number - skip
    for index, episode in enumerate(found, skip):
        steps = lengths[index]
        expected = [[index, step] for step in range(steps + 1)]
        np.testing.assert_array_equal(episode.observations, expected)
        np.testing.assert_array_equal(episode.rewards, np.arange(1, steps + 1))
        np.testing.assert_array_equal(episode.actions, np.full(steps, index % 2))
        assert episode.terminated == (index % 3 == 0)
    assert len(set(lanes.begun)) == len(lanes.begun)
    assert min(lanes.begun) == skip
    assert lanes.most < 2 * size + 1
    if not by_frames:
        assert max(lanes.begun) < number


def test_the_episode_that_reaches_the_frames_is_the_last():
    for frames, number in ((1, 1), (5, 1), (6, 2), (12, 2), (13, 3)):
        wanted = collecting.Wanted(frames=frames)
        found = list(collecting.episodes(Scripted([5, 7, 9] + [1] * 99, 2), wanted))
        assert len(found) == number


def test_episodes_that_cannot_be_wanted_are_not_begun():
    """While the first episode lasts, the second's frames are enough already."""
    lanes = Scripted([50, 60, 1, 1, 1, 1, 1], 2)
    assert len(list(collecting.episodes(lanes, collecting.Wanted(frames=40)))) == 1
    assert lanes.begun == [0, 1]


class Stop(Exception):  # noqa: N818
    pass


class StopAfter:
    """Raises when a store has made so many steps."""

    def __init__(self, steps):
        self.steps = steps

    def __call__(self, progress):
        if progress.steps > self.steps:
            raise Stop


def collect(path, kind, behaviour, stops=(), chunk_bytes=400, **limits):
    """Makes a store that is interrupted after each number of steps."""
    settings, wanted = GAMES[kind], collecting.Wanted(**limits)
    for stop in (*stops, math.inf):
        with collecting.lanes(settings, behaviour, 4) as lanes:
            head = collecting.header(lanes.spec, settings.protocol, behaviour, wanted)
            head = dataclasses.replace(head, chunk_bytes=chunk_bytes)
            try:
                collecting.collect(lanes, path, head, wanted, StopAfter(stop))
            except Stop:
                assert not path.exists()
                assert writer.partial(path).exists()
    return episodes.open_store(path)


@pytest.mark.parametrize(
    ("kind", "limits"), [("device", {"frames": 300}), ("host", {"episodes": 33})]
)
def test_an_interrupted_store_ends_with_the_bytes_of_one_that_was_not(
    kind, limits, tmp_path
):
    behaviour = dataclasses.replace(RANDOM, epsilon=0.3)
    whole = collect(tmp_path / "whole", kind, behaviour, **limits)
    broken = collect(tmp_path / "broken", kind, behaviour, stops=(90, 120), **limits)
    assert recorded.tree(whole.path) == recorded.tree(broken.path)
    stats = whole.statistics()
    assert stats.episodes == limits.get("episodes", stats.episodes)
    frames = limits.get("frames", 0)
    assert stats.frames >= frames
    assert stats.frames - int(whole.index.length[-1]) < (frames or math.inf)
    assert episodes.verify(whole.path).index.last_observation.all()


def test_a_store_says_how_it_was_made_and_is_compatible(network, tmp_path):
    behaviour = dataclasses.replace(
        RANDOM,
        name="run",
        action="policy",
        epsilon=0.25,
        network=network,
        facts={"score": 0.5},
    )
    head = collect(tmp_path / "store", "device", behaviour, episodes=3).header
    spec = test_run.Corridor(None).spec
    compatibility.check(head, spec, "it")
    assert not compatibility.warnings(head, test_run.SETTINGS.protocol)
    expected = {
        "kind": "collected",
        "name": "run",
        "action": "policy",
        "epsilon": 0.25,
        "seed": 5,
        "episodes": 3,
        "frames": None,
        "score": 0.5,
        "lossy": False,
    }
    assert expected.items() <= head.provenance.items()
    assert str(network) not in str(head)


def test_chunks_are_smaller_than_imported_ones():
    protocol = config.Protocol()
    spec = types.EnvSpec("gymnasium:CartPole-v1", 2, (4,), np.float32, 1, 1)
    wanted = collecting.Wanted(episodes=1)
    head = collecting.header(spec, protocol, RANDOM, wanted)
    assert head.chunk_bytes == collecting.STEPS_OF_CHUNK * 16
    large = spec._replace(observation_shape=(96, 96, 3), observation_dtype=np.uint8)
    head = collecting.header(large, protocol, RANDOM, wanted)
    assert head.chunk_bytes == 64 * 2**20
