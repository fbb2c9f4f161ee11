"""The columns of an ablation: a training target and a number of unrolled steps."""

import dataclasses
import typing
from typing import Any, NamedTuple

from scaling import config

OF_THE_PAPER = "supervised:0,supervised:1,supervised:5,crr:5,reanalyse:5"
"""Schrittwieser et al. 2021, arXiv 2104.06294, appendix C."""

# Share of random actions where actions are selected without a search and no share is
# given: something must explore.
_EPSILON = 0.1
_TARGETS = typing.get_args(typing.get_type_hints(config.Learner)["target"])


class Column(NamedTuple):
    """How one network is trained."""

    target: Any  # of `--learner.target`
    unroll_steps: int

    @property
    def name(self) -> str:
        """The column's directory."""
        return f"{self.target}-{self.unroll_steps}"


def parse(text: str) -> list[Column]:
    """Returns the columns that `text` lists, in the order written.

    Raises:
      ValueError: if one is not TARGET:UNROLL, is listed twice, or would have to search
        without a model.
    """
    columns = [_column(part.strip(), text) for part in text.split(",")]
    if len(set(columns)) < len(columns):
        raise ValueError(f"--columns {text!r} lists one twice; list each once.")
    return columns


def _column(part: str, text: str) -> Column:
    target, _, steps = part.partition(":")
    if target not in _TARGETS or not steps.isascii() or not steps.isdigit():
        raise ValueError(
            f"--columns {text!r} has {part!r}; write TARGET:UNROLL, separated by "
            f"commas, with a target out of {', '.join(_TARGETS)} and a number of "
            "steps, for example supervised:0,reanalyse:5."
        )
    if target == "reanalyse" and int(steps) == 0:
        raise ValueError(
            f"--columns {text!r} has {part}, but a search needs a model, and a model "
            "is learned by unrolling at least 1 step; write reanalyse:1 or more."
        )
    return Column(target, int(steps))


def settings_of(
    column: Column, settings: config.Settings, acts: bool
) -> config.Settings:
    """Returns the settings of a column.

    The network is evaluated in every way that it can be. Where runs interact, a column
    whose target is no search acts without one too: by the --acting that is given, or
    else by value, with random actions at a share of 0.1.

    Args:
      column: target and unrolled steps.
      settings: that all columns share.
      acts: whether environments are stepped.
    """
    learner = dataclasses.replace(
        settings.learner, target=column.target, unroll_steps=column.unroll_steps
    )
    action, also = "mcts", ("value", "policy")
    if column.unroll_steps == 0:
        action, also = "value", ("policy",)
    evaluation = dataclasses.replace(settings.evaluation, action=action, also=also)
    acting = settings.acting
    if acts and column.target != "reanalyse" and acting.action == "mcts":
        acting = config.Acting(action="value", epsilon=acting.epsilon or _EPSILON)
    return dataclasses.replace(
        settings, learner=learner, evaluation=evaluation, acting=acting
    )
