"""Sizes of a run's stores; tests/test_run.py holds them against the arrays."""

import pytest

from scaling import accounting, config, layout, presets
from scaling.envs import registry


@pytest.mark.parametrize("fraction", [0.0, 0.95])
@pytest.mark.parametrize("name", ["paper", "atari-small"])
def test_an_atari_step_is_one_frame_and_its_searches(name, fraction):
    settings = presets.preset(name).settings
    cell = config.Cell(frames=2_000_000, fraction=fraction, seed=0)
    per_step = registry.frames_per_step(settings.env, settings.protocol)
    account = accounting.account_for(settings, cell, per_step)
    found = layout.layout_for(settings, account)
    sizes = registry.sizes(settings.env, settings.protocol)
    assert sizes is not None
    frame, actions = sizes
    steps = found.shards * found.columns * found.step_capacity
    searches = found.shards * found.lanes * found.window_capacity
    size = layout.store_bytes(found, frame, actions)
    # A step that is searched once takes 129 bytes beside its frame.
    assert size - steps * frame <= 21 * steps + 108 * searches
