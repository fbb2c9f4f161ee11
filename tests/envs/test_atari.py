"""The emulators keep the protocol; cross-checked against ale-py's own vector."""

import numpy as np
import pytest

from scaling import config
from scaling.envs import interface, registry


def make(name="MsPacman", size=1, **protocol):
    defaults = {"image_size": 84, "colour": "gray"} | protocol
    return registry.make_host(f"atari:{name}", config.Protocol(**defaults), size)


def play(env, rows, seeds, steps, action_seed=0):
    """Returns the frames and rewards of `steps` random actions, [steps, rows]."""
    rng = np.random.default_rng(action_seed)
    env.reset(rows, seeds)
    actions = rng.integers(env.spec.num_actions, size=(steps, len(rows)))
    transitions = [env.step(rows, action) for action in actions]
    frames = np.stack([t.observation for t in transitions])
    return frames, np.stack([t.reward for t in transitions])


@pytest.mark.parametrize(
    ("colour", "planes", "full", "actions"),
    [("gray", 1, True, 18), ("rgb", 3, False, 9)],
)
def test_the_spec_is_what_is_returned(colour, planes, full, actions):
    env = make(size=2, colour=colour, image_size=96, full_action_space=full)
    assert isinstance(env, interface.HostEnvironment)
    assert env.spec.num_actions == actions
    assert env.spec.observation_shape == (96, 96, planes)
    assert env.spec.frames_per_step == 4
    first = env.reset([0, 1], [0, 1])
    transition = env.step([1], np.array([0]))
    assert first.shape == (2, 96, 96, planes)
    assert transition.observation.shape == (1, 96, 96, planes)
    assert transition.observation.dtype == first.dtype == np.uint8
    env.close()


def reference_vector(game):
    from ale_py.vector_env import AtariVectorEnv

    return AtariVectorEnv(
        game,
        1,
        repeat_action_probability=0.0,
        full_action_space=True,
        reward_clipping=False,
        noop_max=0,
        use_fire_reset=False,
        stack_num=1,
        autoreset_mode="SameStep",
    )


@pytest.mark.parametrize(
    ("game", "name"), [("breakout", "Breakout"), ("qbert", "Qbert")]
)
def test_games_agree_with_the_librarys_own_vector(game, name):
    """Same rewards and ends over several episodes; frames up to the resizing.

    OpenCV weighs the pixels on a box's edge, Pillow takes those whose centre is in.
    """
    reference, env = reference_vector(game), make(name, sticky=0.0)
    expected, _ = reference.reset(seed=0)
    first = env.reset([0], [0])
    rng, episodes = np.random.default_rng(1), 0
    for _ in range(700):
        difference = np.abs(expected[:, 0, ..., None].astype(int) - first)
        assert difference.mean() < 6  # of 255; 1.5 and 3.4 as measured
        action = rng.integers(18, size=1)
        expected, reward, terminated, truncated, _ = reference.step(action)
        transition = env.step([0], action)
        assert transition.reward[0] == reward[0]
        assert transition.terminated[0] == terminated[0]
        assert transition.truncated[0] == truncated[0]
        first = transition.observation
        if terminated[0]:
            episodes, first = episodes + 1, env.reset([0], [episodes])
    assert episodes >= 2


def test_an_episode_follows_from_its_seed_alone():
    env = make(size=2)
    frames, rewards = play(env, [0, 1], [5, 5], 80)
    again, rewards_again = play(env, [1, 0], [5, 5], 80)  # after another episode
    np.testing.assert_array_equal(frames, again)
    np.testing.assert_array_equal(rewards, rewards_again)
    other, _ = play(env, [0, 1], [6, 7], 80)
    assert not np.array_equal(frames, other)


def test_rows_do_not_depend_on_one_another():
    env = make(size=4)
    rows, seeds = [0, 1, 2, 3], [1, 2, 3, 4]
    together, _ = play(env, rows, seeds, 40)
    rng = np.random.default_rng(0)
    actions = rng.integers(18, size=(40, 4))
    for row in rows:
        env.reset([row], [seeds[row]])
        apart = [env.step([row], actions[t, [row]]).observation[0] for t in range(40)]
        np.testing.assert_array_equal(together[:, row], np.stack(apart))


def test_the_cap_truncates_at_its_frame():
    env = make(max_frames=10)  # in the middle of the third step
    env.reset([0], [0])
    ends = [env.step([0], np.array([0])) for _ in range(3)]
    assert [bool(t.truncated[0]) for t in ends] == [False, False, True]
    assert not ends[-1].terminated[0]


def test_sticky_actions_repeat_at_every_frame():
    """With ς close to one the first no-op lasts, as if nothing had been chosen."""
    stuck, still = make(sticky=1 - 1e-9), make(sticky=0.0)
    stuck.reset([0], [0])
    still.reset([0], [0])
    for _ in range(30):
        moved = stuck.step([0], np.array([3])).observation
        unmoved = still.step([0], np.array([0])).observation
        np.testing.assert_array_equal(moved, unmoved)
