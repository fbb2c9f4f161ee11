"""The published offline scores are those of the paper's table."""

import csv
import pathlib
import unicodedata

import pytest

from analysis import offline_atari46

PAPER = pathlib.Path(__file__).parents[3] / "shared" / "reference"
TABLE = PAPER / "muzero_unplugged_table13_offline_atari46.csv"
COLUMNS = ("Random", "OnlineDQN", "BC", "DQN", "CRR", "MZU")


def test_medians_and_means_are_those_the_paper_prints():
    found = {each.method: each for each in offline_atari46.aggregates()}
    # In per cent, as the paper prints them (method.md, section 3).
    for method, median, mean in (
        ("behaviour cloning", 53.3, 48.5),
        ("CRR", 155.6, 271.2),
        ("MuZero Unplugged", 265.3, 595.5),
    ):
        assert round(100 * found[method].median, 1) == median
        assert round(100 * found[method].mean, 1) == mean
    assert len(offline_atari46.GAMES) == 46


@pytest.mark.skipif(not TABLE.exists(), reason="the paper's table is not here")
def test_every_game_is_as_in_the_papers_table():
    with TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 46
    for row in rows:
        name = unicodedata.normalize("NFKC", row["game"]).title().replace(" ", "")
        found = offline_atari46.game(f"atari:{name}")
        assert found == tuple(float(row[column]) for column in COLUMNS)


@pytest.mark.parametrize(
    ("env", "online"),
    [
        ("atari:MsPacman", 4171.5),
        ("atari:FishingDerby", 18.6),
        ("Atari:qbert", 12275.1),
        ("atari:Montezuma", None),
        ("jumanji:PacMan-v1", None),
        ("alien", None),
    ],
)
def test_games_are_found_by_the_names_of_environments(env, online):
    found = offline_atari46.game(env)
    assert (found and found.online) == online


def test_normalised_scores_are_those_of_plain_arithmetic():
    game = offline_atari46.Game(10.0, 30.0, 20.0, 5.0, 40.0, 90.0)
    expected = {"unplugged": 4.0, "crr": 1.5, "dqn": -0.25, "cloned": 0.5}
    assert offline_atari46.normalised(game) == pytest.approx(expected)
