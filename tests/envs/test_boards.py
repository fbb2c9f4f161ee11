"""Views of boards agree with plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scaling import config
from scaling.envs import boards


def random_board(height, width, planes=3):
    rng = np.random.default_rng(0)
    return rng.integers(0, 2, (height, width, planes)).astype(np.uint8)


def egocentric_by_definition(board, player, size):
    view = np.zeros((size, size, board.shape[-1]), np.uint8)
    for u, v in np.ndindex(size, size):
        i, j = player[0] + u - size // 2, player[1] + v - size // 2
        if 0 <= i < board.shape[0] and 0 <= j < board.shape[1]:
            view[u, v] = board[i, j]
        else:
            view[u, v, boards.WALLS] = 1
    return view


def pooled_by_definition(board, size):
    k = 1
    while k * size < max(board.shape[:2]):
        k += 1
    pooled = np.zeros((size, size, board.shape[-1] - 1), np.uint8)
    for i, j, p in np.ndindex(*board.shape):
        if p != boards.WALLS and board[i, j, p]:
            pooled[i // k, j // k, p - 1] = 1
    return pooled


@pytest.mark.parametrize("player", [(0, 0), (3, 4), (6, 8)])
@pytest.mark.parametrize("size", [1, 3, 15])
def test_egocentric_view_equals_its_definition(player, size):
    board = random_board(7, 9)
    actual = boards.egocentric(jnp.asarray(board), jnp.array(player), size=size)
    np.testing.assert_array_equal(actual, egocentric_by_definition(board, player, size))


@pytest.mark.parametrize("size", [3, 5, 15])
def test_coarse_view_is_the_crop_and_the_pooled_board(size):
    board = random_board(7, 9)
    actual = np.asarray(boards.coarse(jnp.asarray(board), jnp.array([2, 5]), size=size))
    assert actual.shape == (size, size, 5)
    near = egocentric_by_definition(board, (2, 5), size)
    np.testing.assert_array_equal(actual[..., :3], near)
    np.testing.assert_array_equal(actual[..., 3:], pooled_by_definition(board, size))


def test_views_need_a_player():
    protocol = config.Protocol(view="egocentric")
    with pytest.raises(ValueError, match="no player to centre a view on"):
        boards.board_reader(boards.PLANES["Game2048-v1"], protocol)


def test_observations_that_are_no_array_are_refused():
    class Graph:
        pass

    jax.tree_util.register_pytree_with_keys(
        Graph,
        lambda g: (((jax.tree_util.GetAttrKey("edges"), jnp.zeros((4, 4))),), None),
        lambda _, leaves: Graph(),
    )
    with pytest.raises(ValueError, match=r"arrays of shapes \[\(4, 4\)\]"):
        boards.image_or_vector(Graph())
