"""A store is held against the environment that its agent will play."""

import dataclasses

import numpy as np
import pytest
import recorded

from scaling import config, types
from scaling.datasets import compatibility

SPEC = types.EnvSpec("jumanji:PacMan-v1", 5, (3, 2), np.uint8, 1.0, 1)
DIFFERENT = {
    "environment": SPEC._replace(name="jumanji:Snake-v1"),
    "number of actions": SPEC._replace(num_actions=4),
    "observation shape": SPEC._replace(observation_shape=(3, 3)),
    "observation type": SPEC._replace(observation_dtype=np.float32),
    "frames of a step": SPEC._replace(frames_per_step=4),
}


def test_the_same_environment_passes():
    compatibility.check(recorded.header(), SPEC, "store")


@pytest.mark.parametrize(("what", "spec"), DIFFERENT.items(), ids=DIFFERENT.keys())
def test_what_differs_is_named(what, spec):
    with pytest.raises(ValueError, match=rf"^store has the {what} .*\.$"):
        compatibility.check(recorded.header(), spec, "store")


def test_what_makes_scores_hard_to_compare_is_said():
    header = recorded.header(reward_kind="clipped", sticky=0.25, random_start=0)
    header = dataclasses.replace(header, provenance={"lossy": True})
    said = compatibility.warnings(header, config.Protocol(sticky=0.0, random_start=30))
    assert len(said) == 4
    for words in ("clipped", "sticky 0.25", "random_start 0", "lossy"):
        assert sum(words in line for line in said) == 1
    assert not compatibility.warnings(recorded.header(sticky=0.0), config.Protocol())
