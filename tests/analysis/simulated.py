"""Simulated studies: known laws with Gaussian noise."""

import numpy as np

from analysis import laws, table


def noisy(budgets, seeds, shape, growth=1.0, seed=0):
    """Two decades, slope 3 sd a decade, unit noise that grows `growth` times."""
    frames = np.repeat(np.geomspace(1e5, 1e7, budgets), seeds)
    x = np.log10(frames) - 6
    z = shape(10**x)
    score = 3 * z / np.std(z) * np.std(x)
    return frames, score + noise(x, growth, seed)


def noise(x, growth, seed):
    """Unit noise on average, `growth` times larger at the end of two decades."""
    deviation = growth ** ((x + 1) / 2)
    draw = np.random.default_rng(seed).normal(size=x.size)
    return deviation / np.sqrt(np.mean(deviation**2)) * draw


def stepped(budgets, seeds, growth, seed):
    """A line of slope 3 sd a decade with a step of 4 sd in its middle: λ ≈ 0."""
    frames, score = noisy(budgets, seeds, np.log10, growth, seed)
    return frames, score + 4.0 * (frames > 1e6)


def curve(frames, score, checkpoints=0):
    return table.Curve("0.95", 0.95, None, frames, score, np.zeros(0), checkpoints)


SHAPES = {
    "consistent": np.log10,
    "saturating": lambda n: laws.box_cox(n, -1.0),
    "accelerating": lambda n: laws.box_cox(n, 1.0),
}
