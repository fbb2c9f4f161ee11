"""Whole runs of the ablation's columns on the tests' corridor, evaluated in every way.

Columns that need no search must neither make nor compile one, and learn all the same.
Each target with each unroll is run once, online or on a data set, and each kind of
loop: compiling takes long.
"""

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np
import pytest
import test_borrowed
import test_interrupted
import test_run

from launch import evaluate as evaluate_command
from scaling import config, execution, host_loop, loops, results, run
from scaling.search import mcts

ACTIONS: tuple[config.Action, ...] = ("mcts", "policy", "value")
# Values of a new network are alike, so that its first action is always taken, unless
# most are random; a model has more to learn. Share of random actions, and frames.
ONLINE = {0: (0.5, 600), 5: (0.8, 1200)}


def ablated(settings, target, unroll, **learner: Any) -> config.Settings:
    """Returns settings that act and are evaluated by value."""
    learner = {"target": target, "unroll_steps": unroll, **learner}
    return dataclasses.replace(
        settings,
        acting=config.Acting(action="value", epsilon=ONLINE[unroll][0]),
        learner=dataclasses.replace(settings.learner, **learner),
        evaluation=dataclasses.replace(settings.evaluation, action="value"),
    )


def asked_also(settings, *also) -> config.Settings:
    evaluation = dataclasses.replace(settings.evaluation, also=also)
    return dataclasses.replace(settings, evaluation=evaluation)


@pytest.fixture
def no_search(monkeypatch):
    """Whatever makes or compiles a search fails; no compiled loop is there to reuse."""

    def refuse(*arguments, **named):
        raise AssertionError("a search was made")

    for maker in ("make_search", "make_greedy_search"):
        monkeypatch.setattr(mcts, maker, refuse)
    for policy in ("muzero_policy", "gumbel_muzero_policy"):
        monkeypatch.setattr(mcts.mctx, policy, refuse)
    for module in (loops, host_loop):
        for thing in vars(module).values():
            if hasattr(thing, "cache_clear"):
                thing.cache_clear()


def losses(directory: pathlib.Path, name: str) -> list[float]:
    """Returns a term of the loss, line by line of the log."""
    lines = map(json.loads, (directory / "metrics.jsonl").read_text().splitlines())
    trained = [line[name] for line in lines if line["kind"] == "train"]
    return [loss for loss in trained if loss is not None]


def identity(row):
    names = ("target", "unroll_steps", "acting", "action", "status")
    return tuple(row[name] for name in names)


def scores(row) -> dict[config.Action, float]:
    """Returns the scores of the row by the action that was evaluated."""
    found: dict[config.Action, float] = {}
    for action in ACTIONS:
        if (score := row.get(f"score_{action}")) is not None:
            found[action] = score
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("game", "target", "unroll"),
    [
        (test_run.HOST, "supervised", 0),
        (test_run.SETTINGS, "crr", 5),  # the model is an auxiliary loss, nothing more
    ],
    ids=["no model, host", "auxiliary model, device"],
)
def test_the_corridor_is_learned_without_a_search(
    game, target, unroll, no_search, tmp_path
):
    settings = asked_also(ablated(game, target, unroll), "policy")
    row = run.run(settings, test_run.cell(frames=ONLINE[unroll][1]), tmp_path)
    assert row["score"] == 1.0
    assert identity(row) == (target, unroll, "value", "value", "ok")
    assert row["searched_states"] == 2 * row["frames"]  # states that were looked at
    assert scores(row).keys() == {"value", "policy"}
    assert scores(row)["value"] == row["score"]
    first, *_, last = losses(tmp_path, "reward_loss")
    assert 0 < last < first if unroll else last == first == 0.0


def test_a_search_that_is_made_is_noticed(no_search, tmp_path):
    """Else the test that makes none could not fail."""
    searching = ablated(test_run.SETTINGS, "reanalyse", 5)
    with pytest.raises(AssertionError, match="a search was made"):
        run.run(searching, test_run.cell(frames=64), tmp_path)


def test_without_a_model_an_evaluation_by_search_is_refused_before_anything(tmp_path):
    evaluation = config.Evaluation(action="mcts")
    settings = ablated(test_run.SETTINGS, "supervised", 0)
    settings = dataclasses.replace(settings, evaluation=evaluation)
    with pytest.raises(ValueError, match="the learner unrolls 0 steps"):
        run.run(settings, test_run.cell(), tmp_path)
    assert not (tmp_path / "metrics.jsonl").exists()
    with pytest.raises(ValueError, match="the learner unrolls 0 steps"):
        run.evaluate_again(tmp_path, action="mcts")


@pytest.fixture(scope="module")
def walks(tmp_path_factory):
    return test_borrowed.data_set(tmp_path_factory.mktemp("data") / "walks")


def offline(walks, target, unroll, **learner: Any):
    settings = ablated(test_run.SETTINGS, target, unroll, **learner)
    return test_borrowed.offline(settings, walks, samples_per_search=8.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "unroll", "bootstrap"),
    [("crr", 0, "target_network"), ("supervised", 5, "root_value")],
)
def test_a_column_is_learned_from_a_data_set_and_goes_on_where_it_was(
    target, unroll, bootstrap, walks, no_search, tmp_path
):
    learner: Any = {"bootstrap": bootstrap, "target_interval": 20}
    settings, cell, how = offline(walks, target, unroll, **learner)
    row = run.run(settings, cell, tmp_path / "unbroken", how=how)
    assert identity(row) == (target, unroll, "", "value", "ok")
    assert (row["frames"], row["searched_states"]) == (0, 2048)
    assert row["learner_updates"] == 8 * 2048 // 16
    assert row["dataset_frames"] == walks.statistics().frames
    assert row["sources"] == "dataset:1"
    assert scores(row) == {"value": row["score"]}
    assert row["score"] == 1.0 > row["behaviour_score"]
    again = test_borrowed.interrupted(settings, cell, tmp_path / "parts", how, 3)
    for name in ("digest", "score", "score_sd", "learner_updates"):
        assert again[name] == row[name]
    ours, theirs = (
        test_interrupted.parameters(settings, tmp_path / name)
        for name in ("parts", "unbroken")
    )
    for our, their in zip(ours, theirs, strict=True):
        assert np.isfinite(our).all()
        np.testing.assert_array_equal(our, their)
    other = dataclasses.replace(cell, seed=1)
    differs = run.run(settings, other, tmp_path / "other", how=how)
    assert differs["digest"] != row["digest"]


@pytest.fixture(scope="module")
def little(tmp_path_factory):
    """Row and directory of a run too short for its three ways to act to agree."""
    settings = asked_also(test_run.SETTINGS, "policy", "value")
    how = execution.Execution(allocate_frames=600)  # a program that others have too
    directory = tmp_path_factory.mktemp("little")
    return run.run(settings, test_run.cell(frames=48), directory, how=how), directory


@pytest.mark.slow
def test_one_network_is_scored_in_every_way_that_is_asked_for(little):
    row, directory = little
    assert results.read_row(directory) == {
        name: row.get(name) for name in results.COLUMNS
    }
    assert scores(row)["mcts"] == row["score"]
    assert len(set(scores(row).values())) > 1
    for action, score in scores(row).items():
        assert run.evaluate_again(directory, action=action)["score"] == score


@pytest.mark.slow
def test_the_command_evaluates_a_run_in_another_way(little, capsys):
    row, directory = little
    assert row["score_policy"] != row["score"]
    evaluate_command.evaluate([str(directory), "--action", "policy"])
    assert f"score {row['score_policy']:,.1f} " in capsys.readouterr().out
