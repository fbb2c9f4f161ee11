"""Scales of environments: the paper's, measured and declared ones."""

import csv
import pathlib

import numpy as np
import pandas as pd
import pytest

from analysis import atari57, normalise

TABLE_12 = (
    pathlib.Path(__file__).parents[3]
    / "shared/reference/muzero_unplugged_table12_online_atari57.csv"
)


def runs(env, random=()):
    return pd.DataFrame({"env": env, "random_score": random or [np.nan]})


def test_the_table_has_57_games_and_gives_the_published_aggregates():
    assert len(atari57.GAMES) == 57
    scores = [
        100 * (game.published - game.random) / (game.human - game.random)
        for game in atari57.GAMES.values()
    ]
    _, _, median, mean = atari57.PUBLISHED_AGGREGATES[1]
    assert np.median(scores) == pytest.approx(median, abs=0.2)
    assert np.mean(scores) == pytest.approx(mean, abs=0.2)


def test_the_table_is_that_of_the_paper():
    if not TABLE_12.exists():
        pytest.skip(f"the published table is not at {TABLE_12.name}")
    with TABLE_12.open() as file:
        rows = list(csv.reader(file))[1:]
    for row in rows:
        game = atari57.game("atari:" + row[0].replace("ﬁ", "fi").title())
        assert game == (float(row[1]), float(row[2]), float(row[7])), row[0]


@pytest.mark.parametrize(
    "env", ["atari:MsPacman", "ALE/MsPacman-v5", "atari:ms_pacman"]
)
def test_games_are_found_by_any_spelling(env):
    assert atari57.game(env) == (307.3, 6951.6, 70659.76)


@pytest.mark.parametrize(
    "env", ["jumanji:PacMan-v1", "MsPacman", "atari:Other", "table"]
)
def test_other_environments_are_no_atari_games(env):
    assert atari57.game(env) is None


def test_atari_needs_no_measurement():
    found = normalise.scale(runs("atari:Pong"), {})
    assert isinstance(found, normalise.Scale)
    assert (found.random, found.reference) == (-20.71, 14.59)
    both = normalise.normalised(np.array([-20.71, 14.59]), found)
    assert both.tolist() == [0, 1]


def test_elsewhere_random_is_measured_and_the_reference_declared():
    found = normalise.scale(runs("jumanji:PacMan-v1", [12.0]), {})
    assert isinstance(found, normalise.Scale)
    assert (found.random, found.reference) == (12, 3180)
    mine = normalise.scale(runs("my:Game", [1.0, 1.0]), {"my:Game": 9.0})
    assert isinstance(mine, normalise.Scale)
    assert mine.reference == 9


@pytest.mark.parametrize(
    ("env", "random", "references", "reason"),
    [
        ("jumanji:PacMan-v1", [], {}, "has no random_score"),
        ("jumanji:PacMan-v1", [1.0, 2.0], {}, "has several different random_score"),
        ("my:Game", [1.0], {}, "has no declared reference"),
        ("my:Game", [1.0], {"my:Game": 1.0}, "equal to its random score"),
    ],
)
def test_without_both_ends_there_is_a_reason(env, random, references, reason):
    found = normalise.scale(runs(env, random), references)
    assert isinstance(found, str)
    assert reason in found
