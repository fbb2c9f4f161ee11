"""Observations of jumanji's games as planes or as a vector, and views of boards.

How an observation becomes one array, in this order (counters and action masks are
left out, since the agent is to learn from what the game shows):

1. a game in `PLANES` has its own function: a stack of planes, uint8, 0 or 1;
2. one array of three axes is taken as it is: an image [height, width, planes];
3. arrays of at most one axis, real or boolean, are joined to a vector, float32;
4. anything else (graphs, routes, several grids) is refused.

All functions take one observation, unbatched; `vmap` them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, UInt8

from scaling import config

NOT_SHOWN = ("action_mask", "step_count", "score")
LARGEST_TILE = 17  # 2^17, the largest that fits on a 4×4 board of 2048


class Board(NamedTuple):
    """How a game becomes planes, and where the views find their centre."""

    planes: Callable[[Any], Array]  # observation -> [H, W, P] uint8, walls in WALLS
    player: Callable[[Any], Array] | None  # observation -> [2] row, column


WALLS = 0  # the plane of walls, in games that have a player


def mark(
    cells: Int[Array, "N 2"], height: int, width: int
) -> UInt8[Array, "{height} {width}"]:
    """Returns a plane with ones at `cells`, given as (row, column)."""
    plane = jnp.zeros((height, width), jnp.uint8)
    return plane.at[cells[:, 0], cells[:, 1]].set(1)


def pacman_planes(observation: Any) -> UInt8[Array, "H W 6"]:
    """Returns walls, player, pellets, power-ups, ghosts, scared ghosts.

    jumanji gives the locations of pellets, power-ups and ghosts as (column, row);
    what has been eaten lies at (0, 0), which is a wall, and is not shown.
    """
    height, width = observation.grid.shape

    def at(locations: Array) -> Array:
        return mark(locations[:, ::-1], height, width).at[0, 0].set(0)

    ghosts = at(observation.ghost_locations)
    scared = (observation.frightened_state_time > 0).astype(jnp.uint8)
    planes = [
        (observation.grid == 0).astype(jnp.uint8),
        mark(pacman_player(observation)[None], height, width),
        at(observation.pellet_locations),
        at(observation.power_up_locations),
        ghosts * (1 - scared),
        ghosts * scared,
    ]
    return jnp.stack(planes, axis=-1)


def pacman_player(observation: Any) -> Int[Array, "2"]:
    """Returns the player's row and column; jumanji calls the row `x`."""
    player = observation.player_locations
    return jnp.stack([jnp.asarray(player.x), jnp.asarray(player.y)]).astype(jnp.int32)


def maze_planes(observation: Any) -> UInt8[Array, "H W 3"]:
    """Returns walls, player, target."""
    height, width = observation.walls.shape
    target = observation.target_position
    planes = [
        observation.walls.astype(jnp.uint8),
        mark(maze_player(observation)[None], height, width),
        mark(jnp.stack([target.row, target.col])[None], height, width),
    ]
    return jnp.stack(planes, axis=-1)


def maze_player(observation: Any) -> Int[Array, "2"]:
    """Returns the player's row and column."""
    player = observation.agent_position
    return jnp.stack([player.row, player.col])


def game_2048_planes(observation: Any) -> UInt8[Array, "H W P"]:
    """Returns a plane for each tile, the empty one first."""
    return jax.nn.one_hot(observation.board, LARGEST_TILE + 1, dtype=jnp.uint8)


def sliding_planes(observation: Any) -> UInt8[Array, "H W P"]:
    """Returns a plane for each tile, the gap first."""
    puzzle = observation.puzzle
    return jax.nn.one_hot(puzzle, puzzle.size, dtype=jnp.uint8)


PLANES = {
    "PacMan-v1": Board(pacman_planes, pacman_player),
    "Maze-v0": Board(maze_planes, maze_player),
    "Game2048-v1": Board(game_2048_planes, None),
    "SlidingTilePuzzle-v0": Board(sliding_planes, None),
}


def whole(planes: UInt8[Array, "H W P"], _: Any) -> UInt8[Array, "H W P"]:
    """Returns the board as it is."""
    return planes


def egocentric(
    planes: UInt8[Array, "H W P"], player: Int[Array, "2"], *, size: int
) -> UInt8[Array, "{size} {size} P"]:
    """Returns the `size` × `size` cells around the player; outside is wall.

    With r = (size - 1) / 2 and the player at (i, j), cell (u, v) of the view is
    cell (i + u - r, j + v - r) of the board.
    """
    radius = size // 2
    padded = jnp.pad(planes, ((radius, radius), (radius, radius), (0, 0)))
    outside = jnp.pad(jnp.zeros(planes.shape[:2], jnp.uint8), radius, constant_values=1)
    padded = padded.at[..., WALLS].max(outside)
    start = (player[0], player[1], jnp.int32(0))
    return jax.lax.dynamic_slice(padded, start, (size, size, planes.shape[-1]))


def coarse(
    planes: UInt8[Array, "H W P"], player: Int[Array, "2"], *, size: int
) -> UInt8[Array, "{size} {size} Q"]:
    """Returns the egocentric view and, as P - 1 more planes, the board pooled.

    The board is cut into squares of k × k cells, k the smallest with which it fits
    into `size` × `size`; a pooled cell is 1 where its square holds a 1. Walls are
    left out: every square has one.
    """
    height, width, _ = planes.shape
    k = -(-max(height, width) // size)
    things = jnp.delete(planes, WALLS, axis=-1, assume_unique_indices=True)
    fill = ((0, k * size - height), (0, k * size - width), (0, 0))
    squares = jnp.pad(things, fill).reshape(size, k, size, k, -1)
    near = egocentric(planes, player, size=size)
    return jnp.concatenate([near, squares.max(axis=(1, 3))], axis=-1)


VIEWS: dict[str, Callable[..., Array]] = {"egocentric": egocentric, "coarse": coarse}


def board_reader(board: Board, protocol: config.Protocol) -> Callable[[Any], Array]:
    """Returns observation -> planes in the protocol's view.

    Raises:
      ValueError: if the view needs a player and the game shows none.
    """
    if protocol.view == "board":
        return board.planes
    player, view = board.player, VIEWS[protocol.view]
    if player is None:
        raise ValueError(
            f"protocol.view is {protocol.view!r}, but this game has no player to "
            "centre a view on; use 'board'."
        )
    return lambda observation: view(
        board.planes(observation), player(observation), size=protocol.view_size
    )


def image_or_vector(observation: Any) -> Array:
    """Returns the observation as one array by rules 2 and 3 of this module.

    Raises:
      ValueError: if neither rule applies.
    """
    shown = [
        leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(observation)
        if getattr(path[0], "name", "") not in NOT_SHOWN
    ]
    if len(shown) == 1 and shown[0].ndim == 3:
        return shown[0]
    if all(leaf.ndim < 2 and leaf.dtype in (jnp.float32, jnp.bool_) for leaf in shown):
        return jnp.concatenate([leaf.astype(jnp.float32).ravel() for leaf in shown])
    raise ValueError(
        "The observation is neither an image nor a vector but holds arrays of shapes "
        f"{[leaf.shape for leaf in shown]}; write a class of your own around it "
        "(docs/extending.md)."
    )
