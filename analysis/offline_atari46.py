"""Offline scores of 46 Atari games, as published.

Source: Schrittwieser et al. 2021, "Online and offline reinforcement learning by
planning with a learned model", arXiv 2104.06294v1, table 13, columns Random, Online
DQN, BC, DQN, CRR and MuZero Unplugged (data: RL Unplugged). It normalises by a DQN
that learned online, not by the mean return of the data's episodes, and with other
random scores than table 12 (`atari57.py`): the two must not be mixed.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from analysis import atari57


class Game(NamedTuple):
    """Mean returns in one game: the two ends of the scale, then four agents."""

    random: float
    online: float  # DQN that learned online, a normalised score of 1
    cloned: float
    dqn: float  # offline
    crr: float
    unplugged: float


class Aggregate(NamedTuple):
    """A published method over all 46 games."""

    method: str
    median: float
    mean: float


# What the paper's columns are called here, by field of `Game`.
METHODS = {
    "unplugged": "MuZero Unplugged",
    "crr": "CRR",
    "dqn": "offline DQN",
    "cloned": "behaviour cloning",
}

_SCORES = {
    "alien": (199.8, 2766.8, 2670.0, 1690.0, 3658.0, 6335.4),
    "amidar": (3.2, 1557.0, 256.0, 224.0, 499.3, 962.7),
    "assault": (235.2, 1946.1, 1810.0, 1940.0, 8537.5, 13406.9),
    "asterix": (279.1, 4131.8, 2960.0, 1520.0, 10484.5, 34674.0),
    "atlantis": (16973.0, 944228.0, 2390000.0, 3020000.0, 888496.5, 873651.5),
    "bank heist": (13.7, 907.7, 1050.0, 50.0, 1071.7, 1168.3),
    "battle zone": (2786.8, 26459.0, 4800.0, 25600.0, 34455.0, 65815.0),
    "beam rider": (362.1, 6453.3, 1480.0, 1810.0, 13965.5, 33150.9),
    "boxing": (0.8, 84.1, 83.9, 96.3, 95.6, 99.4),
    "breakout": (1.3, 157.9, 235.0, 324.0, 435.1, 582.2),
    "carnival": (669.5, 5339.5, 3920.0, 1450.0, 5588.8, 5609.5),
    "centipede": (2181.7, 3972.5, 1070.0, 1250.0, 3953.9, 10764.0),
    "chopper command": (823.1, 3678.2, 660.0, 2250.0, 10315.0, 41567.0),
    "crazy climber": (8173.6, 118080.2, 123000.0, 23000.0, 135524.5, 167372.5),
    "demon attack": (166.0, 6517.0, 7600.0, 11000.0, 101626.9, 212935.6),
    "double dunk": (-18.4, -1.2, -16.4, -17.9, 0.5, 20.9),
    "enduro": (0.0, 1016.3, 720.0, 1210.0, 2334.6, 2334.2),
    "fishing derby": (-93.2, 18.6, -7.4, 17.0, 24.8, 46.0),
    "freeway": (0.0, 26.8, 21.8, 15.4, 33.7, 32.4),
    "frostbite": (72.0, 1643.7, 780.0, 3230.0, 3812.0, 5094.9),
    "gopher": (282.6, 8241.0, 4900.0, 2400.0, 34731.1, 101380.3),
    "gravitar": (213.7, 310.6, 20.0, 500.0, 479.5, 1891.8),
    "hero": (719.1, 16233.5, 13900.0, 5200.0, 20615.4, 20757.1),
    "ice hockey": (-9.8, -4.0, -5.6, -2.9, -1.5, 20.7),
    "jamesbond": (27.6, 777.7, 237.0, 490.0, 670.8, 945.2),
    "kangaroo": (41.3, 14125.1, 5690.0, 820.0, 14463.0, 14736.0),
    "krull": (1556.9, 7238.5, 8500.0, 7480.0, 8624.2, 9815.3),
    "kung fu master": (556.3, 26637.9, 5100.0, 16100.0, 28020.0, 61354.0),
    "ms pacman": (248.0, 4171.5, 4040.0, 2470.0, 6240.7, 10934.1),
    "name this game": (2401.1, 8645.1, 4100.0, 11500.0, 17094.8, 27429.3),
    "phoenix": (873.0, 5122.3, 2940.0, 6410.0, 16698.7, 32532.8),
    "pong": (-20.3, 18.2, 18.9, 12.9, 19.7, 20.6),
    "pooyan": (411.4, 4135.3, 3850.0, 3180.0, 8082.8, 13630.0),
    "qbert": (155.0, 12275.1, 12600.0, 10600.0, 14900.6, 14943.2),
    "riverraid": (1504.2, 12798.9, 6000.0, 9100.0, 21091.2, 22245.7),
    "road runner": (15.5, 47880.5, 19000.0, 31700.0, 59337.5, 60465.0),
    "robotank": (2.0, 63.4, 15.7, 55.7, 69.4, 91.1),
    "seaquest": (81.8, 3233.5, 150.0, 2870.0, 7514.2, 8411.8),
    "space invaders": (149.5, 2044.6, 790.0, 2710.0, 35375.9, 55704.7),
    "star gunner": (677.2, 55103.8, 3000.0, 1600.0, 86955.0, 145711.5),
    "time pilot": (3450.9, 4160.5, 1950.0, 5310.0, 5282.5, 9427.5),
    "up n down": (513.9, 15677.9, 16300.0, 14600.0, 124783.7, 251927.9),
    "video pinball": (26024.4, 335055.7, 27000.0, 82000.0, 537485.5, 462317.5),
    "wizard of wor": (686.6, 1787.8, 730.0, 2300.0, 7531.0, 40651.0),
    "yars revenge": (3147.7, 26763.0, 19100.0, 24900.0, 56552.6, 141317.3),
    "zaxxon": (10.6, 4681.9, 10.0, 6050.0, 9397.0, 16143.5),
}

GAMES = {atari57.key(name): Game(*scores) for name, scores in _SCORES.items()}


def game(env: str) -> Game | None:
    """Returns the scores of `atari:NAME`, or None if it is none of the 46 games."""
    family, separator, name = env.partition(":")
    if not separator or family.lower() != "atari":
        return None
    return GAMES.get(atari57.key(name))


def normalised(scores: Game) -> dict[str, float]:
    """Returns (agent − random) / (online DQN − random) of each of `METHODS`."""
    scale = scores.online - scores.random
    return {
        field: (getattr(scores, field) - scores.random) / scale for field in METHODS
    }


def aggregates() -> list[Aggregate]:
    """Returns median and mean over the games of each of `METHODS`."""
    found = [normalised(scores) for scores in GAMES.values()]
    return [
        _aggregate(name, np.array([scores[field] for scores in found]))
        for field, name in METHODS.items()
    ]


def _aggregate(name: str, scores: Float[np.ndarray, "G"]) -> Aggregate:
    return Aggregate(name, float(np.median(scores)), float(np.mean(scores)))
