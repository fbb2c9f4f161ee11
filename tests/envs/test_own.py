"""A user's own class, as docs/extending.md shows it, and what is refused."""

import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from scaling import config
from scaling.envs import autoreset, interface, registry

DOCS = pathlib.Path(__file__).parents[2] / "docs" / "extending.md"
PROTOCOL = config.Protocol()

HOST = """
import numpy as np
from scaling.envs.interface import Transition
from scaling.types import EnvSpec


class Coin:
    kind = "host"
    spec = EnvSpec("coin", 2, (1,), np.float32, 1.0, {frames})

    def __init__(self, protocol, size):
        self.size = size

    def reset(self, rows, seeds):
        return np.zeros((len(rows), 1), np.float32)

    def step(self, rows, action):
        zeros = np.zeros(len(rows), np.float32)
        return Transition(zeros[:, None], zeros, zeros == 1, zeros == 0)

    def close(self):
        pass


class Nowhere:
    pass
"""


RESTORABLE = """
import numpy as np
from scaling.envs.interface import Transition
from scaling.types import EnvSpec

LENGTH = 8


class Stroll:
    kind = "host"
    spec = EnvSpec("stroll", 2, (1,), np.float32, 1.0, 1)

    def __init__(self, protocol, size):
        self.size = size
        self.place, self.clock = np.zeros((2, size), int)

    def reset(self, rows, seeds):
        self.place[rows] = [seed % LENGTH for seed in seeds]
        self.clock[rows] = 0
        return self.place[rows][:, None].astype(np.float32)

    def step(self, rows, action):
        self.place[rows] = (self.place[rows] + action) % LENGTH
        self.clock[rows] += 1
        none = self.clock[rows] < 0
        seen = self.place[rows].astype(np.float32)
        return Transition(seen[:, None], seen, none, none)

    def close(self):
        pass
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_the_example_in_the_docs_runs(folder):
    (example,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    (folder / "corridor.py").write_text(example)

    env = registry.make_device("corridor:Corridor", PROTOCOL)

    assert registry.is_device("corridor:Corridor")
    assert isinstance(env, interface.DeviceEnvironment)

    @jax.jit
    def walk(keys):
        rows, _ = autoreset.reset(env, keys)
        action = jnp.array([0, 1])
        step = lambda rows, _: autoreset.step(env, rows, action)  # noqa: E731
        return jax.lax.scan(step, rows, length=7)[1]

    outcome = walk(jax.random.split(jax.random.key(0), 2))
    np.testing.assert_array_equal(outcome.reward.sum(axis=0), [0, 1])
    np.testing.assert_array_equal(outcome.terminated[-1], [False, True])
    np.testing.assert_array_equal(jnp.argmax(outcome.observation[-1], -1), 0)


def test_a_host_class_runs(folder):
    (folder / "coins_host.py").write_text(HOST.format(frames=1))
    env = registry.make_host("coins_host:Coin", PROTOCOL, 3)
    rows = autoreset.HostRows(env, 0)
    assert rows.reset(range(3)).shape == (3, 1)
    assert rows.step(range(3), np.zeros(3, int)).truncated.all()
    with pytest.raises(ValueError, match="runs on the host"):
        registry.make_device("coins_host:Coin", PROTOCOL)


def test_the_methods_in_the_docs_restore(folder):
    (methods,) = re.findall(
        r"^(    def save\(.*?np\.ones.*?)$", DOCS.read_text(), re.DOTALL | re.MULTILINE
    )
    (folder / "strolls.py").write_text(f"{RESTORABLE}\n{methods}\n")
    rows, again = (
        autoreset.HostRows(registry.make_host("strolls:Stroll", PROTOCOL, 3), 0)
        for _ in range(2)
    )
    rows.reset(range(3))
    rows.step(range(3), np.array([0, 1, 1]))
    saved = rows.save()

    assert again.restore(saved).exact.all()
    for _ in range(3):
        action = np.array([1, 0, 1])
        expected, actual = rows.step(range(3), action), again.step(range(3), action)
        np.testing.assert_array_equal(actual.observation, expected.observation)
    with pytest.raises(ValueError, match="place of row 1 is none"):
        again.restore(saved | {"row1/env/place": np.array(8)})


def test_own_classes_that_break_the_rules_are_refused(folder):
    (folder / "coins_bad.py").write_text(HOST.format(frames=4))
    with pytest.raises(ValueError, match="frames_per_step = 1"):
        registry.make_host("coins_bad:Coin", PROTOCOL, 1)
    with pytest.raises(ValueError, match="does not say where it runs"):
        registry.is_device("coins_bad:Nowhere")
    with pytest.raises(ValueError, match="has no class 'Dice'"):
        registry.check_name("coins_bad:Dice", PROTOCOL)
