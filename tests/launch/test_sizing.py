"""Sizes for a target's chips."""

import dataclasses

import hypothesis
import pytest
from hypothesis import strategies as st

from launch import sizing
from scaling import accounting, hardware, presets, targets

PAPER = presets.preset("paper").settings


def sized(ways, fraction=0.95, kept=(), **changes):
    settings = dataclasses.replace(PAPER, **changes)
    return sizing.settings_for(settings, ways, fraction, kept)


def test_the_papers_preset_gets_80_lanes_a_chip_at_its_fraction():
    settings = sized(256)
    assert (settings.shards, settings.environments) == (256, 1024)
    assert settings.max_lanes == 20 * 1024 == 80 * 256


def test_one_chip_needs_nothing():
    assert sized(1) == PAPER


def test_lanes_a_chip_have_a_limit_at_high_fractions():
    assert sized(256, fraction=0.9998).max_lanes == 128 * 256


@hypothesis.given(
    ways=st.sampled_from([1, 2, 4, 8, 16, 64, 256]),
    fraction=st.sampled_from([0.0, 0.5, 0.95, 0.995]),
    environments=st.integers(1, 64),
    shards=st.sampled_from([1, 2, 8, 64]),
)
def test_what_was_not_given_is_raised_to_what_can_be_spread(
    ways, fraction, environments, shards
):
    settings = sized(ways, fraction, environments=environments, shards=shards)
    assert settings.shards % ways == 0
    assert settings.environments % settings.shards == 0
    assert accounting.shards_for(settings) == settings.shards
    assert settings.environments >= environments
    assert settings.max_lanes >= PAPER.max_lanes


def test_what_was_given_is_kept():
    settings = sized(16, kept={"environments"}, environments=48)
    assert (settings.environments, settings.shards) == (48, 16)
    settings = sized(16, kept={"shards"}, shards=64)
    assert (settings.environments, settings.shards) == (64, 64)
    settings = sized(16, kept={"max-lanes"}, max_lanes=100)
    assert settings.max_lanes == 100


@pytest.mark.parametrize(
    ("kept", "changes", "message"),
    [
        ({"shards"}, {"shards": 8}, "--shards 8 is not a multiple of the 16 devices"),
        ({"environments"}, {"environments": 24}, "--environments 24 is not a multiple"),
        (
            {"environments", "shards"},
            {"environments": 48, "shards": 33},
            "--shards 33 is not a multiple",
        ),
    ],
)
def test_what_was_given_and_does_not_divide_is_refused(kept, changes, message):
    with pytest.raises(ValueError, match=message) as refusal:
        sized(16, kept=kept, **changes)
    assert str(refusal.value).endswith(".")


def test_given_flags_are_found_in_every_spelling():
    argv = ["--shards=8", "--max_lanes", "9", "--learner.batch-size", "-5", "x"]
    assert sizing.given(argv) == {"shards", "max-lanes", "learner.batch-size"}


def test_the_mesh_has_all_chips():
    target = targets.parse("tpu:v5e:4x4")
    assert sizing.mesh_for(target, hardware.Mesh()) == hardware.Mesh(data=16)
    half = hardware.Mesh(data=8, model=2)
    assert sizing.mesh_for(target, hardware.Mesh(model=2)) == half
    assert sizing.mesh_for(target, half) == half


@pytest.mark.parametrize(
    "mesh",
    [
        hardware.Mesh(model=3),
        hardware.Mesh(data=4),
        hardware.Mesh(model=32),
        hardware.Mesh(data=0),
        hardware.Mesh(data=-4, model=4),
    ],
)
def test_a_mesh_of_other_size_is_refused(mesh):
    with pytest.raises(ValueError, match="has 16 chips"):
        sizing.mesh_for(targets.parse("tpu:v5e:4x4"), mesh)


def test_a_model_axis_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"--mesh.model is .* got 0"):
        sizing.mesh_for(targets.parse("tpu:v5e:4x4"), hardware.Mesh(model=0))


def test_sizes_are_printed_as_flags():
    assert sizing.flags(sized(16)) == "--shards 16 --environments 64 --max-lanes 1280"
