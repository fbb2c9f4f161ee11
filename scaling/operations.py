"""Operations of a run's networks: calls of each network × those of one call.

By closed formula: idle rows, evaluation and what is not a network count for nothing.
"""

import functools
from typing import NamedTuple

from scaling import config, selection, types
from scaling.agent import model as models


class Operations(NamedTuple):
    """Floating-point operations."""

    state: float  # of a searched state
    sample: float  # of a sample of the learner

    def of(self, searched: int, samples: int) -> float:
        """Returns the operations of so many searched states and samples."""
        return searched * self.state + samples * self.sample

    def search_share(self, searched: int, samples: int) -> float:
        """Returns the share of the searched states' in the operations of both."""
        return searched * self.state / self.of(searched, samples)


@functools.lru_cache(maxsize=8)
def of_runs(settings: config.Settings, spec: types.EnvSpec, acts: bool) -> Operations:
    """Returns the operations of runs of some settings.

    A look calls the representation once and the model as often as it needs to. A
    sample unrolls K steps, and its backward pass costs twice the forward pass; where
    the target network bootstraps, it judges K + 1 states more.

    Args:
      settings: of the runs.
      spec: of their environment.
      acts: whether environments are stepped.
    """
    model = models.make_model(spec, settings)
    row, learner = models.row_flops(model, spec, settings.protocol), settings.learner
    root, step = row.represent + row.predict, row.dynamics + row.predict
    steps = selection.model_steps(settings, acts, spec.num_actions)
    sample = 3 * (root + learner.unroll_steps * step)
    if learner.bootstrap == "target_network":
        sample += (learner.unroll_steps + 1) * root
    return Operations(root + steps * step, sample)
