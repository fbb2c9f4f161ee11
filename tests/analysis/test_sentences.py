"""Every verdict has its words, and numbers are short."""

import math
import pathlib

import pytest

from analysis import sentences

ROOT = pathlib.Path(__file__).parents[2]


def test_every_reason_of_the_rule_has_its_clause():
    source = (ROOT / "analysis" / "verdict.py").read_text()
    for reason in sentences.CLAUSES:
        assert f'"{reason}"' in source


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"),
        (1234.5, "1,234"),
        (math.inf, "∞"),
        (1e12, "over 1,000,000,000"),
    ],
)
def test_numbers_are_readable(value, text):
    assert sentences.number(value) == text
