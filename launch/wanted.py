"""Which runs were ever wanted of a study: a line of cells for each call of a command.

`DIR/wanted.jsonl` lets `status.py` show runs that nobody has begun; nothing else reads
it.
"""

import json
import os
import pathlib
from collections.abc import Sequence

from scaling import config

NAME = "wanted.jsonl"


def note(directory: pathlib.Path, cells: Sequence[config.Cell]) -> None:
    """Adds a line with those cells that no line has yet."""
    known = set(cells_of(directory))
    if new := [config.as_dict(cell) for cell in cells if cell not in known]:
        line = (json.dumps({"cells": new}) + "\n").encode()
        with (directory / NAME).open("ab", buffering=0) as file:  # one write: whole
            file.write(line)
            os.fsync(file.fileno())


def cells_of(directory: pathlib.Path) -> list[config.Cell]:
    """Returns all cells that were wanted, each once, in order.

    What cannot be read is passed over: a torn line, or one of another version.
    """
    try:
        lines = (directory / NAME).read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    found: dict[config.Cell, None] = {}
    for line in lines:
        try:
            for values in json.loads(line)["cells"]:
                found[config.cell_from_dict(values)] = None
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return list(found)
