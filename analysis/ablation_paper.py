"""The ablation of the paper: unrolling, search and targets, as published.

Source: Schrittwieser et al. 2021, "Online and offline reinforcement learning by
planning with a learned model", arXiv 2104.06294v1, the ablation of its offline results:
medians over 46 Atari games of (agent − random) / (online DQN − random), in per cent
(data: RL Unplugged). A column is one network, evaluated in three ways; the policy
target of "supervised" is the logged action, and every column has the five-step value
target. Without an unrolled model (unroll 0) there is a head of action values and
nothing that a search could use.

The paper gives no intervals. Some of its orders hang on a difference of 2 %, which
medians over 46 games do not settle: `near_tie` names them.
"""

from typing import NamedTuple

SOURCE = "Schrittwieser et al. 2021, arXiv 2104.06294v1, offline Atari medians"
UNIT = "median over 46 Atari games, % of an online DQN"
NEAR = 1.05  # ratio of two medians below which their order hangs on little (ours)


class Network(NamedTuple):
    """One column: the policy's target and the model steps of the unrolled loss."""

    target: str
    unroll: int


# Of each column, by how actions are selected.
MEDIANS: dict[Network, dict[str, float]] = {
    Network("supervised", 0): {"policy": 60.6, "value": 92.2},
    Network("supervised", 1): {"policy": 61.4, "value": 105.0, "mcts": 137.3},
    Network("supervised", 5): {"policy": 54.0, "value": 159.2, "mcts": 169.7},
    Network("crr", 5): {"policy": 155.6, "value": 153.0, "mcts": 172.5},
    Network("reanalyse", 5): {"policy": 203.2, "value": 239.9, "mcts": 265.3},
}


def median(target: str, unroll: int, action: str) -> float | None:
    """Returns the paper's median in per cent, or None where its table has no cell."""
    return MEDIANS.get(Network(target, unroll), {}).get(action)


def near_tie(first: float, second: float) -> bool:
    """Says whether two medians are within 5 % of each other."""
    return max(first, second) < NEAR * min(first, second)
