"""Records survive exactly, and what strangers may put in them is refused."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from scaling.envs import records

FIELDS = {
    "clock": records.Field(np.int64, ()),
    "screen": records.Field(np.uint8, (2, 3)),
    "log": records.Field(np.uint8, (None,)),
}


def good():
    return {
        "clock": np.array(3),
        "screen": np.zeros((2, 3), np.uint8),
        "log": np.zeros(5, np.uint8),
    }


@hypothesis.given(st.integers(0, 2**64), st.integers(0, 5), st.integers(0, 3))
def test_a_generator_goes_on_where_it_was_packed(seed, doubles, halves):
    random = np.random.default_rng(seed)
    random.random(doubles)
    for _ in range(halves):  # an odd number leaves half a word over
        random.integers(2**32, dtype=np.uint32)
    again = records.unpack_generator(0, records.pack_generator(random))
    assert again.bit_generator.state == random.bit_generator.state
    wanted = random.integers(2**32, size=3, dtype=np.uint32), random.random(4)
    actual = again.integers(2**32, size=3, dtype=np.uint32), again.random(4)
    np.testing.assert_array_equal(wanted[0], actual[0])
    np.testing.assert_array_equal(wanted[1], actual[1])


@pytest.mark.parametrize(("word", "value"), [(2, 4), (4, 2), (5, 2**32)])
def test_a_state_that_no_generator_has_is_refused(word, value):
    words = records.pack_generator(np.random.default_rng(0))
    words[word] = value
    with pytest.raises(ValueError, match=r"row 7 .*PCG64 cannot have.*\.$"):
        records.unpack_generator(7, words)


def test_a_good_record_passes():
    records.check(0, good(), FIELDS)


@pytest.mark.parametrize(
    ("name", "array", "sentence"),
    [
        ("clock", np.array(3.0), "'clock' is float64 () and should be int64 ()"),
        ("clock", np.array([3]), "'clock' is int64 (1,) and should be int64 ()"),
        ("screen", np.zeros((2, 4), np.uint8), "should be uint8 (2, 3)"),
        ("screen", np.zeros((3, 2), np.uint8), "'screen' is uint8 (3, 2)"),
        ("screen", np.zeros(6, np.uint8), "'screen' is uint8 (6,)"),
        ("log", np.zeros((5, 1), np.uint8), "should be uint8 (None,)"),
        ("log", np.array(["a"], object), "'log' is object"),
        ("more", np.zeros(1), "it has 'more', which this environment never saves"),
    ],
)
def test_a_malformed_record_is_refused_by_name(name, array, sentence):
    with pytest.raises(ValueError, match="row 4 of this process") as refused:
        records.check(4, good() | {name: array}, FIELDS)
    assert sentence in str(refused.value)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize("name", FIELDS)
def test_a_missing_array_is_named(name):
    record = good()
    del record[name]
    with pytest.raises(ValueError, match=f"row 0 .* it has no array '{name}'"):
        records.check(0, record, FIELDS)


@hypothesis.given(
    st.sets(st.integers(0, 30), min_size=1),
    st.integers(0, 30),
    st.integers(1, 5),
)
def test_rows_are_found_by_their_numbers(numbers, first, size):
    saved = {}
    for number in numbers:
        records.put(saved, number, {"a": np.array(number), "b/c": np.zeros(number)})
    wanted = range(first, first + size)
    if not numbers.issuperset(wanted):
        missing = min(set(wanted) - numbers)
        with pytest.raises(ValueError, match=f"have no row {missing};"):
            records.take(saved, wanted)
        return
    found = records.take(saved, wanted)
    assert [int(record["a"]) for record in found] == list(wanted)
    assert [record["b/c"].size for record in found] == list(wanted)


@pytest.mark.parametrize(
    "array", [np.array([None]), np.array("text"), np.array(0, "M8[s]")]
)
def test_only_arrays_of_numbers_are_kept(array):
    with pytest.raises(ValueError, match=r"saved 'a' of row 2 .*docs/extending"):
        records.put({}, 2, {"a": array})
