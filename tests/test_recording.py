"""A store of our own passes for what its settings play, in every family."""

import dataclasses

import numpy as np
import pytest

from scaling import config, presets, recording, types
from scaling.datasets import compatibility, manifest_file

SPECS = {
    "atari:MsPacman": types.EnvSpec(
        "atari:MsPacman", 18, (48, 48, 1), np.uint8, 255, 4
    ),
    "jumanji:PacMan-v1": types.EnvSpec(
        "jumanji:PacMan-v1", 5, (15, 15, 5), np.bool_, 1, 1
    ),
    "gymnasium:CartPole-v1": types.EnvSpec(
        "gymnasium:CartPole-v1", 2, (4,), np.float32, 1, 1
    ),
}


@pytest.mark.parametrize("name", ["atari-small", "demo", "cartpole"])
def test_a_store_of_our_own_is_compatible_and_nothing_is_warned_of(name):
    settings = presets.preset(name).settings
    spec = SPECS[settings.env]
    head = recording.header(spec, settings.protocol, {"kind": "test"})
    compatibility.check(head, spec, "it")
    assert not compatibility.warnings(head, settings.protocol)
    assert manifest_file.header_from_json(manifest_file.header_to_json(head)) == head


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ("atari:MsPacman", ("full", 4, 0.25, 7, 96, "rgb", None, None, None)),
        ("jumanji:PacMan-v1", ("own", 1, 0.0, 7, None, None, 3, "coarse", 9)),
        ("gymnasium:CartPole-v1", ("own", 1, 0.0, 7, None, None, None, None, None)),
    ],
)
def test_what_is_recorded_is_what_the_family_heeds(env, expected):
    protocol = config.Protocol(max_frames=7, random_start=3, view="coarse", view_size=9)
    found = recording.recording(SPECS[env], protocol)
    names = (
        "action_set",
        "frame_skip",
        "sticky",
        "max_frames",
        "image_size",
        "colour",
        "random_start",
        "view",
        "view_size",
    )
    assert tuple(getattr(found, name) for name in names) == expected
    assert found.reward_kind == "raw"


def test_what_was_set_is_recorded_instead_of_the_standard():
    protocol = config.Protocol(sticky=0.1, full_action_space=False, view="board")
    found = recording.recording(SPECS["atari:MsPacman"], protocol)
    assert (found.action_set, found.sticky) == ("minimal", 0.1)
    board = recording.recording(SPECS["jumanji:PacMan-v1"], protocol)
    assert (board.view, board.view_size) == ("board", None)
    other = dataclasses.replace(protocol, sticky=0.5)
    head = recording.header(SPECS["jumanji:PacMan-v1"], protocol, {})
    assert any("sticky 0.1" in word for word in compatibility.warnings(head, other))
