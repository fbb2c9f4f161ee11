"""A table of text, and how numbers are written in it."""

import math
from typing import NamedTuple

from analysis import sentences


class Sheet(NamedTuple):
    """A table of text; the first column is left-aligned."""

    title: str
    heads: tuple[str, ...]
    rows: list[list[str]]


def number(value: float | None) -> str:
    """Returns a short number, or nothing for what is not known."""
    if value is None or math.isnan(value):
        return ""
    return sentences.number(float(value))
