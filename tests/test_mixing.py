"""The grammar of sources, and what goes with what."""

import dataclasses
import re

import pytest

from scaling import config, mixing

PLAIN = config.Settings()


def settings(sources="recent:1", **data):
    return dataclasses.replace(PLAIN, sources=sources, data=config.Data(**data))


def test_shares_are_numbers_or_lines():
    found = mixing.parse("demonstrations:0.5..0@0.4, recent:0.5..1@0.4")
    assert found == (
        mixing.Share("recent", 0.5, 1.0, 0.4),
        mixing.Share("demonstrations", 0.5, 0.0, 0.4),
    )
    assert [mixing.at(found[1], p) for p in (0.0, 0.2, 0.4, 1.0)] == [0.5, 0.25, 0, 0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("recent:0.8,demonstrations:0.1", "0.9 together at 0 of the run"),
        ("recent:0.5..1,demonstrations:0.5..0@0.5", "0.75 together at 0.5"),
        ("newest:1", "'newest:1'; write SOURCE:SHARE"),
        ("recent", "'recent'; write SOURCE:SHARE"),
        ("recent:1,recent:0", "lists recent twice"),
        ("recent:much", "'much' where a number from 0 to 1"),
        ("recent:1.5,best:-0.5", "'1.5' where a number"),
        ("recent:nan", "'nan' where a number"),
        ("recent:0..1@0", "ends at 0 of the run"),
        ("", "''; write SOURCE:SHARE"),
    ],
)
def test_what_is_not_a_mixture_is_refused(text, words):
    with pytest.raises(ValueError, match="--sources") as refused:
        mixing.parse(text)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("given", "fractions", "words"),
    [
        (settings(), [1.0], "--dataset PATH"),
        (settings(dataset="a@1"), [0.5], "no fraction is 1"),
        (settings("recent:0.5,demonstrations:0.5"), [0.5], "--demonstrations PATH"),
        (settings(demonstrations="a@1"), [0.5], "has no share"),
        (settings("dataset:1", dataset="a@1"), [1.0], "only source at fraction 1"),
    ],
)
def test_data_sources_and_fractions_must_agree(given, fractions, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        mixing.check(given, fractions)


def test_what_agrees_is_taken():
    mixing.check(settings(), [0.0, 0.95])
    mixing.check(settings(dataset="a@1"), [0.5, 1.0])
    both = settings("recent:0.5,demonstrations:0.5", demonstrations="a@1")
    mixing.check(both, [0.5])
    assert mixing.of_run(both, 0) == (mixing.Share("dataset", 1.0, 1.0, 1.0),)
    assert [s.source for s in mixing.of_run(both, 4)] == ["recent", "demonstrations"]
