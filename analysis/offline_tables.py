"""What was found of offline agents, as tables of text."""

import itertools
from collections.abc import Sequence

from analysis import (
    offline_atari46,
    offline_levels,
    offline_scores,
    offline_sentences,
    sentences,
    sheets,
)


def data_sets(found: Sequence[offline_scores.Improvement]) -> list[sheets.Sheet]:
    """Returns one table a data set, one row a method."""
    parts = itertools.groupby(found, key=lambda here: here.data)
    return [_data_set(data, list(rows)) for data, rows in parts]


def _data_set(
    data: offline_scores.DataSet, rows: list[offline_scores.Improvement]
) -> sheets.Sheet:
    title = offline_sentences.data_set(data)
    if rows[0].episodes is not None:
        title += f", {rows[0].episodes:,.0f} episodes"
    heads = ("method", "score", "random", "behaviour", "best tenth", "normalised")
    heads += ("95 % interval", "seeds above 1", "lost", "verdict")
    return sheets.Sheet(title, heads, [_row(here) for here in rows])


def _row(here: offline_scores.Improvement) -> list[str]:
    raw = (here.score, here.random, here.behaviour, here.best_tenth)
    return [
        offline_sentences.method(here.method),
        *(sheets.number(value) for value in raw),
        sheets.number(here.mean),
        sentences.interval(here.interval) if here.interval else "",
        offline_sentences.above(here),
        str(here.lost or ""),
        here.verdict,
    ]


def over_data_sets(levels: Sequence[offline_levels.Level]) -> sheets.Sheet:
    """Returns one row a method: median, mean and IQM over data sets."""
    heads = ("method", "data sets", "runs", "median", "mean", "IQM")
    rows = [
        [
            offline_sentences.method(level.method),
            str(len(level.data_sets)),
            str(level.runs),
            *map(offline_sentences.pooled, (level.median, level.mean, level.iqm)),
        ]
        for level in levels
    ]
    title = "Normalised scores over data sets, each at its largest size"
    return sheets.Sheet(title, heads, rows)


def published(envs: Sequence[str]) -> sheets.Sheet:
    """Returns the paper's scores in the Atari games that are in the table."""
    names = [*offline_atari46.METHODS.values()]
    games = [(env, offline_atari46.game(env)) for env in dict.fromkeys(envs)]
    rows = [
        [env, *map(sentences.number, offline_atari46.normalised(scores).values())]
        for env, scores in games
        if scores is not None
    ]
    title = "Published: 0 is random play, 1 a DQN that learned online"
    return sheets.Sheet(title, ("environment", *names), rows)
