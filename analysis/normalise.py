"""Scores on one scale: 0 is the random policy, 1 a declared reference.

Raw scores of different games are never pooled. For the 57 Atari games the paper's
table has both ends; elsewhere the random score is the one the study measured (column
`random_score`) and the reference is declared, here or with --reference.
"""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis import atari57

# What counts as 1, with its reason. Gymnasium's are the reward thresholds of its
# registry ("reward threshold before the task is considered solved").
DECLARED: dict[str, tuple[float, str]] = {
    "gymnasium:CartPole-v1": (475.0, "reward threshold of the registry"),
    "gymnasium:MountainCar-v0": (-110.0, "reward threshold of the registry"),
    "gymnasium:Acrobot-v1": (-100.0, "reward threshold of the registry"),
    "gymnasium:LunarLander-v3": (200.0, "reward threshold of the registry"),
    "gymnasium:FrozenLake-v1": (0.7, "reward threshold of the registry"),
    "jumanji:PacMan-v1": (3180.0, "all 318 pellets of the default maze, 10 each"),
    "jumanji:Snake-v1": (143.0, "a snake that fills the 12 × 12 board"),
}


class Scale(NamedTuple):
    """The two ends of an environment's normalised scale."""

    random: float
    reference: float
    source: str


def scale(runs: pd.DataFrame, references: Mapping[str, float]) -> Scale | str:
    """Returns the scale of one environment, or why it has none.

    Args:
      runs: the runs of the environment.
      references: declared by the user, by environment.
    """
    env = str(runs["env"].iloc[0])
    game = atari57.game(env)
    if game is not None and env not in references:
        return Scale(game.random, game.human, "random and human, atari57.py")
    random = runs["random_score"].dropna().unique()
    if game is None and len(random) != 1:
        many = "several different" if len(random) else "no"
        return f"{env} has {many} random_score: measure the random policy once."
    start = game.random if game is not None else float(random[0])
    if env in references:
        return _checked(env, Scale(start, references[env], "declared by --reference"))
    if env in DECLARED:
        value, reason = DECLARED[env]
        return _checked(env, Scale(start, value, f"random measured; {reason}"))
    return f"{env} has no declared reference: give one with --reference."


def _checked(env: str, found: Scale) -> Scale | str:
    if np.isclose(found.random, found.reference):
        return f"{env} has a reference equal to its random score: give another."
    return found


def normalised(score: np.ndarray, ends: Scale) -> np.ndarray:
    """Returns (score − random) / (reference − random)."""
    return (score - ends.random) / (ends.reference - ends.random)
