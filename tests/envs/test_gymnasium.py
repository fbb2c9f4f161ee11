"""The adapter agrees with gymnasium itself."""

import gymnasium
import numpy as np
import pytest

from scaling import config
from scaling.envs import autoreset, interface
from scaling.envs.gymnasium import GymnasiumEnvironment


def make(size=2, name="CartPole-v1", **protocol):
    return GymnasiumEnvironment(name, config.Protocol(**protocol), size)


def test_rows_agree_with_gymnasium_itself():
    env = make(size=3)
    assert isinstance(env, interface.HostEnvironment)
    assert env.spec.observation_shape == (4,)
    single = gymnasium.make("CartPole-v1")
    first = env.reset([2, 0], [5, 6])
    expected, _ = single.reset(seed=6)
    np.testing.assert_array_equal(first[1], expected)

    rng, ended = np.random.default_rng(0), False
    while not ended:
        action = rng.integers(2, size=2)
        transition = env.step([2, 0], action)
        expected, reward, *ends, _ = single.step(int(action[1]))
        np.testing.assert_array_equal(transition.observation[1], expected)
        assert transition.reward[1] == reward
        assert [transition.terminated[1], transition.truncated[1]] == ends
        ended = transition.terminated.any()
    env.close()


def test_gymnasiums_time_limit_truncates():
    env = make(size=1, name="MountainCar-v0")
    env.reset([0], [0])
    ends = [env.step([0], np.array([1])) for _ in range(200)]
    assert [bool(t.truncated[0]) for t in ends] == [False] * 199 + [True]
    assert not any(t.terminated[0] for t in ends)


def test_the_protocols_cap_truncates():
    env = make(size=1, max_frames=3)
    env.reset([0], [0])
    truncated = [bool(env.step([0], np.array([0])).truncated[0]) for _ in range(3)]
    assert truncated == [False, False, True]


def test_episodes_repeat_by_seed_also_with_sticky_actions():
    def play(actions):
        env = make(size=1, sticky=0.5)
        env.reset([0], [3])
        return np.stack([env.step([0], np.array([a])).observation for a in actions])

    alternating = [0, 1] * 4
    np.testing.assert_array_equal(play(alternating), play(alternating))
    env = make(size=1, sticky=0.0)
    env.reset([0], [3])
    plain = [env.step([0], np.array([a])).observation for a in alternating]
    assert not np.array_equal(play(alternating), np.stack(plain))


def test_rows_reset_at_the_same_step_and_keep_the_last_observation():
    env = make(size=1, max_frames=2)
    rows = autoreset.HostRows(env, base_seed=0)
    rows.reset([0])
    rows.step([0], np.array([0]))
    outcome = rows.step([0], np.array([0]))
    seed = autoreset.episode_seed(0, 0, 1)
    expected, _ = gymnasium.make("CartPole-v1").reset(seed=seed)
    np.testing.assert_array_equal(outcome.observation[0], expected)
    assert not np.array_equal(outcome.last_observation, outcome.observation)
    assert outcome.truncated[0]
    assert outcome.discount[0] == 1


@pytest.mark.parametrize("name", ["Pendulum-v1", "FrozenLake-v1"])
def test_other_spaces_are_refused(name):
    with pytest.raises(ValueError, match="only Discrete actions and Box observations"):
        make(name=name)
