"""Runs on borrowed data, and on the best of their own, on the tests' corridor."""

import dataclasses

import numpy as np
import pytest
import test_run

from scaling import accounting, borrowed, config, execution, ledger, run
from scaling.datasets import episodes, identity, manifest, writer

PLAIN = test_run.SETTINGS
# The two loops compile the network differently, so it must not change.
STILL = dataclasses.replace(PLAIN.learner, learning_rate=1e-30)


def corridor_episode(rng, right=0.5, length=4):
    """A walk through the corridor that goes right with a probability."""
    place, seen, actions, rewards = int(rng.integers(2)), [], [], []
    while len(actions) < 12 and place < length:
        seen.append(place)
        actions.append(int(rng.random() < right))
        place = int(np.clip(place + 2 * actions[-1] - 1, 0, length))
        rewards.append(float(place == length))
    seen.append(place)
    return episodes.Episode(
        observations=np.eye(5, dtype=np.float32)[seen],
        actions=np.array(actions, np.int32),
        rewards=np.array(rewards, np.float32),
        terminated=place == length,
    )


def data_set(path, number=60, seed=0, env="corridor", right=0.5):
    rng = np.random.default_rng(seed)
    head = manifest.Header(
        observation_shape=(5,),
        observation_dtype="<f4",
        protocol=manifest.Recording(
            env=env, num_actions=2, action_set="own", frame_skip=1, reward_kind="raw"
        ),
        action_map={0: 0, 1: 1},
        provenance={"kind": "test"},
    )
    with writer.EpisodeWriter(path, head) as out:
        for _ in range(number):
            out.append(corridor_episode(rng, right))
        out.finish()
    return episodes.open_store(path)


@pytest.fixture(scope="module")
def walks(tmp_path_factory):
    return data_set(tmp_path_factory.mktemp("data") / "walks")


def offline(settings, store, **changes):
    """Returns settings, cell and execution of fraction 1 on a data set."""
    data = config.Data(dataset=identity.identity(store.path))
    frames = changes.pop("frames", store.statistics().frames)
    settings = dataclasses.replace(settings, data=data, max_lanes=32, **changes)
    cell = test_run.cell(frames=frames, fraction=1.0, searches=2048)
    return settings, cell, execution.Execution(dataset=str(store.path))


@pytest.fixture(scope="module")
def made(walks, tmp_path_factory):
    """The row of a run of fraction 1."""
    settings, cell, how = offline(PLAIN, walks)
    return run.run(settings, cell, tmp_path_factory.mktemp("made"), how=how)


def test_fraction_1_steps_no_environment_and_counts_what_it_borrows(made, walks):
    row, data = made, walks.statistics()
    assert (row["frames"], row["agent_steps"], row["environments"]) == (0, 0, 0)
    assert row["realised_fraction"] == 1.0
    assert row["searched_states"] == 2048
    assert row["learner_updates"] == 4 * 2048 // 16
    assert row["sources"] == "dataset:1"
    assert row["dataset_frames"] == data.frames
    assert row["demonstration_frames"] == 0
    assert row["dataset_episodes"] == 60
    assert row["dataset"] == identity.identity(walks.path)
    assert row["behaviour_score"] == pytest.approx(walks.index.returns.mean())
    assert row["dataset_best_tenth"] == 1.0
    assert 0 < row["random_score"] < 1
    assert (row["target"], row["action"]) == ("reanalyse", "mcts")


def test_fraction_1_learns_more_than_the_data_show(made):
    assert made["score"] == 1.0 > made["behaviour_score"]


@pytest.mark.slow
def test_training_does_not_know_what_kind_of_environment_evaluates(
    made, walks, tmp_path
):
    host = dataclasses.replace(PLAIN, env=test_run.HOST.env)
    settings, cell, how = offline(host, walks)
    row = run.run(settings, cell, tmp_path, how=how)
    assert row["digest"] == made["digest"]
    assert row["score"] == 1.0


@pytest.mark.slow
def test_frames_may_stay_in_their_files(walks, tmp_path, monkeypatch):
    settings, cell, how = offline(PLAIN, walks, learner=STILL)
    on_device = run.run(settings, cell, tmp_path / "device", how=how)
    monkeypatch.setattr(borrowed, "MOST_ON_DEVICE", 0)
    on_host = run.run(settings, cell, tmp_path / "host", how=how)
    assert on_host["digest"] == on_device["digest"]
    assert on_host["score"] == on_device["score"]


@pytest.mark.slow
def test_a_budget_takes_whole_episodes_by_seed(walks, tmp_path):
    settings, cell, how = offline(PLAIN, walks, frames=150)
    first = run.run(settings, cell, tmp_path / "a", how=how)
    other = dataclasses.replace(cell, seed=1)
    again = run.run(settings, other, tmp_path / "b", how=how)
    for row, seed in ((first, 0), (again, 1)):
        chosen = walks.subset(150, seed).statistics()
        assert row["dataset_frames"] == chosen.frames <= 150
        assert row["behaviour_score"] == chosen.mean_return


