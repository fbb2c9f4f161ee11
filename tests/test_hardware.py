"""What a user says of the hardware."""

import os

from scaling import hardware, sharding


def test_deterministic_operations_are_asked_for_once_and_said_in_the_row(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    assert "deterministic" not in sharding.describe()
    hardware.make_deterministic()
    hardware.make_deterministic()
    flags = os.environ["XLA_FLAGS"].split()
    assert flags == ["--xla_cpu_enable_fast_math=false", hardware.DETERMINISTIC]
    assert sharding.describe().endswith(", deterministic")
