"""Pictures of boards and images: every plane its colour, a player always seen."""

import jax
import numpy as np
import pytest

from scaling import config, types
from scaling.envs import jumanji, pictures

SPEC = types.EnvSpec("game", 2, (2, 2, 1), np.uint8, 255.0, 1)


def test_the_emptiest_plane_is_drawn_last():
    planes = np.zeros((2, 3, 3), np.uint8)
    planes[..., 0] = 1
    planes[0, 1, 1] = 1
    planes[0, 1:, 2] = 1
    board = pictures.board(planes)
    assert tuple(board[0, 1]) == pictures.colour(1)
    assert tuple(board[0, 2]) == pictures.colour(2)
    assert tuple(board[1, 0]) == pictures.colour(0)


def test_a_share_of_a_cell_is_a_shade():
    half = pictures.board(np.full((1, 1, 1), 0.5, np.float32))[0, 0]
    np.testing.assert_allclose(half, np.array(pictures.colour(0)) / 2, atol=0.5)


def test_all_colours_differ():
    colours = [pictures.colour(plane) for plane in range(30)]
    assert len(set(colours)) == 30


def test_an_image_is_shown_as_it_is():
    grey = np.arange(4, dtype=np.uint8).reshape(2, 2, 1)
    shown = pictures.of_observation(grey, SPEC)
    np.testing.assert_array_equal(shown, np.repeat(grey, 3, axis=2))
    rgb = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    np.testing.assert_array_equal(pictures.of_observation(rgb, SPEC), rgb)


def test_other_observations_are_refused():
    with pytest.raises(ValueError, match="game are vectors"):
        pictures.of_observation(np.zeros(3), SPEC)
    with pytest.raises(ValueError, match="have 4 colours"):
        pictures.of_observation(np.zeros((2, 2, 4), np.uint8), SPEC)


@pytest.mark.parametrize("name", ["PacMan-v1", "Maze-v0", "SlidingTilePuzzle-v0"])
def test_a_board_is_drawn_whole_whatever_the_view(name):
    view = "board" if name.startswith("Sliding") else "egocentric"
    whole = jumanji.JumanjiEnvironment(name, config.Protocol(sticky=0.0))
    cropped = jumanji.JumanjiEnvironment(
        name, config.Protocol(sticky=0.0, view=view, view_size=5)
    )
    keys = jax.random.split(jax.random.key(3), 2)
    state, _ = cropped.reset(keys)
    _, planes = whole.reset(keys)
    for row in range(2):
        expected = pictures.board(np.asarray(planes[row]))
        np.testing.assert_array_equal(cropped.render(state, row), expected)


def test_a_game_without_planes_of_its_own_shows_its_observation():
    snake = jumanji.JumanjiEnvironment("Snake-v1", config.Protocol(sticky=0.0))
    state, seen = snake.reset(jax.random.split(jax.random.key(0), 1))
    assert snake.render(state, 0) is None
    shown = pictures.of_observation(np.asarray(seen[0]), snake.spec)
    assert shown.shape == (12, 12, 3)
    assert (shown.any(axis=-1)).sum() == 2  # the snake and its fruit
