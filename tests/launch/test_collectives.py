"""Where devices meet in compiled programs."""

import itertools
import json
import math
import os
import pathlib
import subprocess
import sys

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from test_hlo import SEARCH, TEXT

from launch import collectives, hlo

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]


def found_in(line):
    text = f"ENTRY %main (a: f32[4]) -> f32[4] {{\n  {line}\n}}\n"
    return collectives.find(hlo.Program(text))


def test_a_collective_deep_in_the_search_is_seen_there():
    (meeting,) = collectives.find(hlo.Program(TEXT))
    assert meeting == collectives.Collective("all-reduce", 16, (0, 1), (SEARCH,))


@pytest.mark.parametrize(
    ("line", "kind", "size", "group"),
    [
        (
            "%r = (f32[2,3]{1,0}, bf16[5]{0}) all-reduce(%a, %b), "
            "replica_groups={{0,2},{1,3}}, to_apply=%add",
            "all-reduce",
            34,
            (0, 2),
        ),
        (
            "%r = f32[8]{0} all-reduce-start(%a), replica_groups=[2,4]<=[8]",
            "all-reduce",
            32,
            (0, 1, 2, 3),
        ),
        (
            "%r = ((f32[4]{0}, s8[2]{0}), (f32[8]{0}, s8[4]{0})) "
            "all-gather-start(%a, %b), replica_groups=[4,2]<=[2,4]T(1,0)",
            "all-gather",
            36,
            (0, 4),
        ),
        (
            "%r = (f32[4]{0}, f32[4]{0}, u32[], u32[]) collective-permute-start(%a), "
            "source_target_pairs={{0,1},{1,0}}",
            "collective-permute",
            16,
            (0, 1),
        ),
        (
            "%r = f8e4m3fn[4]{0:T(128)S(1)} reduce-scatter(%a), replica_groups={{1,0}}",
            "reduce-scatter",
            4,
            (1, 0),
        ),
        (
            "%r = f32[2]{0} all-gather(%a), replica_groups=mesh['a'=2,'b'=4], "
            "device_ids=([4,2]T(1,0)) {'a'}, dimensions={0}",
            "all-gather",
            8,
            (0, 1),
        ),
        (
            "%r = f32[2]{0} all-reduce(%a), replica_groups=mesh['a'=2,'b'=4] {'b'}",
            "all-reduce",
            8,
            (0, 1, 2, 3),
        ),
        (
            "%r = f32[2]{0} all-reduce(%a), replica_groups=mesh['a'=2,'b'=4] {'a','b'}",
            "all-reduce",
            8,
            (0, 1, 2, 3, 4, 5, 6, 7),
        ),
        (
            "%r = f32[2]{0} all-reduce(%a), replica_groups=mesh['a'=8] {'a':(1)4}",
            "all-reduce",
            8,
            None,
        ),
        (
            "%r = pred[3]{0} all-to-all(%a), replica_groups=someday",
            "all-to-all",
            3,
            None,
        ),
    ],
)
def test_kind_bytes_and_devices(line, kind, size, group):
    (meeting,) = found_in(line)
    assert meeting == collectives.Collective(kind, size, group, ())


@pytest.mark.parametrize(
    "line",
    [
        "%r = f32[8]{0} all-reduce-done(%a)",
        "%r = f32[8]{0} all-reduce(%a), replica_groups={{0},{1}}",
        "%r = f32[8]{0} add(%all-reduce, %b)",
        "%r = (f32[8]{0}, u32[]) send(%a), is_host_transfer=true",
        '%r = f32[8]{0} copy(%a), metadata={op_name="all-reduce("}',
    ],
)
def test_what_is_no_meeting(line):
    assert found_in(line) == []


@hypothesis.given(
    sides=st.lists(st.integers(1, 4), min_size=1, max_size=4), data=st.data()
)
def test_ranges_of_devices_are_those_of_numpy(sides, data):
    order = data.draw(st.permutations(range(len(sides))))
    total = math.prod(sides)
    size = data.draw(
        st.sampled_from([n for n in range(1, total + 1) if total % n == 0])
    )
    text = ",".join(map(str, sides))
    turned = ",".join(map(str, order))
    line = (
        f"%r = f32[8]{{0}} all-reduce(%a), "
        f"replica_groups=[{total // size},{size}]<=[{text}]T({turned})"
    )
    groups = np.arange(total).reshape(sides).transpose(order).reshape(-1, size)
    found = found_in(line)
    if size == 1:
        assert found == []
    else:
        assert found[0].group == tuple(groups[0].tolist())


