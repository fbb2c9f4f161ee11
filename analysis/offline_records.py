"""offline_improvement.json and .csv: everything that was found, in numbers."""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportCallIssue=false

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis import (
    inference,
    offline_atari46,
    offline_levels,
    offline_runs,
    offline_scores,
    offline_sentences,
    records,
)

SCHEMA = "scaling-unplugged/offline-improvement"
SCHEMA_VERSION = 1
COLUMNS = (
    *("env", "dataset", "dataset_frames", "dataset_episodes", "method", "target"),
    *("action", "searches", "seeds", "lost", "score", "random_score"),
    *("behaviour_score", "dataset_best_tenth", "normalised", "low", "high"),
    *("excludes_1", "share_of_seeds_above_1", "best_tenth_normalised"),
    *("above_best_tenth", "verdict", "reason"),
)
LOST = ["env", "dataset", "dataset_frames", "target", "action", "seed", "status"]


def row(here: offline_scores.Improvement) -> dict[str, Any]:
    """Returns one row of the CSV: one method on one data set."""
    share = None if here.scores is None else float((here.scores > 1).mean())
    return {
        "env": here.data.env,
        "dataset": here.data.name,
        "dataset_frames": here.data.frames,
        "dataset_episodes": here.episodes,
        "method": offline_sentences.method(here.method),
        **here.method._asdict(),
        "seeds": len(here.seeds),
        "lost": here.lost,
        "score": here.score,
        "random_score": here.random,
        "behaviour_score": here.behaviour,
        "dataset_best_tenth": here.best_tenth,
        "normalised": here.mean,
        "low": here.interval and here.interval.low,
        "high": here.interval and here.interval.high,
        "excludes_1": here.interval and not here.interval.contains(1.0),
        "share_of_seeds_above_1": share,
        "best_tenth_normalised": here.best_tenth_normalised,
        "above_best_tenth": offline_sentences.above_best_tenth(here),
        "verdict": here.verdict,
        "reason": here.reason,
    }


def as_csv(found: Sequence[offline_scores.Improvement]) -> str:
    """Returns offline_improvement.csv, nothing where a number is not known."""
    table = pd.DataFrame([row(here) for here in found], columns=pd.Index(COLUMNS))
    number = f"%.{records.DIGITS}g"
    return table.to_csv(index=False, float_format=number, lineterminator="\n")


def as_json(
    offline: offline_runs.Offline,
    found: Sequence[offline_scores.Improvement],
    levels: Sequence[offline_levels.Level],
    sources: Sequence[pathlib.Path],
    seed: int,
) -> str:
    """Returns offline_improvement.json: null for what is not known."""
    lost = offline.lost[[*LOST, "where"]].to_dict("records")
    record = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "normalised": "(score - random_score) / (behaviour_score - random_score)",
        "level": inference.LEVEL,
        "bootstrap_seed": seed,
        "tables": [str(path) for path in sources],
        "improvements": [
            {**row(here), "seed_names": here.seeds, "normalised_scores": here.scores}
            for here in found
        ],
        "over_data_sets": list(levels),
        "lost": lost,
        "ignored": offline.ignored,
        "published": {
            "source": "Schrittwieser et al. 2021, arXiv 2104.06294v1, table 13",
            "games": len(offline_atari46.GAMES),
            "aggregates": offline_atari46.aggregates(),
        },
    }
    return json.dumps(records.plain(record), indent=1, allow_nan=False) + "\n"
