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


class Drifting(gymnasium.Env):
    """Its rewards depend on how many steps were ever taken in this process."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,))
    action_space = gymnasium.spaces.Discrete(3, start=5)
    steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        Drifting.steps += 1
        return np.zeros(1, np.float32), float(Drifting.steps), False, False, {}


@pytest.fixture
def drifting():
    gymnasium.register("Drifting-v0", f"{__name__}:Drifting")
    yield "Drifting-v0"
    del gymnasium.registry["Drifting-v0"]


def test_a_row_that_does_not_repeat_begins_its_next_episode(drifting):
    rows = autoreset.HostRows(make(name=drifting), base_seed=0)
    rows.reset([0, 1])
    rows.step([0], np.array([2]))
    again = autoreset.HostRows(make(name=drifting), base_seed=0)

    restored = again.restore(rows.save())

    np.testing.assert_array_equal(restored.exact, [False, True])  # row 1: no step yet
    np.testing.assert_array_equal(again.episode, [1, 0])
    assert restored.observation.shape == (2, 1)


def record_of(steps=3, **protocol):
    env = make(size=1, **protocol)
    env.reset([0], [4])
    for _ in range(steps):
        env.step([0], np.array([1]))
    return env.save([0])[0]


def test_a_record_is_small_and_the_callers_own():
    env = make(size=1)
    env.reset([0], [4])
    (first,) = env.save([0])
    kept = {name: array.copy() for name, array in first.items()}
    env.step([0], np.array([1]))
    for name, array in first.items():
        np.testing.assert_array_equal(array, kept[name])
    longer = record_of(steps=8)
    assert longer["actions"].tolist() == [1] * 8
    assert sum(array.nbytes for array in longer.values()) < 100


@pytest.mark.parametrize("reward", [0.0, -1.0])
def test_another_reward_is_no_exact_restore(reward):
    record = record_of()
    assert make().restore([1], [record]).all()
    assert not make().restore([1], [record | {"reward": np.array(reward)}]).any()


def test_nothing_is_stepped_beyond_the_episodes_end():
    record = record_of(steps=3, max_frames=100)
    record["actions"] = np.ones(90, np.uint8)  # the pole falls after about ten
    env = make()
    assert not env.restore([0], [record]).any()
    (played,) = env.save([0])
    assert played["actions"].size < 20


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"actions": np.array([0, 2], np.uint8)}, "it executed the action 2"),
        ({"actions": np.array([0, 1])}, "'actions' is int64"),
        ({"actions": np.zeros(10, np.uint8)}, "10 steps, .* ends one after 9"),
        ({"seed": np.array(-1)}, "has the seed -1"),
        ({"seed": np.array(2**31)}, "has the seed 2147483648"),
        ({"seed": np.array("1")}, "'seed' is <U1"),
        ({"observation": np.zeros(5, np.float32)}, r"'observation' is float32 \(5,\)"),
        ({"reward": np.array(None)}, "'reward' is object"),
        ({"random": np.zeros(6, np.uint64)}, "PCG64 cannot have"),
        ({"random": np.zeros(5, np.uint64)}, r"'random' is uint64 \(5,\)"),
    ],
)
def test_malformed_records_are_refused(change, sentence):
    with pytest.raises(ValueError, match=rf"row 1 .*{sentence}"):
        make(max_frames=9).restore([1], [record_of() | change])


@pytest.mark.parametrize("name", ["Pendulum-v1", "FrozenLake-v1"])
def test_other_spaces_are_refused(name):
    with pytest.raises(ValueError, match="only Discrete actions and Box observations"):
        make(name=name)