def facts(*parts):
    environment = {
        **os.environ,
        "JAX_NUM_CPU_DEVICES": "8",
        "JAX_PLATFORMS": "cpu",
        # What is read here is decided before machine code is made.
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
        "PYTHONPATH": f"{ROOT}",
    }
    done = subprocess.run(
        [sys.executable, str(HERE / "mesh_facts.py"), *parts],
        capture_output=True,
        text=True,
        env=environment,
        timeout=1500,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def of_eight():
    return facts("eight", "bad")


@pytest.fixture(scope="module")
def of_all():
    return facts("weak", "host")


def in_updates(program):
    return [each for each in program["meetings"] if "learn" in each["loops"]]


def check_iteration(program, devices):
    """Checks the promise: one fused all-reduce an update, scalars else."""
    assert program["search"]
    assert not any(each["in_search"] for each in program["meetings"])
    assert {each["kind"] for each in program["meetings"]} == {"all-reduce"}
    assert {each["devices"] for each in program["meetings"]} == {devices}
    (fused,) = in_updates(program)
    # The gradient, four losses and the mean value target, all in float32.
    assert fused["bytes"] == program["parameters"] + 5 * 4
    others = [each for each in program["meetings"] if each is not fused]
    # Once a call how many entries may be drawn (only with priorities).
    assert [(each["loops"], each["bytes"]) for each in others] == [(["_advance"], 4)]


@pytest.mark.slow
def test_eight_devices_meet_once_an_update_and_never_in_a_search(of_eight):
    check_iteration(of_eight["eight"]["advance"], 8)
    # For a line of the log: numbers of episodes that ended and of searches that were
    # compared; sums of returns, and of how far policies and values had drifted.
    log = of_eight["eight"]["read_log"]["meetings"]
    found = [(each["kind"], each["bytes"]) for each in log]
    assert found == [("all-reduce", 2 * 4), ("all-reduce", 3 * 4)]


@pytest.mark.slow
def test_a_meeting_in_the_search_is_found(of_eight):
    assert of_eight["bad"]["search"]
    (meeting,) = of_eight["bad"]["meetings"]
    assert meeting["in_search"]
    assert meeting["kind"] == "all-reduce"


@pytest.mark.slow
def test_meetings_are_the_same_on_any_number_of_devices(of_all):
    assert of_all["weak"]["1"]["advance"]["meetings"] == []
    for devices in (2, 4, 8):
        check_iteration(of_all["weak"][str(devices)]["advance"], devices)


@pytest.mark.slow
def test_with_constant_work_a_device_has_constant_operations_and_bytes(of_all):
    """Weak scaling, read from the compiler; bodies of loops are counted once."""
    found = {int(n): each["advance"] for n, each in of_all["weak"].items()}
    alone, weights = found[1], found[1]["parameters"] // 4
    for each in found.values():
        for what in ("arguments", "outputs", "aliased", "parameters"):
            assert each[what] == alone[what]
        # One all-reduce adds its buffer, a sum and a division for each number, and
        # less than as much again to prepare it;
        assert 0 <= each["temporaries"] - alone["temporaries"] <= each["parameters"]
        more = each["flops"] - alone["flops"]
        assert 0 <= more <= 3 * (weights + 5)
    # beyond two devices, a device only splits one key for each further shard.
    for fewer, devices in itertools.pairwise((2, 4, 8)):
        more = found[devices]["flops"] - found[fewer]["flops"]
        assert 0 <= more <= 100 * (devices - fewer)
        assert found[devices]["total"] - found[fewer]["total"] <= 256


@pytest.mark.slow
def test_the_programs_of_host_environments_meet_as_rarely(of_all):
    host = of_all["host"]
    sizes = {
        name: [m["bytes"] for m in each["meetings"]] for name, each in host.items()
    }
    gradient = host["learn"]["parameters"] + 5 * 4
    expected = {"place": [4], "search": [], "draw": [], "learn": [gradient]}
    assert sizes == {**expected, "record": [], "read_log": [2 * 4, 3 * 4]}
    assert host["search"]["search"]
