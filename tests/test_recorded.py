"""A run's stores give back what its environments did, whole episodes and no other."""

import dataclasses
import importlib
import itertools
import json
import pathlib
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import test_interrupted
import test_run
from hypothesis import given
from hypothesis import strategies as st

from scaling import accounting, config, execution, layout, recorded, run, run_state
from scaling.datasets import compatibility, episodes, importing

sys.path.append(str(pathlib.Path(__file__).parent / "datasets"))
written: Any = importlib.import_module("recorded")

KEEP = execution.Execution(keep_replay=True)


def ring_of(lengths, under_way, capacity):
    """What a plain loop leaves of whole episodes and of one that goes on."""
    fields = [np.zeros(capacity, kind) for kind in ("i4", "f4", "f4", bool, "i4")]
    played = [(age, age == n - 1) for n in lengths for age in range(n)]
    played += [(age, False) for age in range(under_way)]
    for step, (age, last) in enumerate(played):
        for field, value in zip(fields, (step, step, 1, last, age), strict=True):
            field[step % capacity] = value
        # The next step is pending: its age is there.
        fields[4][(step + 1) % capacity] = 0 if last else age + 1
    return recorded.Ring(*fields, complete=len(played))


@given(st.lists(st.integers(1, 6), max_size=20), st.integers(0, 40), st.integers(2, 30))
def test_the_whole_episodes_of_a_ring(lengths, under_way, capacity):
    ring = ring_of(lengths, under_way, capacity)
    oldest = max(0, sum(lengths) + under_way - capacity + 1)
    stops = np.cumsum([0, *lengths]).tolist()
    expected = [span for span in itertools.pairwise(stops) if span[0] >= oldest]
    assert ring.first == oldest
    assert [tuple(span) for span in recorded.whole(ring)] == expected


class Telling(test_run.HostCorridor):
    """Tells of each row, episode by episode, what happened."""

    told: dict = {}  # noqa: RUF012, a record of the training rows

    def __init__(self, protocol, size):
        super().__init__(protocol, size)
        self.own = self.told.setdefault(size, [[] for _ in range(size)])

    def reset(self, rows, seeds):
        first = super().reset(rows, seeds)
        for row, seen in zip(rows, first, strict=True):
            self.own[row].append(([seen], [], [], []))
        return first

    def step(self, rows, action):
        moved = super().step(rows, action)
        facts = (moved.observation, action, moved.reward, moved.terminated)
        for row, *each in zip(rows, *facts, strict=True):
            for held, fact in zip(self.own[row][-1], each, strict=True):
                held.append(fact)
        return moved


# A ring that is overwritten several times.
SHORT = dataclasses.replace(
    test_run.HOST,
    replay=config.Replay(
        stored_steps=64, window=200, window_share=0.5, segment_length=5, warm_up=8
    ),
)


def expected_of(told, settings, cell):
    """The episodes that must be found, by row, and how many steps must not."""
    account = accounting.account_for(settings, cell, 1)
    capacity = layout.layout_for(settings, account).step_capacity
    found, left_out = [], 0
    for row in told:
        complete = account.fresh_calls
        oldest, at = max(0, complete - capacity + 1), 0
        inside = 0
        for seen, actions, rewards, terminated in row:
            steps = len(actions)
            ended = len(terminated) and (terminated[-1] or steps == 12)
            if ended and at >= oldest and at + steps <= complete:
                found.append(
                    episodes.Episode(
                        np.array(seen[:-1]),
                        np.array(actions, np.int32),
                        np.array(rewards, np.float32),
                        bool(terminated[-1]),
                    )
                )
                inside += steps
            at += steps
        left_out += complete - oldest - inside
    return found, left_out, capacity


