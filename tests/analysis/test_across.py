"""Aggregates take the same environments everywhere, and say what they leave out."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis import across, sentences, study, table


def parts(folder, games, budgets=3, seeds=3, **columns):
    generator = np.random.default_rng(1)
    rows = [
        {
            **{"env": env, "frames": n, "fraction": f, "seed": s},
            "score": 10 + 900 * f * np.log10(n / 1e3) + 20 * generator.normal(),
            **{name: value(env) for name, value in columns.items()},
        }
        for env in games
        for f in (0.0, 0.5)
        for n in np.geomspace(1e4, 1e6, budgets).round()
        for s in range(seeds)
    ]
    path = folder / "runs.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    runs = table.read_tables([path])
    return [part for _, part in runs.groupby("env")]


def found(pieces):
    return [study.analyse(part, study.Options(profiled=False)) for part in pieces]


def test_aggregates_are_of_normalised_scores_at_common_budgets(tmp_path):
    pieces = parts(tmp_path, ["atari:Alien", "atari:Assault"])
    whole = across.across(found(pieces), pieces, seed=0)
    assert whole is not None
    assert whole.budgets == [1e4, 1e5, 1e6]
    assert len(whole.levels) == 6
    last = next(x for x in whole.levels if (x.fraction, x.frames) == (0.5, 1e6))
    runs = pd.concat(pieces).query("fraction == 0.5 and data_frames == 1e6")
    rows: Any = runs.to_dict("records")
    ends = {"atari:Alien": (227.75, 7127.8), "atari:Assault": (222.39, 742.0)}
    scores = sorted(
        (row["score"] - ends[row["env"]][0])
        / (ends[row["env"]][1] - ends[row["env"]][0])
        for row in rows
    )
    assert last.runs == 6
    assert last.iqm.value == pytest.approx(np.mean(scores[1:5]))
    assert last.improvement is not None
    assert last.improvement.value == 1
    assert {p.fraction for p in whole.profiles} == {0.0, 0.5}
    (said,) = sentences.across_sentences(whole)
    assert "fraction 0.5 has the highest interquartile mean" in said


def test_environments_without_a_scale_are_left_out_by_name(tmp_path):
    games = ["atari:Alien", "atari:Assault", "jumanji:PacMan-v1"]
    pieces = parts(tmp_path, games)
    whole = across.across(found(pieces), pieces, seed=0)
    assert whole is not None
    assert whole.environments == games[:2]
    assert "jumanji:PacMan-v1 has no random_score" in whole.left_out[0]
    assert sentences.across_sentences(whole)[0].startswith("Left out of the aggregates")


def test_no_common_budget_is_said_in_words(tmp_path):
    first = parts(tmp_path, ["atari:Alien"])
    second = parts(tmp_path, ["atari:Assault"])
    second[0]["data_frames"] += 7.0
    pieces = first + second
    whole = across.across(found(pieces), pieces, seed=0)
    assert whole is not None
    assert whole.levels == []
    assert "No budget is common" in sentences.across_sentences(whole)[-1]


def test_one_environment_has_no_aggregate(tmp_path):
    pieces = parts(tmp_path, ["atari:Alien"])
    assert across.across(found(pieces), pieces, seed=0) is None


def test_eight_environments_have_a_pooled_slope(tmp_path):
    games = ["alien", "amidar", "assault", "asterix", "asteroids", "boxing", "krull"]
    pieces = parts(tmp_path, [f"atari:{game}" for game in [*games, "pong"]])
    whole = across.across(found(pieces), pieces, seed=0)
    assert whole is not None
    assert whole.slopes["0.5"].environments == 8
    assert whole.slopes["0.5"].slope > whole.slopes["0"].slope
