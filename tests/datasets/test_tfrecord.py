"""TFRecords and tf.Examples against files written from their description."""

import contextlib
import gzip
import struct
import tracemalloc

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import recorded

from scaling.datasets import tfrecord


def payloads(path):
    return [bytes(record.payload) for record in tfrecord.records(path)]


@pytest.mark.parametrize("packed", [True, False])
def test_records_come_in_order(tmp_path, packed):
    wrote = [b"", b"one", bytes(5000)]
    path = recorded.rlu_shard(tmp_path / "a", wrote, packed)
    assert payloads(path) == wrote
    shares = [record.share for record in tfrecord.records(path)]
    assert shares == sorted(shares)
    assert shares[-1] <= 1


def test_every_cut_and_every_flipped_byte_is_found(tmp_path):
    path = recorded.rlu_shard(tmp_path / "a", [b"first", b"second"], packed=False)
    whole = path.read_bytes()
    between = len(recorded.tfrecord(b"first"))
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        if length == between:
            assert payloads(path) == [b"first"]
            continue
        with pytest.raises(ValueError, match=rf"^a, episode {int(length > between)},"):
            payloads(path)
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 16
        path.write_bytes(data)
        with pytest.raises(ValueError, match=rf"^a, episode {int(place >= between)},"):
            payloads(path)


def test_a_cut_gzip_is_found(tmp_path):
    path = recorded.rlu_shard(tmp_path / "a", [bytes(range(256)) * 9])
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"a is not a whole gzip file"):
        payloads(path)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("length", [2**62, 2**40, 2**29])
def test_a_length_that_no_episode_has_allocates_nothing(tmp_path, length, packed):
    head = struct.pack("<Q", length)
    data = head + struct.pack("<I", recorded.masked(head)) + b"payload"
    (tmp_path / "a").write_bytes(gzip.compress(data) if packed else data)
    tracemalloc.start()
    with pytest.raises(ValueError, match=rf"claims {length:,} bytes"):
        payloads(tmp_path / "a")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


INTS = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=9)


@hypothesis.given(ints=INTS, strings=st.lists(st.binary(max_size=300), max_size=5))
def test_any_values_come_back(ints, strings):
    floats = np.array([0.5, -np.inf, 3e38], np.float32)
    payload = recorded.example(
        {
            "ints": recorded.ints_feature(ints),
            "strings": recorded.bytes_feature(strings),
            "floats": recorded.floats_feature(floats),
            "": b"",
        }
    )
    found = tfrecord.features(memoryview(payload))
    assert np.asarray(found["ints"]).tolist() == ints
    assert np.asarray(found["ints"]).dtype == np.int64
    assert [bytes(each) for each in found["strings"]] == strings
    np.testing.assert_array_equal(found["floats"], floats)
    assert len(found[""]) == 0


def test_numbers_that_are_not_packed_are_read_too():
    ints = b"".join(recorded.varint(1 << 3) + recorded.varint(v) for v in (1, 300))
    floats = b"".join(
        recorded.varint(1 << 3 | 5) + struct.pack("<f", v) for v in (1, 2.5)
    )
    payload = recorded.example(
        {"i": recorded.delimited(3, ints), "f": recorded.delimited(2, floats)}
    )
    found = tfrecord.features(memoryview(payload))
    assert np.asarray(found["i"]).tolist() == [1, 300]
    assert np.asarray(found["f"]).tolist() == [1, 2.5]


@hypothesis.given(st.binary(max_size=60))
def test_junk_is_refused_or_read_but_never_anything_else(junk):
    with contextlib.suppress(ValueError):
        tfrecord.features(memoryview(junk))


@hypothesis.given(st.integers(0, 200), st.integers(1, 255))
def test_a_flipped_byte_never_does_more_than_a_value_error(place, flip):
    features = recorded.rlu_features(np.zeros((3, 84, 84), np.uint8), [1, 2], [0, 1])
    payload = bytearray(recorded.example(features))
    payload[place] ^= flip
    with contextlib.suppress(ValueError):
        tfrecord.features(memoryview(payload))
