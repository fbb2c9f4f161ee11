"""Names of hardware, and what is known of it."""

import pytest

from scaling import targets

ASKED_FOR = [
    ("tpu:v4:2x2x2", 8, 2),
    ("tpu:v5e:4x4", 16, 2),
    ("tpu:v5e:16x16", 256, 32),
    ("tpu:v5p:4x4x4", 64, 16),
    ("tpu:v6e:16x16", 256, 32),
    ("gpu:a100:8", 8, 1),
    ("gpu:h100:8", 8, 1),
]


@pytest.mark.parametrize(("name", "chips", "hosts"), ASKED_FOR)
def test_targets_count_their_chips_and_hosts(name, chips, hosts):
    target = targets.parse(name)
    assert (target.name, target.chips, target.hosts) == (name, chips, hosts)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("tpu:v5e-16", "tpu:v5e:4x4"),
        ("tpu:v5e-256", "tpu:v5e:16x16"),
        ("tpu:v6e-8", "tpu:v6e:2x4"),
        # These names of Cloud TPU count TensorCores, two a chip.
        ("tpu:v4-16", "tpu:v4:2x2x2"),
        ("tpu:v5p-128", "tpu:v5p:4x4x4"),
    ],
)
def test_names_of_cloud_tpu_are_aliases(alias, name):
    assert targets.parse(alias) == targets.parse(name)


def test_every_name_parses_to_itself():
    names = targets.names()
    assert [targets.parse(name).name for name in names] == names
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("tpu:v5e:4x5", "tpu:v5e:"),
        ("tpu:v5e-17", "tpu:v5e-"),
        ("gpu:h100", "gpu:h100:"),
        ("TPU:V5P:4x4x4", "tpu:v5p:4x4x4"),
        ("abacus", None),
        ("", None),
    ],
)
def test_unknown_targets_are_refused_with_the_known_ones(text, meant):
    with pytest.raises(ValueError, match="There is no target") as refusal:
        targets.parse(text)
    message = str(refusal.value)
    assert "tpu:v5e: with 2x2, 2x4, 4x4" in message
    assert "gpu:h100: with 1, 2, 4, 8" in message
    assert message.endswith(".")
    assert ("did you mean" in message) == (meant is not None)
    assert f"did you mean {meant}" in message or meant is None


def test_facts_are_of_one_order_with_each_other():
    """Guards against a unit written wrongly: GB for Gbit, T for G."""
    for name in targets.names():
        chip = targets.parse(name).chip
        assert 10e9 < chip.memory < 110e9
        assert 100e12 < chip.f32 <= chip.bf16 < 1000e12
        assert 0.5e12 < chip.bandwidth < 4e12
        assert 0.1e12 < chip.interconnect < 1e12
        assert chip.interconnect < chip.bandwidth


@pytest.mark.parametrize("name", ["a100", "h100"])
def test_gpu_facts_agree_with_what_the_compiler_is_told(name):
    chip = targets.parse(f"gpu:{name}:8").chip
    told = dict(chip.options)["target_config"]
    assert f"device_memory_size: {chip.memory} " in told
    assert f"memory_bandwidth: {chip.bandwidth / 1e9:.0f}" in told


def test_peaks_are_those_of_the_precision():
    chip = targets.parse("gpu:h100:8").chip
    assert chip.flops("bf16") == 2 * chip.flops("f32")
