"""Scores of the uniformly random policy and of people in 57 Atari games.

Source: Schrittwieser et al. 2021, "Online and offline reinforcement learning by
planning with a learned model", arXiv 2104.06294v1, table 12, columns Random, Human
and MuZero Res2 Adam (200 M frames, sticky actions, reanalyse fraction 95 %).
Table 13 of the same paper, on offline data, normalises with other random scores and
by a DQN: the two must not be mixed.
"""

from typing import NamedTuple


class Game(NamedTuple):
    """What a game is normalised by, and what the paper reached in it."""

    random: float
    human: float
    published: float  # mean return at 200 M frames, fraction 0.95


PUBLISHED_FRAMES = 200e6
PUBLISHED_FRACTION = 0.95

# Median and mean human-normalised score of the 57 games, in %, table 1: frames,
# fraction, median, mean.
PUBLISHED_AGGREGATES = (
    (2000e6, 0.5, 1331.7, 4094.4),
    (200e6, 0.95, 1006.4, 2856.2),
    (20e6, 0.995, 126.6, 450.6),
)

_SCORES = {
    "alien": (227.75, 7127.8, 70192.35),
    "amidar": (5.77, 1719.53, 1197.38),
    "assault": (222.39, 742.0, 33292.22),
    "asterix": (210.0, 8503.33, 862406.65),
    "asteroids": (719.1, 47388.67, 476412.0),
    "atlantis": (12850.0, 29028.13, 1137475.12),
    "bank heist": (14.2, 753.13, 27219.8),
    "battle zone": (2360.0, 37187.5, 178716.9),
    "beam rider": (363.88, 16926.53, 333077.44),
    "berzerk": (123.65, 2630.42, 2705.82),
    "bowling": (23.11, 160.73, 131.65),
    "boxing": (0.05, 12.06, 100.0),
    "breakout": (1.72, 30.47, 758.04),
    "centipede": (2090.87, 12017.04, 874301.64),
    "chopper command": (811.0, 7387.8, 5989.55),
    "crazy climber": (10780.5, 35829.41, 158541.58),
    "defender": (2874.5, 18688.89, 557200.75),
    "demon attack": (152.07, 1971.0, 143838.04),
    "double dunk": (-18.55, -16.4, 23.91),
    "enduro": (0.0, 860.53, 2365.81),
    "fishing derby": (-91.71, -38.8, 73.94),
    "freeway": (0.01, 29.6, 33.87),
    "frostbite": (65.2, 4334.67, 374769.76),
    "gopher": (257.6, 2412.5, 122882.5),
    "gravitar": (173.0, 3351.43, 8006.93),
    "hero": (1026.97, 30826.38, 37234.31),
    "ice hockey": (-11.15, 0.88, 41.66),
    "jamesbond": (29.0, 302.8, 28626.23),
    "kangaroo": (52.0, 3035.0, 13838.0),
    "krull": (1598.05, 2665.53, 72570.5),
    "kung fu master": (258.5, 22736.25, 116726.96),
    "montezuma revenge": (0.0, 4753.33, 2500.0),
    "ms pacman": (307.3, 6951.6, 70659.76),
    "name this game": (2292.35, 8049.0, 101197.71),
    "phoenix": (761.4, 7242.6, 815728.7),
    "pitfall": (-229.44, 6463.69, 0.0),
    "pong": (-20.71, 14.59, 20.95),
    "private eye": (24.94, 69571.27, 100.0),
    "qbert": (163.88, 13455.0, 94906.25),
    "riverraid": (1338.5, 17118.0, 171673.78),
    "road runner": (11.5, 7845.0, 531097.0),
    "robotank": (2.16, 11.94, 100.59),
    "seaquest": (68.4, 42054.71, 999659.18),
    "skiing": (-17098.09, -4336.93, -30000.0),
    "solaris": (1236.3, 12326.67, 5132.95),
    "space invaders": (148.03, 1668.67, 3645.63),
    "star gunner": (664.0, 10250.0, 154548.26),
    "surround": (-9.99, 6.53, 9.9),
    "tennis": (-23.84, -8.27, -0.0),
    "time pilot": (3568.0, 5229.1, 424011.16),
    "tutankham": (11.43, 167.59, 347.99),
    "up n down": (533.4, 11693.23, 634898.18),
    "venture": (0.0, 1187.5, 1731.47),
    "video pinball": (0.0, 17667.9, 865543.44),
    "wizard of wor": (563.5, 4756.52, 100096.6),
    "yars revenge": (3092.91, 54576.93, 219838.09),
    "zaxxon": (32.5, 9173.3, 154131.86),
}


def key(name: str) -> str:
    """Returns the name of a game without spaces, case and other marks."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


GAMES = {key(name): Game(*scores) for name, scores in _SCORES.items()}


def game(env: str) -> Game | None:
    """Returns the scores of `atari:NAME`, `ALE/NAME-v5` or None if it is no such."""
    family, separator, name = env.replace("/", ":").rpartition(":")
    if not separator or family.lower() not in ("atari", "ale"):
        return None
    return GAMES.get(key(name.split("-")[0]))
