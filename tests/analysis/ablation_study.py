"""Tables of ablations, made for the tests."""

import numpy as np
import pandas as pd
from offline_table import DATA, ENDS, table, written

from analysis import ablation_cells, ablation_paper, ablation_runs

COLUMNS = [ablation_cells.Column(*network) for network in ablation_paper.MEDIANS]
HOW = {"frames": 0, "fraction": 1.0, "status": "ok", "eval_episodes": 64, "note": ""}
TASK = ablation_cells.Task("e:Plain", "rollout@1a2b3c4d", 40_000, 1.0)


def runs(column, policy=(), value=(), mcts=(), **columns):
    """Rows of one column, a network for each place in the longest list of scores."""
    lists = {"policy": policy, "value": value, "mcts": mcts}
    count = max(map(len, lists.values()))
    target, unroll = column.rsplit("-", 1)
    rows = []
    for seed in range(count):
        scores = {
            f"score_{action}": given[seed] if seed < len(given) else ""
            for action, given in lists.items()
        }
        same = {"target": target, "unroll_steps": int(unroll), "study": column}
        rows.append({**DATA, **ENDS, **HOW, **same, "seed": seed, **scores, **columns})
    return pd.DataFrame(rows)


def medians(scale, noise, generator, seeds=3, **columns):
    """Rows of the paper's columns: its medians, times `scale`, with noise."""
    parts = []
    for (target, unroll), known in ablation_paper.MEDIANS.items():
        training = generator.normal(0, noise, seeds)
        scores = {
            action: 20 + scale * median + training + generator.normal(0, noise, seeds)
            for action, median in known.items()
        }
        parts.append(runs(f"{target}-{unroll}", **scores, **columns))
    return table(*parts)


def study(folder, rows):
    """The rows as launch/ablation.py leaves them: a folder a column."""
    for (target, unroll), part in rows.groupby(["target", "unroll_steps"]):
        column = folder / f"{target}-{unroll}"
        column.mkdir(parents=True)
        part.to_csv(column / "results.csv", index=False)
    return folder


def read(folder, *parts):
    return ablation_runs.read([written(folder, *parts)])


def grids(folder, *parts):
    return ablation_cells.grids(read(folder, *parts))


def null_grid(generator, seeds=3):
    """A table in which nothing differs but trainings and evaluations, by chance."""
    cells = {}
    for column in COLUMNS:
        training = generator.normal(0, 1, seeds)
        for action in ablation_runs.ACTIONS:
            if action != "mcts" or column.unroll:
                scores = training + generator.normal(0, 0.5, seeds)
                names = tuple(map(str, range(seeds)))
                cells[column, action] = ablation_cells.Cell(names, scores, scores)
    counts = dict.fromkeys(COLUMNS, seeds)
    lost = dict.fromkeys(COLUMNS, 0)
    return ablation_cells.Grid(
        TASK, tuple(COLUMNS), cells, counts, lost, 1.0, 0.0, None, ""
    )


def generator(seed=0):
    return np.random.default_rng(seed)
