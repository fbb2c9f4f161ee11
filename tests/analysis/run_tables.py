"""Small tables of runs as text, made for the tests."""

import pathlib

from analysis import table

HEADER = "frames,fraction,seed,score"
GRID = [
    f"{n},{f},{s},{s + n / 100}" for n in (100, 1000) for f in (0, 0.5) for s in (0, 1)
]


def written(folder: pathlib.Path, header: str, *rows: str) -> pathlib.Path:
    path = folder / "runs.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def read(folder: pathlib.Path, header: str, *rows: str):
    return table.read_tables([written(folder, header, *rows)])
