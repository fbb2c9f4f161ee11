"""Traces are read: which part of a call was at work when."""

import pytest
from test_hlo import TEXT

from launch import benchmark_trace

# The loop of TEXT is the search's: what XLA made in it has no scope of its own.
SCOPED = TEXT.replace(
    "ROOT %sum.1 = f32[]{:T(128)} add(%x, %y)",
    "ROOT %sum.1 = f32[]{:T(128)} add(%x, %y), "
    'metadata={op_name="jit(_advance)/while/body/learn/while/search/add"}',
)


def ran(name, start, end, module="jit__advance"):
    return benchmark_trace.Ran(module, name, start, end)


def test_an_instruction_is_of_its_outermost_part_or_of_that_around_it():
    parts = benchmark_trace.parts_of(SCOPED)
    assert parts["sum.1"] == "learn"
    assert "fused" not in parts
    (loop,) = [line for line in SCOPED.splitlines() if "body=%" in line]
    scope = ', metadata={op_name="jit(_advance)/while/body/search/while"}'
    parts = benchmark_trace.parts_of(SCOPED.replace(loop, loop + scope))
    assert parts["fused"] == parts["reduced"] == "search"  # two calls deep in the loop
    assert parts["sum.1"] == "learn"


def test_a_share_is_of_the_time_in_which_anything_of_a_part_ran():
    parts = {"jit__advance": {"a": "search", "b": "search", "c": "learn"}}
    operations = [
        ran("a", 0, 20),
        ran("b", 10, 30),  # side by side: 30 of search
        ran("c", 40, 90),
        ran("unknown", 90, 95),
        ran("c", 60, 70),  # inside of the other
        ran("a", 99, 100),
    ]
    found = benchmark_trace.shares(operations, parts)
    assert found == pytest.approx(
        {
            "place": 0,
            "search": 0.31,
            "learn": 0.5,
            "act": 0,
            "record": 0,
            "any": 0.86,
        }
    )


def test_programs_that_are_parts_need_no_text():
    operations = [
        ran("x", 0, 1, "jit_place"),
        ran("x", 1, 5, "jit__search"),
        ran("x", 5, 6, "jit__draw"),
        ran("x", 6, 9, "jit__learn"),
        ran("x", 9, 10, "jit_convert"),
    ]
    found = benchmark_trace.shares(operations, {})
    assert found is not None
    assert (found["place"], found["search"], found["learn"]) == (0.1, 0.4, 0.4)
    assert found["any"] == 1


def test_a_trace_that_names_no_operations_has_no_shares():
    assert benchmark_trace.shares([], {}) is None
