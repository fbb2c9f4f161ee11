"""Observations as pictures that a viewer understands: RGB, uint8, [height, width, 3].

An image is shown as it is. Planes become a board: each plane has a colour, the fullest
is drawn first and the emptiest last, so that a player or a fruit of one cell is seen.
"""

import colorsys

import numpy as np
from jaxtyping import Shaped, UInt8

from scaling import types

Picture = UInt8[np.ndarray, "H W 3"]

# Colours of the planes in their order, after Okabe & Ito 2008; in PacMan these are
# walls, player, pellets, power-ups, ghosts, scared ghosts. Later planes: `colour`.
PALETTE = (
    *("#2B3F8C", "#F0E442", "#B8B8B8", "#009E73"),
    *("#D55E00", "#56B4E9", "#CC79A7", "#E69F00"),
)
GOLDEN_RATIO = 0.618034  # of the hue circle between later planes: all well apart


def of_observation(
    observation: Shaped[np.ndarray, "..."], spec: types.EnvSpec
) -> Picture:
    """Returns what one observation shows.

    Raises:
      ValueError: if it is a vector, or an image neither grey nor RGB.
    """
    if observation.ndim != 3:
        raise ValueError(
            f"The observations of {spec.name} are vectors, of which there is no video; "
            "give the environment a method `render` (scaling/envs/interface.py)."
        )
    if spec.observation_scale == 1:
        return board(observation)
    if observation.shape[-1] not in (1, 3):
        raise ValueError(
            f"The observations of {spec.name} have {observation.shape[-1]} colours, "
            "neither 1 nor 3, of which there is no video; give the environment a "
            "method `render` (scaling/envs/interface.py)."
        )
    return np.broadcast_to(observation, (*observation.shape[:2], 3)).astype(np.uint8)


def board(planes: Shaped[np.ndarray, "H W P"]) -> Picture:
    """Returns a board with one pixel a cell; a plane's value in [0, 1] is its cover."""
    picture = np.zeros((*planes.shape[:2], 3))
    filled = np.count_nonzero(planes, axis=(0, 1))
    for plane in np.argsort(-filled, kind="stable").tolist():
        cover = np.clip(planes[..., plane, None].astype(float), 0, 1)
        picture += cover * (np.array(colour(plane)) - picture)
    return picture.round().astype(np.uint8)


def colour(plane: int) -> tuple[int, int, int]:
    """Returns the red, green and blue of a plane, each 0 to 255."""
    if plane < len(PALETTE):
        red, green, blue = bytes.fromhex(PALETTE[plane][1:])
    else:
        hue = plane * GOLDEN_RATIO % 1.0
        red, green, blue = (round(255 * c) for c in colorsys.hsv_to_rgb(hue, 0.5, 0.9))
    return red, green, blue
