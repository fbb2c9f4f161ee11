"""PacMan and other jumanji games as device environments."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scaling import config
from scaling.envs import autoreset, boards, interface, registry

UP, LEFT, DOWN, RIGHT, NONE = range(5)
MANY = 64


def make(name, **protocol):
    return registry.make_device(f"jumanji:{name}", config.Protocol(**protocol))


@functools.cache
def pacman():
    """PacMan as it begins, and its jitted step; shared, since it compiles for long."""
    env = make("PacMan-v1")
    state, observation = jax.jit(env.reset)(jax.random.split(jax.random.key(0), 2))
    return env, state, observation, jax.jit(env.step)


def place(state):
    player = state.game.player_locations
    return int(player.x[0]), int(player.y[0])  # row, column


def walk(*actions):
    _, state, _, step = pacman()
    for action in actions:
        state, _ = step(state, jnp.full(2, action))
    return place(state)


def test_pacman_keeps_the_interface():
    env, _, observation, _ = pacman()
    assert isinstance(env, interface.DeviceEnvironment)
    assert env.spec.num_actions == 5
    assert observation.shape == (2, *env.spec.observation_shape) == (2, 31, 28, 6)
    assert observation.dtype == env.spec.observation_dtype == jnp.uint8


def test_pacman_actions_are_up_left_down_right_none():
    row, column = walk(NONE)
    assert walk(LEFT) == (row, column - 1)
    assert walk(RIGHT) == (row, column + 1)
    assert walk(UP) == (row, column)  # a wall
    assert walk(LEFT, UP) == (row - 1, column - 1)
    assert walk(LEFT, LEFT, LEFT, LEFT, DOWN) == (row + 1, column - 4)


def test_pacman_planes_show_what_the_state_holds():
    _, state, _, step = pacman()
    for action in (LEFT, LEFT, NONE):
        state, transition = step(state, jnp.full(2, action))
    game, planes = state.game, np.asarray(transition.observation[0])
    np.testing.assert_array_equal(planes[..., 0], game.grid[0] == 0)
    assert np.argwhere(planes[..., 1]).tolist() == [list(place(state))]
    pellets = {(r, c) for c, r in np.asarray(game.pellet_locations[0]) if r or c}
    assert set(map(tuple, np.argwhere(planes[..., 2]))) == pellets
    assert planes[..., 2].sum() == game.pellets[0]
    assert planes[..., 3].sum() == 4
    ghosts = {(r, c) for c, r in np.asarray(game.ghost_locations[0])}
    assert set(map(tuple, np.argwhere(planes[..., 4]))) == ghosts
    assert planes[..., 5].sum() == 0


def test_pacman_ghosts_change_planes_when_scared():
    _, state, _, _ = pacman()
    game = jax.tree.map(lambda leaf: leaf[0], state.game)
    from jumanji.environments.routing.pac_man.env import PacMan

    calm = PacMan()._observation_from_state(game)
    scared = calm._replace(frightened_state_time=jnp.int32(3))
    calm_planes, planes = boards.pacman_planes(calm), boards.pacman_planes(scared)
    np.testing.assert_array_equal(planes[..., 5], calm_planes[..., 4])
    assert planes[..., 4].sum() == 0


def test_pacman_time_limit_truncates():
    _, state, _, step = pacman()
    late = state._replace(steps=jnp.array([998, 999]))

    _, transition = step(late, jnp.full(2, NONE))

    np.testing.assert_array_equal(transition.truncated, [False, True])
    np.testing.assert_array_equal(transition.terminated, False)


def test_pacman_death_terminates_also_at_the_time_limit():
    _, state, _, step = pacman()
    row, column = place(state)
    ghosts = jnp.broadcast_to(jnp.array([column, row]), (2, 4, 2))
    late = state._replace(
        steps=jnp.array([5, 999]), game=state.game.replace(old_ghost_locations=ghosts)
    )

    _, transition = step(late, jnp.full(2, NONE))

    np.testing.assert_array_equal(transition.terminated, True)
    np.testing.assert_array_equal(transition.truncated, False)


def test_random_starts_differ_and_never_begin_at_the_end():
    env = make("PacMan-v1", random_start=30, view="egocentric")
    keys = jax.random.split(jax.random.key(1), MANY)
    reset = jax.jit(env.reset)

    state, observation = reset(keys)

    assert len({np.asarray(o).tobytes() for o in observation}) > MANY // 2
    assert not state.game.dead.any()
    assert (state.game.pellets > 0).all()
    np.testing.assert_array_equal(state.steps, 0)
    assert (np.asarray(state.game.step_count) <= 30).all()
    np.testing.assert_array_equal(reset(keys)[1], observation)


def test_a_random_start_that_ends_the_game_begins_again():
    env = make("Snake-v1", random_start=30)  # a random snake soon leaves the board
    state, _ = jax.jit(env.reset)(jax.random.split(jax.random.key(1), MANY))
    wandered = np.asarray(state.game.step_count)
    assert wandered.mean() < 12  # 15 if no walk had been cut short
    assert len(set(wandered.tolist())) > 5


@functools.cache
def maze():
    """A maze of 100 steps with everything on, its jitted reset and step."""
    env = make("Maze-v0", random_start=7, sticky=0.25)
    state, _ = jax.jit(env.reset)(jax.random.split(jax.random.key(0), 1000))
    return state, jax.jit(env.step)


def test_own_time_limit_is_a_truncation_after_random_starts_too():
    state, step = maze()
    going = np.ones(1000, bool)
    for t in range(100):
        state, transition = step(state, jnp.zeros(1000, jnp.int32))
        going &= ~np.asarray(transition.terminated)
        np.testing.assert_array_equal(transition.truncated[going], t == 99)
    assert going.sum() > 500


def test_sticky_actions_repeat_the_action_executed_last():
    state, step = maze()
    before = np.asarray(state.previous)
    state, _ = step(state, jnp.full(1000, 1))
    fresh = before == -1  # nothing to repeat in an episode without random steps
    assert fresh.sum() > 50
    np.testing.assert_array_equal(state.previous[fresh], 1)

    before = np.asarray(state.previous)
    state, _ = step(state, jnp.full(1000, 2))
    repeated = np.asarray(state.previous) != 2
    np.testing.assert_array_equal(state.previous[repeated], before[repeated])
    assert abs(repeated[before != 2].mean() - 0.25) < 0.06  # four standard errors


@pytest.mark.parametrize(
    ("name", "actions", "shape", "dtype"),
    [
        ("Snake-v1", 4, (12, 12, 5), "float32"),
        ("Game2048-v1", 4, (4, 4, 18), "uint8"),
        pytest.param(
            *("SlidingTilePuzzle-v0", 4, (5, 5, 25), "uint8"), marks=pytest.mark.slow
        ),
        ("Knapsack-v1", 50, (150,), "float32"),
    ],
)
def test_other_games_run(name, actions, shape, dtype):
    env = make(name, max_frames=9)
    assert env.spec.num_actions == actions
    assert env.spec.observation_shape == shape
    assert env.spec.observation_dtype == dtype

    def step(rows, key):
        action = jax.random.randint(key, (3,), 0, actions)
        return autoreset.step(env, rows, action)

    @jax.jit
    def run(keys):
        rows, observation = autoreset.reset(env, keys)
        rows, outcome = jax.lax.scan(step, rows, jax.random.split(keys[0], 30))
        return observation, rows, outcome

    observation, rows, outcome = run(jax.random.split(jax.random.key(0), 3))
    assert observation.shape == (3, *shape)
    assert outcome.observation.dtype == dtype
    ended = outcome.terminated | outcome.truncated
    assert (ended.sum(axis=0) >= 3).all()  # the protocol's cap of 9 steps
    np.testing.assert_array_equal(rows.episode, ended.sum(axis=0))
    np.testing.assert_array_equal(outcome.discount, ~outcome.terminated)
    assert not (outcome.terminated & outcome.truncated).any()


def test_games_whose_action_is_not_one_number_are_refused():
    from scaling.envs import jumanji

    with pytest.raises(ValueError, match="only one discrete action is supported"):
        jumanji.JumanjiEnvironment("Cleaner-v0", config.Protocol())
