"""A host environment of large observations, for the tests of memory."""

import numpy as np

from scaling import types
from scaling.envs import interface

SHAPE = (64, 64, 4)
STEPS = 8


class WideGame:
    """Shows the number of steps in every pixel; ends after a few."""

    kind = "host"

    def __init__(self, protocol, size):
        del protocol
        self.spec = types.EnvSpec("wide", 2, SHAPE, np.uint8, 255.0, 1)
        self.size, self._steps = size, np.zeros(size, int)

    def _seen(self, rows):
        steps = self._steps[rows].astype(np.uint8)
        return np.ones((len(rows), *SHAPE), np.uint8) * steps[:, None, None, None]

    def reset(self, rows, seeds):
        del seeds
        rows = list(rows)
        self._steps[rows] = 0
        return self._seen(rows)

    def step(self, rows, action):
        rows = list(rows)
        self._steps[rows] += 1
        terminated = self._steps[rows] >= STEPS
        reward = np.asarray(action, np.float32)
        return interface.Transition(
            self._seen(rows), reward, terminated, np.zeros_like(terminated)
        )

    def close(self):
        pass
