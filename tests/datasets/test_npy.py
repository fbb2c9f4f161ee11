"""Gzipped .npy files: rows in order, and no more memory than the file can fill."""

import gzip
import io
import tracemalloc

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import recorded

from scaling.datasets import npy


@pytest.fixture
def rows():
    return np.arange(7 * 6, dtype=np.int32).reshape(7, 3, 2)


def test_rows_come_in_order(tmp_path, rows):
    recorded.save(tmp_path / "a.gz", rows)
    file = npy.GzippedRows(tmp_path / "a.gz")
    np.testing.assert_array_equal(file.read(2), rows[:2])
    file.skip(3, block=2)
    assert file.left == 2
    np.testing.assert_array_equal(file.read(2), rows[5:])
    file.close()


def test_every_cut_is_found(tmp_path, rows):
    recorded.save(tmp_path / "a.gz", rows)
    whole = (tmp_path / "a.gz").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "a.gz").write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"a.gz .*\.$"):
            npy.GzippedRows(tmp_path / "a.gz").read(7)


def test_every_flipped_byte_is_found_or_harmless(tmp_path, rows):
    recorded.save(tmp_path / "a.gz", rows)
    whole = (tmp_path / "a.gz").read_bytes()
    harmless = []
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 255
        (tmp_path / "a.gz").write_bytes(data)
        try:
            np.testing.assert_array_equal(
                npy.GzippedRows(tmp_path / "a.gz").read(7), rows
            )
            harmless.append(place)
        except ValueError:
            continue
    # Of gzip's own header: the time, the level and the system that packed it.
    assert set(harmless) <= {4, 5, 6, 7, 8, 9}


def npy_bytes(shape, data=b"", descr="<i4"):
    file = io.BytesIO()
    claim = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, claim)
    return file.getvalue() + data


def test_a_claim_that_no_file_of_that_size_fulfils_allocates_nothing(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(npy_bytes((10**15,))))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"cannot unpack to the 4,000,000,000,000,000"):
        npy.GzippedRows(tmp_path / "a.gz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_a_bomb_behind_a_small_claim_is_not_unpacked(tmp_path):
    bomb = npy_bytes((2,), bytes(8) + bytes(64 * 2**20))
    (tmp_path / "a.gz").write_bytes(gzip.compress(bomb, 1))
    tracemalloc.start()
    with pytest.raises(ValueError, match="unpacks to more than its header claims"):
        npy.GzippedRows(tmp_path / "a.gz").read(2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_pickles_are_refused_unread(tmp_path):
    recorded.save(tmp_path / "a.gz", np.array([{}, 1], object), allow_pickle=True)
    with pytest.raises(ValueError, match="no pickled objects"):
        npy.GzippedRows(tmp_path / "a.gz")
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"\x80\x04K\x07."))
    with pytest.raises(ValueError, match=r"is not a plain \.npy file"):
        npy.gzipped_integer(tmp_path / "b.gz")


def test_headers_of_version_2_which_may_be_long_are_refused(tmp_path):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.zeros(3, np.int32), version=(2, 0))
    (tmp_path / "a.gz").write_bytes(gzip.compress(file.getvalue()))
    with pytest.raises(ValueError, match=r"version \(2, 0\) is not 1.0"):
        npy.GzippedRows(tmp_path / "a.gz")


def test_one_integer(tmp_path):
    recorded.save(tmp_path / "a.gz", np.array(999_999))
    assert npy.gzipped_integer(tmp_path / "a.gz") == 999_999
    for wrong in (np.array(-1), np.array([1, 2]), np.array(1.5)):
        recorded.save(tmp_path / "a.gz", wrong)
        with pytest.raises(ValueError, match=r"a.gz .*(count|one integer)\.$"):
            npy.gzipped_integer(tmp_path / "a.gz")


@hypothesis.given(st.lists(st.integers(0, 10**12), min_size=1, max_size=9))
def test_headers_are_numpy_s_own_but_for_padding(shape):
    for name in ("|u1", "<f4", "<i4", "|b1"):
        wrote = npy.header_bytes(tuple(shape), np.dtype(name))
        assert len(wrote) % 64 == 0
        file = io.BytesIO(wrote)
        assert np.lib.format.read_magic(file) == (1, 0)
        read = np.lib.format.read_array_header_1_0(file)
        assert read == (tuple(shape), False, np.dtype(name))
        assert file.read() == b""
