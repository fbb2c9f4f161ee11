"""What a look at a state must find, by the settings: a search, action values, neither.

A *look* is what the lanes of a call ask the network: it selects the action of a fresh
state and makes the targets of a fresh or a stored one (`scaling.looking`). Nothing here
imports JAX.
"""

from collections.abc import Sequence
from typing import NamedTuple

from scaling import config


class Needs(NamedTuple):
    """What a look finds beside the policy and the value of the network."""

    search: bool
    action_values: bool  # r + γ v of every action


def needs(settings: config.Settings, acts: bool) -> Needs:
    """Returns what the looks of a run must find.

    Args:
      settings: of the run.
      acts: whether environments are stepped.
    """
    target, acting = settings.learner.target, settings.acting.action
    return Needs(
        search=target == "reanalyse" or (acts and acting == "mcts"),
        action_values=target == "crr" or (acts and acting == "value"),
    )


def model_steps(settings: config.Settings, acts: bool, actions: int) -> int:
    """Returns how many model steps, with a prediction each, a look takes.

    Args:
      settings: of the run.
      acts: whether environments are stepped.
      actions: that there are.
    """
    wanted = needs(settings, acts)
    steps = settings.search.simulations if wanted.search else 0
    if wanted.action_values and settings.learner.unroll_steps:
        steps += actions
    return steps


def check(settings: config.Settings, fractions: Sequence[float]) -> None:
    """Refuses ways to act, to learn or to be evaluated that contradict each other.

    Args:
      settings: of the runs.
      fractions: of the runs; environments are stepped below 1. None are given in a
        path design, where all are below 1.

    Raises:
      ValueError: naming the flags, and what would do.
    """
    evaluation = settings.evaluation
    asked = (evaluation.action, *evaluation.also)
    if len(set(asked)) < len(asked):
        raise ValueError(
            f"--evaluation.also {' '.join(evaluation.also)} has an action twice, or "
            f"that of --evaluation.action {evaluation.action}; list each once."
        )
    acts = not fractions or min(fractions) < 1
    if settings.learner.unroll_steps == 0:
        _check_without_a_model(settings, acts)
    if acts and settings.acting == config.Acting(action="value"):
        raise ValueError(
            "--acting.action value explores by random actions alone, and there are "
            "none; give their share, for example --acting.epsilon 0.1."
        )


def _check_without_a_model(settings: config.Settings, acts: bool) -> None:
    evaluation = settings.evaluation
    wants = {
        "--learner.target reanalyse": settings.learner.target == "reanalyse",
        "--acting.action mcts": acts and settings.acting.action == "mcts",
        "--evaluation.action mcts": evaluation.action == "mcts",
        "--evaluation.also mcts": "mcts" in evaluation.also,
    }
    if searching := [flag for flag, wanted in wants.items() if wanted]:
        raise ValueError(
            "--learner.unroll-steps 0 has no model to search in, and these would "
            f"search: {', '.join(searching)}; use policy or value to act, supervised "
            "or crr as target, or unroll at least 1 step."
        )
