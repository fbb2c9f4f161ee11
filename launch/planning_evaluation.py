"""What the evaluations of a run take: points of its curve, and its final network.

A network is evaluated in one way or in several (`--evaluation.also`), and ways differ
in how often they call the model. How long its episodes will be nobody knows before: a
plan takes those of a random policy, as they were measured. The random policy that is
played beside a data set asks no network and is left out.
"""

import math
from typing import NamedTuple

from launch import roofline
from scaling import config
from scaling.envs import registry

# Episodes that are played side by side: scaling.evaluate.LANES, which loads JAX.
LANES = 64


class Played(NamedTuple):
    """The evaluations of a run in which actions are selected in one way."""

    action: config.Action
    episodes: tuple[int, ...]  # of each


def played(settings: config.Settings) -> tuple[Played, ...]:
    """Returns the evaluations of a run, the points of its curve first."""
    asked = settings.evaluation
    curve = (asked.curve_episodes,) * asked.curve_points
    others = (Played(action, (asked.episodes,)) for action in asked.also)
    return Played(asked.action, (*curve, asked.episodes)), *others


def lanes(settings: config.Settings) -> int:
    """Returns how many episodes a run plays side by side."""
    return min(LANES, settings.evaluation.episodes)


def rounds(settings: config.Settings, found: Played) -> int:
    """Returns how often as many episodes as go side by side are played."""
    return sum(math.ceil(number / lanes(settings)) for number in found.episodes)


def episode_steps(settings: config.Settings) -> int | None:
    """Returns the steps of a random policy's episode; None: they were not measured."""
    typical = registry.typical_episode_steps(settings.env)
    per_step = registry.frames_per_step(settings.env, settings.protocol)
    most = settings.protocol.max_frames // per_step
    return None if typical is None else min(typical, most)


def model_steps(settings: config.Settings, action: config.Action) -> int:
    """Returns how many model steps, with a prediction each, selecting an action takes.

    As `scaling.evaluate` does it: without a model, values are of the head alone.
    """
    if action == "mcts":
        return settings.search.simulations
    sizes = registry.sizes(settings.env, settings.protocol)
    if action == "policy" or sizes is None or not settings.learner.unroll_steps:
        return 0
    return sizes[1]  # r + γ v of every action


def step_flops(
    networks: roofline.Networks, settings: config.Settings, action: config.Action
) -> float:
    """Returns the operations of selecting one action: network calls × their own.

    A call of the prediction is that of both heads, though a compiler may leave out the
    one that nobody reads.
    """
    return roofline.flops_per_look(networks, model_steps(settings, action))


def flops(networks: roofline.Networks, settings: config.Settings) -> float | None:
    """Returns the operations of a run's evaluations; None: nobody knows its episodes.

    Args:
      networks: of the settings.
      settings: of the run.
    """
    steps = episode_steps(settings)
    if steps is None:
        return None
    return sum(
        sum(each.episodes) * steps * step_flops(networks, settings, each.action)
        for each in played(settings)
    )
