"""Which names each family knows, why some are refused, and which look alike.

A dry run reads these instead of the packages, which take seconds to import;
`tests/envs/test_known.py` holds them against what is installed. None beside a name
means that it is supported; a sentence's end says why it is not.
"""

import difflib
from collections.abc import Iterable, Sequence

FAMILIES = {"atari": "ale-py", "gymnasium": "gymnasium", "jumanji": "jumanji"}
"""Families, and the package that each needs."""

_SEVERAL_ACTIONS = (
    "an action is several numbers, and only one discrete one is supported"
)
_SEVERAL_AGENTS = "it has several agents, and only single-agent games are supported"
_GRAPH = "its observation is a graph or a route, not a grid, an image or a vector"
_DOWNLOADS = "it downloads its levels from the network when it is made"
_CONTINUOUS = "its actions are continuous, and only discrete ones are supported"
_DISCRETE = "its observation is a number of a state, and only arrays are supported"
_OLD = "it is out of date in gymnasium; use its newest version"
_TWIN = "it is gymnasium's JAX twin of an environment without the prefix"

JUMANJI: dict[str, str | None] = {
    "BinPack-v2": _SEVERAL_ACTIONS,
    "CVRP-v1": _GRAPH,
    "Cleaner-v0": _SEVERAL_AGENTS,
    "Connector-v3": _SEVERAL_AGENTS,
    "FlatPack-v0": _SEVERAL_ACTIONS,
    "Game2048-v1": None,
    "GraphColoring-v1": _GRAPH,
    "JobShop-v0": _SEVERAL_ACTIONS,
    "Knapsack-v1": None,
    "LevelBasedForaging-v0": _SEVERAL_AGENTS,
    "MMST-v0": _SEVERAL_AGENTS,
    "Maze-v0": None,
    "Minesweeper-v0": _SEVERAL_ACTIONS,
    "MultiCVRP-v0": _SEVERAL_AGENTS,
    "PacMan-v1": None,
    "RobotWarehouse-v0": _SEVERAL_AGENTS,
    "RubiksCube-partly-scrambled-v0": _SEVERAL_ACTIONS,
    "RubiksCube-v0": _SEVERAL_ACTIONS,
    "SearchAndRescue-v0": _CONTINUOUS,
    "SlidingTilePuzzle-v0": None,
    "Snake-v1": None,
    "Sokoban-v0": _DOWNLOADS,
    "Sudoku-v0": _SEVERAL_ACTIONS,
    "Sudoku-very-easy-v0": _SEVERAL_ACTIONS,
    "TSP-v1": _GRAPH,
    "Tetris-v0": _SEVERAL_ACTIONS,
}

PLAYERS = ("PacMan-v1", "Maze-v0")
"""jumanji's boards with a player, on which a view can be centred."""

DETERMINISTIC = (
    "gymnasium:Acrobot-v1",
    "gymnasium:CartPole-v1",
    "gymnasium:MountainCar-v0",
    "jumanji:Maze-v0",
    "jumanji:SlidingTilePuzzle-v0",
    "scaling.envs.deepsea:DeepSea",
)
"""Environments in which nothing but an episode's beginning is random."""

_MUJOCO = {
    "Ant": (2, 3, 4, 5),
    "HalfCheetah": (2, 3, 4, 5),
    "Hopper": (2, 3, 4, 5),
    "Humanoid": (2, 3, 4, 5),
    "HumanoidStandup": (2, 4, 5),
    "InvertedDoublePendulum": (2, 4, 5),
    "InvertedPendulum": (2, 4, 5),
    "Pusher": (2, 4, 5),
    "Reacher": (2, 4, 5),
    "Swimmer": (2, 3, 4, 5),
    "Walker2d": (2, 3, 4, 5),
}

