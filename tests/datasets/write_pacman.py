"""Writes random Ms. Pac-Man in the layouts of RL Unplugged and of DQN Replay.

What docs/datasets.md measures was made so:

    python tests/datasets/write_pacman.py DIR STEPS
"""

import pathlib
import sys

import numpy as np
import recorded

from scaling import config
from scaling.datasets import crc32c
from scaling.envs import registry

Played = tuple[np.ndarray, list[int], list[float]]  # frames [T + 1], actions, rewards


def play(steps: int) -> list[Played]:
    """Returns whole episodes with at least so many steps, by the minimal actions."""
    protocol = config.Protocol(image_size=84, colour="gray", full_action_space=False)
    env = registry.make_host("atari:MsPacman", protocol, 1)
    rng = np.random.default_rng(0)
    played: list[Played] = []
    while sum(len(actions) for _, actions, _ in played) < steps:
        played.append(play_once(env, rng, seed=len(played)))
    return played


def play_once(env, rng: np.random.Generator, seed: int) -> Played:
    """Returns one episode of the uniformly random policy."""
    frames, actions, rewards = [env.reset([0], [seed])[0]], [], []
    ended = False
    while not ended:
        actions.append(int(rng.integers(env.spec.num_actions)))
        step = env.step([0], np.array(actions[-1:]))
        frames.append(step.observation[0])
        rewards.append(float(step.reward[0]))
        ended = bool(step.terminated[0] or step.truncated[0])
    return np.stack(frames)[..., 0], actions, rewards


def write(folder: pathlib.Path, played: list[Played]) -> None:
    """Writes two shards of RL Unplugged and three dumps of DQN Replay."""
    setattr(recorded, "crc32c", crc32c.crc32c)  # noqa: B010  (not bit by bit)
    half = len(played) // 2
    for shard, part in enumerate((played[:half], played[half:])):
        examples = [recorded.example(recorded.rlu_features(*each)) for each in part]
        path = folder / "MsPacman" / f"run_1-{shard:05d}-of-00002"
        recorded.rlu_shard(path, examples)
    clipped = [(f[:-1], actions, np.clip(r, -1, 1)) for f, actions, r in played]
    logs = folder / "dqn" / "MsPacman" / "1" / "replay_logs"
    rows = sum(3 + len(actions) for _, actions, _ in played)
    recorded.dqn_folder(logs, clipped, capacity=rows // 3)


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]), play(int(sys.argv[2])))
