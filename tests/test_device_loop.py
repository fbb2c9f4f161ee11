"""What the compiled loop of device environments must not do."""

import dataclasses
import re
from typing import Any

import pytest
import test_run

from scaling import accounting, hardware, loops, sharding, training


@pytest.mark.parametrize(
    "sources",
    ["recent:1", pytest.param("recent:0.5,best:0.5", marks=pytest.mark.slow)],
)
def test_no_store_is_copied_in_a_call(sources, tmp_path):
    """Else a call would take time in proportion to all that is stored."""
    settings = dataclasses.replace(test_run.SETTINGS, sources=sources)
    cell = test_run.cell()
    account = accounting.account_for(settings, cell, 1)
    mesh = sharding.make_mesh(hardware.ALL_DEVICES, account.shards)
    loop = loops.make(settings, 0, account, mesh, tmp_path)
    shard = loop.state.shard
    rings = [*shard.steps[:-1], *shard.window.entries, loop.state.frames]
    rings.append(shard.window.drift.newest)
    if shard.archives.best:
        rings += [*shard.archives.best.steps[:-1], loop.state.archived.best]
    schedule = training.padded(account.schedule(0, 8))
    advance: Any = loop.advance
    program = advance.lower(loop.state, schedule, 8, account.updates)
    text = program.compile().as_text()
    copied = {
        tuple(map(int, shape.split(",")))
        for shape in re.findall(r"= \w+\[([\d,]+)\]\S* copy\(", text)
    }
    assert copied  # of smaller things there are some
    assert not copied & {ring.shape for ring in rings}