GYMNASIUM: dict[str, str | None] = {
    "Acrobot-v1": None,
    "BipedalWalker-v3": _CONTINUOUS,
    "BipedalWalkerHardcore-v3": _CONTINUOUS,
    "Blackjack-v1": "its observation is a tuple, and only arrays are supported",
    "CarRacing-v3": _CONTINUOUS,
    "CartPole-v0": _OLD,
    "CartPole-v1": None,
    "CliffWalking-v1": _DISCRETE,
    "CliffWalkingSlippery-v1": _DISCRETE,
    "FrozenLake-v1": _DISCRETE,
    "FrozenLake8x8-v1": _DISCRETE,
    "GymV21Environment-v0": "it is a wrapper and not an environment",
    "GymV26Environment-v0": "it is a wrapper and not an environment",
    "LunarLander-v3": None,
    "LunarLanderContinuous-v3": _CONTINUOUS,
    "MountainCar-v0": None,
    "MountainCarContinuous-v0": _CONTINUOUS,
    "Pendulum-v1": _CONTINUOUS,
    "Taxi-v4": _DISCRETE,
    "phys2d/CartPole-v0": _TWIN,
    "phys2d/CartPole-v1": _TWIN,
    "phys2d/Pendulum-v0": _CONTINUOUS,
    "tabular/Blackjack-v0": _TWIN,
    "tabular/CliffWalking-v0": _TWIN,
} | {
    f"{name}-v{v}": _CONTINUOUS for name, versions in _MUJOCO.items() for v in versions
}

NEEDS = {"LunarLander-v3": ("Box2D", "gymnasium[box2d]")}
"""Modules that single environments need, and what installs them."""

ATARI_REFUSED: dict[str, str] = dict.fromkeys(
    ("combat", "joust", "maze_craze", "warlords"),
    "its cartridge is for two players, and the ALE ends the process that loads it",
)
"""By ROM; every other ROM in ale-py is supported."""

TYPICAL_EPISODE_STEPS: dict[str, int] = {
    "atari:Breakout": 173,
    "atari:MsPacman": 490,
    "atari:Pong": 920,
    "gymnasium:Acrobot-v1": 500,
    "gymnasium:CartPole-v1": 22,
    "gymnasium:MountainCar-v0": 200,
    "jumanji:Game2048-v1": 144,
    "jumanji:Knapsack-v1": 9,
    "jumanji:Maze-v0": 89,
    "jumanji:PacMan-v1": 25,
    "jumanji:SlidingTilePuzzle-v0": 500,
    "jumanji:Snake-v1": 27,
}
"""Mean agent steps of an episode of a uniform random policy, as measured."""


def nearest(name: str, among: Iterable[str]) -> list[str]:
    """Returns up to three of `among` that look like `name`, capitals ignored."""
    lower = {n.lower(): n for n in among}
    found = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)
    return [lower[n] for n in found]


def did_you_mean(close: Sequence[str], family: str | None = None) -> str:
    """Returns the end of a sentence that offers the names in `close`, if any."""
    prefix = f"{family}:" if family else ""
    return f"; the nearest: {', '.join(prefix + n for n in close)}" if close else ""


SIZES: dict[str, tuple[int, int]] = {
    "gymnasium:Acrobot-v1": (24, 3),
    "gymnasium:CartPole-v1": (16, 2),
    "gymnasium:LunarLander-v3": (32, 4),
    "gymnasium:MountainCar-v0": (8, 3),
    "jumanji:Game2048-v1": (4 * 4 * 18, 4),
    "jumanji:Knapsack-v1": (600, 50),
    "jumanji:Maze-v0": (10 * 10 * 3, 4),
    "jumanji:PacMan-v1": (31 * 28 * 6, 5),
    "jumanji:SlidingTilePuzzle-v0": (5 * 5 * 25, 4),
    "jumanji:Snake-v1": (12 * 12 * 5 * 4, 4),
}
"""Bytes of an observation, boards whole, and number of actions."""

PLANES = {"jumanji:PacMan-v1": 6, "jumanji:Maze-v0": 3}
"""Bytes of a cell of the boards on which a view can be centred."""