@pytest.mark.parametrize(
    "settings", [test_run.HOST, pytest.param(SHORT, marks=pytest.mark.slow)]
)
def test_what_is_imported_is_what_the_environments_did(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(test_run, "HostCorridor", Telling)
    monkeypatch.setattr(Telling, "told", {})
    cell = test_run.cell()
    run.run(settings, cell, tmp_path / "run", how=KEEP)
    told = Telling.told[settings.environments]
    expected, left_out, capacity = expected_of(told, settings, cell)
    assert (capacity < 150) == (settings is SHORT)
    assert len(expected) > 10
    source = recorded.OwnRun(tmp_path / "run")
    store = importing.import_source(source, tmp_path / "store")
    assert len(store) == len(expected)
    for one, other in zip(store, expected, strict=True):
        written.assert_equal(one, other)
    assert source.left_out == left_out > 0
    assert not store.index.last_observation.any()
    head = store.header
    compatibility.check(head, test_run.Corridor(None).spec, "it")
    assert not compatibility.warnings(head, settings.protocol)
    assert (head.provenance["kind"], head.provenance["name"]) == ("own_run", "run")
    later = [read.episode for read in recorded.OwnRun(tmp_path / "run").episodes(7)]
    for one, other in zip(later, expected[7:], strict=True):
        written.assert_equal(one, other)


class Marked:
    """The corridor, but every observation names the episode by its key."""

    kind = "device"

    def __init__(self, protocol):
        self.game = test_run.Corridor(protocol)
        self.spec = self.game.spec._replace(observation_shape=(6,))

    def reset(self, keys):
        walk, seen = self.game.reset(keys)
        mark = jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, 7)))(
            keys
        )
        return (walk, mark), self.marked(seen, mark)

    def step(self, state, action):
        walk, moved = self.game.step(state[0], action)
        seen = self.marked(moved.observation, state[1])
        return (walk, state[1]), moved._replace(observation=seen)

    def marked(self, seen, mark):
        return jnp.concatenate([seen, mark[:, None]], axis=1)


MARKED = dataclasses.replace(test_run.SETTINGS, env=f"{__name__}:Marked")


def interrupted(directory):
    """A run on the device that was stopped."""
    with pytest.raises(test_interrupted.ledger.Interrupted):
        run.run(
            MARKED,
            test_run.cell(),
            directory,
            how=execution.Execution(checkpoint_calls=3),
            stop=test_interrupted.StopAfter(60),
        )
    return directory


@pytest.mark.slow
def test_an_interrupted_run_on_the_device_gives_what_its_keys_play(tmp_path):
    """Marks say which episode of which environment one is, its actions what follows."""
    store = importing.import_source(
        recorded.OwnRun(interrupted(tmp_path / "run")), tmp_path / "store"
    )
    assert 0 < store.header.provenance["call"] < store.header.provenance["calls"]
    key = jax.random.fold_in(jax.random.key(0), run_state.ENVIRONMENT)
    names = [
        (row, number, jax.random.fold_in(of_row, number))
        for row, of_row in enumerate(jax.random.split(key, 4))
        for number in range(40)
    ]
    (walk, marks), _ = Marked(None).reset(jnp.stack([each for _, _, each in names]))
    places = dict(zip(np.asarray(marks).tolist(), np.asarray(walk.place), strict=True))
    named = dict(zip(np.asarray(marks).tolist(), names, strict=True))
    found = [float(episode.observations[0, -1]) for episode in store]
    order = [named[mark][:2] for mark in found]
    counts = np.bincount([row for row, _ in order], minlength=4)
    assert order == [(row, n) for row in range(4) for n in range(counts[row])]
    assert counts.min() > 3
    for episode, mark in zip(store, found, strict=True):
        check_played(episode, int(places[mark]), mark)


def check_played(episode, place, mark):
    for step, action in enumerate(episode.actions):
        expected = [*np.eye(5, dtype=np.float32)[place], mark]
        np.testing.assert_array_equal(episode.observations[step], expected)
        place = min(max(place + 2 * int(action) - 1, 0), 4)
        assert episode.rewards[step] == (place == 4)
        assert (place == 4 or step == 11) == (step == len(episode.actions) - 1)
    assert episode.terminated == (place == 4)


def test_without_a_checkpoint_it_says_how_to_have_one(tmp_path):
    parts = {"settings": test_run.SETTINGS, "cell": test_run.cell()}
    values = {name: config.as_dict(part) for name, part in parts.items()}
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match=r"no checkpoint.*--keep-replay.*\.$"):
        recorded.OwnRun(tmp_path)
    with pytest.raises(ValueError, match=r"not the directory of a run.*\.$"):
        recorded.OwnRun(tmp_path / "none")
