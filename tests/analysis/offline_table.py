"""Tables of offline runs, made for the tests."""

import pandas as pd

DATA = {"env": "e:Plain", "dataset": "rollout@1a2b3c4d", "dataset_frames": 40_000}
ENDS = {"behaviour_score": 20.0, "random_score": 10.0, "dataset_best_tenth": 25.0}
HOW = {"target": "reanalyse", "action": "mcts", "status": "ok", "fraction": 1.0}


def runs(scores, **columns):
    """Rows of one method on one data set, a seed for each score."""
    return pd.DataFrame(
        [
            {**DATA, **ENDS, **HOW, "seed": seed, "score": score, **columns}
            for seed, score in enumerate(scores)
        ]
    )


def table(*parts):
    return pd.concat(parts, ignore_index=True)


def written(folder, *parts):
    path = folder / "runs.csv"
    table(*parts).to_csv(path, index=False)
    return path
