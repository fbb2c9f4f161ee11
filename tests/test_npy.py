"""Packed .npy files: all there, and no more memory than the file can fill."""

import gzip
import io
import tracemalloc
import zipfile

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from scaling import npy


def save(path, array, **kwargs):
    packed = io.BytesIO()
    np.save(packed, array, **kwargs)
    path.write_bytes(gzip.compress(packed.getvalue(), 1))


@pytest.fixture
def rows():
    return np.arange(7 * 6, dtype=np.int32).reshape(7, 3, 2)


def test_rows_come_in_order(tmp_path, rows):
    save(tmp_path / "a.gz", rows)
    file = npy.GzippedRows(tmp_path / "a.gz")
    np.testing.assert_array_equal(file.read(2), rows[:2])
    file.skip(3, block=2)
    assert file.left == 2
    np.testing.assert_array_equal(file.read(2), rows[5:])
    file.close()


def test_every_cut_is_found(tmp_path, rows):
    save(tmp_path / "a.gz", rows)
    whole = (tmp_path / "a.gz").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "a.gz").write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"a.gz .*\.$"):
            npy.GzippedRows(tmp_path / "a.gz").read(7)


def test_every_flipped_byte_is_found_or_harmless(tmp_path, rows):
    save(tmp_path / "a.gz", rows)
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
    save(tmp_path / "a.gz", np.array([{}, 1], object), allow_pickle=True)
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
    save(tmp_path / "a.gz", np.array(999_999))
    assert npy.gzipped_integer(tmp_path / "a.gz") == 999_999
    for wrong in (np.array(-1), np.array([1, 2]), np.array(1.5)):
        save(tmp_path / "a.gz", wrong)
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


NUMBERS = {
    "row0/a": np.arange(6, dtype=np.int16).reshape(2, 3),
    "row0/b": np.array(2.5),
    "row1/a": np.zeros((0, 4), bool),
}


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_an_archive_gives_back_its_arrays(tmp_path, write):
    write(tmp_path / "a.npz", **NUMBERS)
    found = npy.arrays_of(tmp_path / "a.npz")
    assert list(found) == list(NUMBERS)
    for name, array in NUMBERS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
        found[name][...] = 0  # it is the caller's


def test_every_flipped_byte_of_an_archive_is_found_or_harmless(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", a=np.arange(50))
    content = (tmp_path / "a.npz").read_bytes()
    for at in range(len(content)):
        changed = bytearray(content)
        changed[at] ^= 0x55
        (tmp_path / "b.npz").write_bytes(bytes(changed))
        try:
            found = npy.arrays_of(tmp_path / "b.npz")
        except ValueError:
            continue
        for array in found.values():
            np.testing.assert_array_equal(array, np.arange(50))


def test_every_cut_of_an_archive_is_found(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", a=np.arange(50))
    content = (tmp_path / "a.npz").read_bytes()
    for size in range(len(content)):
        (tmp_path / "b.npz").write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"b\.npz"):
            npy.arrays_of(tmp_path / "b.npz")


def test_a_pickle_in_an_archive_is_never_loaded(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([{}, 1], object))
    with pytest.raises(ValueError, match="no pickled objects"):
        npy.arrays_of(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", b"\x80\x04K\x07.")
    with pytest.raises(ValueError, match=r"is not a plain \.npy file"):
        npy.arrays_of(tmp_path / "a.npz")


def test_a_claim_of_an_archive_that_is_not_true_allocates_nothing(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", npy_bytes((10**15,)))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"claims 4,000,000,000,000,000 bytes"):
        npy.arrays_of(tmp_path / "a.npz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20
