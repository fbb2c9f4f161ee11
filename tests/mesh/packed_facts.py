"""Seeds made one by one and as one program: a program that prints their rows as JSON.

Run by the tests, since the number of devices is fixed when a process starts:

    JAX_NUM_CPU_DEVICES=4 python packed_facts.py DIRECTORY SEEDS DEVICES
"""

import functools
import json
import pathlib
import sys
from typing import Any

import facts

from scaling import config, execution, hardware, sharding

FRAMES = 1000


def cell_of(seed: int) -> config.Cell:
    return config.Cell(frames=FRAMES, fraction=0.5, seed=seed)


def alone(directory: pathlib.Path, settings: config.Settings, seed: int) -> dict:
    """Returns the row of a run on one device."""
    from scaling import run

    one = execution.Execution(mesh=hardware.Mesh(data=1))
    return run.run(settings, cell_of(seed), directory / f"s{seed}", how=one)


def packed(
    directory: pathlib.Path, settings: config.Settings, seeds: int, devices: int
) -> list[dict[str, Any]]:
    """Returns the rows of seeds that are made as one program."""
    from scaling import packing

    how = execution.Execution(mesh=hardware.Mesh(data=devices))
    rows: dict[int, dict[str, Any]] = {}

    def job(seed: int, runner: packing.Runner) -> None:
        place = directory / f"s{seed}"
        rows[seed] = runner(settings, cell_of(seed), place, how=how)

    jobs = [functools.partial(job, seed) for seed in range(seeds)]
    packing.side_by_side(settings.precision, jobs)
    return [rows[seed] for seed in range(seeds)]


def main() -> None:
    directory, seeds, devices = pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:])
    sharding.start()
    settings = facts.settings_of("Corridor", "f64")
    rows = {
        "alone": [alone(directory / "alone", settings, n) for n in range(seeds)],
        "packed": packed(directory / "packed", settings, seeds, devices),
    }
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
