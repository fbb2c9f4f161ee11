"""DeepSea: one path of all finds the reward."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from scaling import config
from scaling.envs import deepsea, interface, registry

NAME = "scaling.envs.deepsea:DeepSea"
SIZE = deepsea.SIZE


def plain(actions):
    """Returns the places and rewards of one episode, by a plain loop."""
    column, places, rewards = 0, [], []
    for row, action in enumerate(actions):
        right = action == deepsea.RIGHT[row, column]
        rewards.append(float(right and column == SIZE - 1))
        column = min(column + 1, SIZE - 1) if right else max(column - 1, 0)
        places.append((row + 1, column))
    return places, rewards


def test_every_path_equals_a_plain_loop_and_one_of_all_is_paid():
    env = registry.make_device(NAME, config.Protocol())
    assert isinstance(env, interface.DeviceEnvironment)
    paths = np.array(list(itertools.product(range(2), repeat=SIZE)))
    state, seen = env.reset(jax.random.split(jax.random.key(0), len(paths)))
    np.testing.assert_array_equal(
        seen, np.tile(np.eye(17)[0] + np.eye(17)[9], (256, 1))
    )
    expected = [plain(path) for path in paths]
    total = np.zeros(len(paths))
    for step in range(SIZE):
        state, now = env.step(state, jnp.asarray(paths[:, step]))
        row, column = zip(*(places[step] for places, _ in expected), strict=True)
        np.testing.assert_array_equal(np.argmax(now.observation[:, : SIZE + 1], 1), row)
        np.testing.assert_array_equal(
            np.argmax(now.observation[:, SIZE + 1 :], 1), column
        )
        np.testing.assert_array_equal(now.reward, [paid[step] for _, paid in expected])
        assert np.all(now.terminated == (step == SIZE - 1))
        assert not np.any(now.truncated)
        total += now.reward
    best = [deepsea.RIGHT[place, place] for place in range(SIZE)]
    assert total.sum() == 1
    assert paths[np.argmax(total)].tolist() == best


def test_a_step_past_the_end_changes_nothing():
    env = deepsea.DeepSea(config.Protocol())
    end = deepsea.State(jnp.array([SIZE]), jnp.array([SIZE - 1]))
    for action in (0, 1):
        state, now = env.step(end, jnp.array([action]))
        assert (int(state.row[0]), int(state.column[0])) == (SIZE, SIZE - 1)
        assert (float(now.reward[0]), bool(now.terminated[0])) == (0.0, True)