@pytest.mark.slow
def test_cloning_acts_like_the_data_however_bad_they_are(tmp_path):
    """Reanalysis of such data reaches 1; a clone must do as its data do."""
    walks = data_set(tmp_path / "walks", number=100, right=0.3)
    learner = dataclasses.replace(PLAIN.learner, target="supervised")
    evaluation = dataclasses.replace(PLAIN.evaluation, action="policy", episodes=256)
    settings, cell, how = offline(PLAIN, walks, learner=learner, evaluation=evaluation)
    row = run.run(settings, cell, tmp_path / "run", how=how)
    assert (row["target"], row["action"]) == ("supervised", "policy")
    assert row["behaviour_score"] < 0.3
    assert row["score"] == pytest.approx(row["behaviour_score"], abs=0.15)


def interrupted(settings, cell, directory, how, calls):
    """Stops a run after some calls; returns the row of the run that goes on."""
    stops = iter([False] * calls + [True])
    with pytest.raises(ledger.Interrupted):
        run.run(settings, cell, directory, how=how, stop=lambda: next(stops))
    return run.run(settings, cell, directory, how=how)


def mixture(walks, env=None):
    settings = dataclasses.replace(
        PLAIN,
        env=env or PLAIN.env,
        sources="recent:0.5,demonstrations:0.2..0.1,best:0.3..0.4",
        data=config.Data(demonstrations=identity.identity(walks.path)),
        replay=dataclasses.replace(PLAIN.replay, best_steps=150),
    )
    how = execution.Execution(demonstrations=str(walks.path))
    return settings, test_run.cell(fraction=0.75), how


@pytest.fixture(scope="module")
def mixed(walks, tmp_path_factory):
    settings, cell, how = mixture(walks)
    return run.run(settings, cell, tmp_path_factory.mktemp("mixed"), how=how)


@pytest.mark.slow
def test_each_source_gets_its_share(mixed, walks):
    shares = dict(part.split(":") for part in mixed["sources"].split(","))
    found = {name: float(share) for name, share in shares.items()}
    # 1800 stored searches by 12 lanes in segments of 6: within a segment of each.
    assert found == pytest.approx(
        {"recent": 0.5, "demonstrations": 0.15, "best": 0.35}, abs=12 * 6 / 1800
    )
    assert mixed["frames"] == 600
    assert mixed["demonstration_frames"] == walks.statistics().frames
    assert mixed["dataset_frames"] == 0
    assert mixed["score"] == 1.0


@pytest.mark.slow
def test_a_run_with_all_sources_goes_on_where_it_was(mixed, walks, tmp_path):
    row = interrupted(*mixture(walks)[:2], tmp_path, mixture(walks)[2], 3)
    assert row["digest"] == mixed["digest"]
    assert row["sources"] == mixed["sources"]


@pytest.mark.slow
def test_host_and_device_keep_the_same_best(walks, tmp_path):
    rows = []
    for kind in ("SameCorridor", "SameHostCorridor"):
        settings, cell, how = mixture(walks, f"test_run:{kind}")
        settings = dataclasses.replace(settings, learner=STILL)
        rows.append(run.run(settings, cell, tmp_path / kind, how=how))
    assert rows[0]["digest"] == rows[1]["digest"]
    assert rows[0]["sources"] == rows[1]["sources"]
    assert not list(tmp_path.glob("*/frames/**/*.npy"))


def test_other_data_than_the_study_s_are_refused(walks, tmp_path):
    other = data_set(tmp_path / "other", number=5, seed=9)
    settings, cell, _ = offline(PLAIN, walks)
    how = execution.Execution(dataset=str(other.path))
    with pytest.raises(ValueError, match="this study was begun with walks@"):
        run.run(settings, cell, tmp_path / "run", how=how)
    with pytest.raises(ValueError, match="give it with --dataset PATH"):
        run.run(settings, cell, tmp_path / "run")


def test_data_of_another_environment_are_refused(tmp_path):
    other = data_set(tmp_path / "other", number=5, env="elsewhere")
    settings, cell, how = offline(PLAIN, other)
    with pytest.raises(ValueError, match="has the environment elsewhere"):
        run.run(settings, cell, tmp_path / "run", how=how)


def test_best_is_kept_only_where_something_is_stored():
    settings = dataclasses.replace(PLAIN, sources="recent:0.5,best:0.5")
    for fraction, expected in ((0.0, 0), (0.5, 300)):
        account = accounting.account_for(settings, test_run.cell(fraction=fraction), 1)
        found = test_run.layouts.layout_for(settings, account)
        assert found.best_steps == (max(64, expected) if expected else 0)


@pytest.mark.slow
def test_the_best_of_host_environments_are_in_checkpoints(tmp_path):
    settings = dataclasses.replace(
        PLAIN,
        env="gymnasium:CartPole-v1",
        sources="recent:0.3,best:0.7",
        replay=dataclasses.replace(PLAIN.replay, best_steps=200),
    )
    cell, how = test_run.cell(fraction=0.75), execution.DEFAULT
    whole = run.run(settings, cell, tmp_path / "whole", how=how)
    row = interrupted(settings, cell, tmp_path / "parts", how, 3)
    for name in ("digest", "score", "sources"):
        assert row[name] == whole[name]
