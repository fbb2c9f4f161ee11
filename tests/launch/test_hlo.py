"""Reading the text of compiled programs: instructions and loops."""

import pytest

from launch import hlo

# As XLA writes it in jaxlib 0.10: tables first, then computations. The collective is
# two calls deep in the search's loop, behind a branch and a fusion.
TEXT = """\
HloModule jit_step, is_scheduled=true, entry_computation_layout={(f32[4]{0})->f32[4]{0}}

FileNames
1 "/somewhere/site-packages/mctx/_src/search.py"
2 "/home/me/device_loop.py"

FunctionNames
1 "search"
2 "learn.<locals>.body"

FileLocations
1 {file_name_id=1 function_name_id=1 line=95 end_line=95 column=32 end_column=32}
2 {file_name_id=2 function_name_id=2 line=9 end_line=9 column=3 end_column=3}

StackFrames
1 {file_location_id=1 parent_frame_id=1}
2 {file_location_id=2 parent_frame_id=2}

%add (x: f32[], y: f32[]) -> f32[] {
  %x = f32[]{:T(128)} parameter(0)
  %y = f32[]{:T(128)} parameter(1)
  ROOT %sum.1 = f32[]{:T(128)} add(%x, %y)
}

%deep (p: f32[4]) -> f32[4] {
  %p = f32[4]{0:T(128)S(1)} parameter(0)
  ROOT %reduced = f32[4]{0} all-reduce(%p), replica_groups={{0,1}}, to_apply=%add
}

%branch_a (q: f32[4]) -> f32[4] {
  %q = f32[4]{0} parameter(0)
  ROOT %fused = f32[4]{0} fusion(%q), kind=kCustom, calls=%deep
}

%branch_b (r: f32[4]) -> f32[4] {
  ROOT %r = f32[4]{0} parameter(0)
}

%body.1 (carry: (s32[], f32[4])) -> (s32[], f32[4]) {
  %carry = (s32[]{:T(128)}, /*index=1*/f32[4]{0}) parameter(0)
  %i = s32[] get-tuple-element(%carry), index=0
  %v = f32[4]{0} get-tuple-element(%carry), index=1
  %w = f32[4]{0} conditional(%i, %v, %v), branch_computations={%branch_a, %branch_b}
  ROOT %next = (s32[], f32[4]{0}) tuple(%i, %w)
}

%condition.1 (carry.2: (s32[], f32[4])) -> pred[] {
  %carry.2 = (s32[], f32[4]{0}) parameter(0)
  ROOT %go = pred[] constant(true), metadata={op_name="a) calls=%deep while("}
}

ENTRY %main (a: f32[4]) -> f32[4] {
  %a = f32[4]{0} parameter(0)
  %start = (s32[], f32[4]{0}) tuple(%zero, %a)
  %while.3 = (s32[], f32[4]{0}) while(%start), condition=%condition.1, body=%body.1, \
metadata={op_name="jit(step)/while" stack_frame_id=1}, backend_config={"n":"5"}
  ROOT %out = f32[4]{0} get-tuple-element(%while.3), index=1
}
"""
SEARCH = hlo.Loop("while.3", "/somewhere/site-packages/mctx/_src/search.py", "search")


def opcodes(program, computation):
    return [
        found.opcode for name, found in program.instructions() if name == computation
    ]


def test_instructions_have_type_opcode_and_what_they_call():
    program = hlo.Program(TEXT)
    found = {each.name: each for _, each in program.instructions()}
    assert found["while.3"].type == "(s32[], f32[4]{0})"
    assert found["while.3"].called == ("condition.1", "body.1")
    assert found["w"].called == ("branch_a", "branch_b")
    assert found["carry"].opcode == "parameter"
    assert found["p"].type == "f32[4]{0:T(128)S(1)}"
    assert opcodes(program, "main") == [
        "parameter",
        "tuple",
        "while",
        "get-tuple-element",
    ]


def test_what_is_quoted_calls_nothing():
    program = hlo.Program(TEXT)
    found = {each.name: each for _, each in program.instructions()}
    assert found["go"].called == ()


def test_a_loop_reaches_through_branches_and_fusions():
    program = hlo.Program(TEXT)
    assert program.loops == (SEARCH,)
    for inside in ("deep", "branch_a", "branch_b", "body.1", "condition.1", "add"):
        assert program.loops_around(inside) == (SEARCH,)
    assert program.loops_around("main") == ()


NESTED = """\
%inner_body (a: s32[]) -> s32[] {
  ROOT %a = s32[] parameter(0)
}

%outer_body (b: s32[]) -> s32[] {
  %b = s32[] parameter(0)
  ROOT %inner = s32[] while(%b), condition=%yes, body=%inner_body
}

%yes (c: s32[]) -> pred[] {
  %c = s32[] parameter(0)
  ROOT %true = pred[] constant(true)
}

ENTRY %main (d: s32[]) -> s32[] {
  %d = s32[] parameter(0)
  ROOT %outer = s32[] while(%d), condition=%yes, body=%outer_body
}
"""


def test_the_innermost_loop_comes_first():
    program = hlo.Program(NESTED)
    names = [loop.name for loop in program.loops_around("inner_body")]
    assert names == ["inner", "outer"]
    assert [loop.name for loop in program.loops_around("outer_body")] == ["outer"]


def test_names_need_no_percent_sign():
    assert [each.name for each in hlo.Program(NESTED.replace("%", "")).loops] == [
        "inner",
        "outer",
    ]


def test_without_tables_the_instruction_may_name_its_source():
    line = "body=%outer_body"
    text = NESTED.replace(line, f'{line}, metadata={{source_file="/x/mctx/a.py"}}')
    files = {loop.name: loop.file for loop in hlo.Program(text).loops}
    assert files == {"inner": "", "outer": "/x/mctx/a.py"}


@pytest.mark.parametrize("text", ["", "HloModule empty", "module @jit_f {\n}\n"])
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match="lists computations"):
        hlo.Program(text)
