"""Damaged stores are refused in a sentence that names file and episodes."""

import io
import json
import pathlib
import shutil

import numpy as np
import pytest
import recorded

from scaling.datasets import episodes, manifest_file


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    rng = np.random.default_rng(0)
    played = [recorded.episode(rng, 4) for _ in range(12)]  # 30 bytes, 3 to a chunk
    return recorded.store(tmp_path_factory.mktemp("whole") / "store", played)


@pytest.fixture
def store(whole, tmp_path):
    shutil.copytree(whole.path, tmp_path / "store")
    return episodes.open_store(tmp_path / "store")


def change_manifest(store, change):
    path = store.path / manifest_file.NAME
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_cut_chunk_is_found_at_once(store):
    path = store.path / "observations-00001.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"s-00001.npy has .* episodes 3 to 5 are dam"):
        episodes.open_store(store.path)


def test_a_missing_chunk_is_found_at_once(store):
    (store.path / "rewards-00002.npy").unlink()
    with pytest.raises(ValueError, match=r"rewards-00002.npy has 0 bytes .* 6 to 8"):
        episodes.open_store(store.path)


@pytest.mark.parametrize("field", ["observations", "actions", "rewards"])
def test_a_flipped_bit_is_found_by_verifying(store, field):
    path = store.path / f"{field}-00003.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    episodes.open_store(store.path)
    with pytest.raises(ValueError, match=rf"{field}-00003.npy does not .* 9 to 11 are"):
        episodes.verify(store.path)


def test_a_whole_store_verifies_and_reports(store):
    shares: list[float] = []
    episodes.verify(store.path, shares.append)
    assert shares == [0.25, 0.5, 0.75, 1.0]


def rewrite_header(path, shape, descr="|u1"):
    """Gives a chunk's file another header of the same length."""
    header = io.BytesIO()
    claim = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, claim)
    data = path.read_bytes()
    path.write_bytes(header.getvalue() + data[len(header.getvalue()) :])


@pytest.mark.parametrize("shape", [(10**15, 3, 2), (2**62, 2**62, 2**62), (1,), ()])
def test_a_header_that_claims_another_size_is_not_believed(store, shape):
    rewrite_header(store.path / "observations-00000.npy", shape)
    opened = episodes.open_store(store.path)
    with pytest.raises(ValueError, match=r"observations-00000.npy (has|holds) .*\.$"):
        opened[0]


def test_a_header_of_another_type_is_not_believed(store):
    rewrite_header(store.path / "observations-00000.npy", (15, 3, 2), "|i1")
    with pytest.raises(
        ValueError, match=r"rows of int8 .* but the manifest says uint8"
    ):
        episodes.open_store(store.path)[0]


@pytest.mark.parametrize("junk", [b"", b"{", b"{'descr': (", b"[" * 90, b"\0" * 128])
def test_a_header_that_is_none_is_a_sentence(store, junk):
    path = store.path / "actions-00001.npy"
    data = path.read_bytes()
    path.write_bytes(data[:10] + junk.ljust(118, b" ")[:118] + data[128:])
    with pytest.raises(ValueError, match=r"actions-00001.npy is not a plain .npy"):
        episodes.open_store(store.path)[3]


def test_a_pickle_in_a_chunk_is_never_loaded(store, tmp_path):
    """Not even one that came after the sizes were compared."""
    opened = episodes.open_store(store.path)
    path = store.path / "actions-00000.npy"
    np.save(path, np.array([Evil(tmp_path / "ran")] * 3, object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"actions-00000.npy .* no pickled objects"):
        opened[0]
    assert not (tmp_path / "ran").exists()
    np.load(path, allow_pickle=True)
    assert (tmp_path / "ran").exists(), "the pickle was harmless, so this shows nothing"


def resize(content, name, size):
    (entry,) = (c[name] for c in content["chunks"] if name in c)
    entry["bytes"] = size


class Evil:
    """Would make a file if it were unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (pathlib.Path.touch, (self.path,))


CHANGES = {
    "format": lambda c: c.update(format="other"),
    "version": lambda c: c.update(version=2),
    "outside": lambda c: c["chunks"].__setitem__(
        0, {f"../{name}": file for name, file in c["chunks"][0].items()}
    ),
    "absolute": lambda c: c["chunks"].__setitem__(
        0, {f"/etc/{name}": file for name, file in c["chunks"][0].items()}
    ),
    "object type": lambda c: c["observation"].update(dtype="|O"),
    "text type": lambda c: c["observation"].update(dtype="<U9"),
    "other row": lambda c: c["episodes"]["observation_row"].__setitem__(4, 0),
    "negative row": lambda c: c["episodes"]["step_row"].__setitem__(0, -1),
    "a row less": lambda c: resize(c, "actions-00003.npy", 128 + 4 * 11),
    "longer": lambda c: c["episodes"]["length"].__setitem__(11, 10**9),
    "huge": lambda c: c["episodes"]["length"].__setitem__(11, 2**80),
    "no step": lambda c: c["episodes"]["length"].__setitem__(3, 0),
    "missing column": lambda c: c["episodes"].pop("returns"),
    "short column": lambda c: c["episodes"]["returns"].pop(),
    "text column": lambda c: c["episodes"].update(length=["4"] * 12),
    "no episodes": lambda c: [column.clear() for column in c["episodes"].values()],
    "chunks back": lambda c: c["episodes"]["chunk"].reverse(),
    "one chunk more": lambda c: c["chunks"].append(c["chunks"][0]),
    "nan": lambda c: c["episodes"]["returns"].__setitem__(0, float("nan")),
    "protocol": lambda c: c["protocol"].update(frame_skip="4"),
    "other protocol": lambda c: c["protocol"].update(unheard_of=1),
    "no frames": lambda c: c["protocol"].update(frame_skip=0),
    "not a size": lambda c: resize(c, "rewards-00000.npy", True),
    "negative size": lambda c: resize(c, "rewards-00000.npy", -5),
    "no protocol": lambda c: c.pop("protocol"),
    "a list": lambda c: c.update(episodes=[]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_manifest_that_is_not_true_is_refused(store, change):
    change_manifest(store, change)
    with pytest.raises(ValueError, match=r"manifest.json is damaged .* again\.$"):
        episodes.open_store(store.path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\xff", '{"format": 1}'])
def test_a_manifest_that_is_none_is_refused(store, text):
    (store.path / manifest_file.NAME).write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"manifest.json is damaged"):
        episodes.open_store(store.path)


def test_a_return_that_is_not_the_sum_is_found_by_verifying(store):
    change_manifest(store, lambda c: c["episodes"]["returns"].__setitem__(7, 1e9))
    with pytest.raises(ValueError, match=r"store, episode 7, has the return"):
        episodes.verify(store.path)


def test_a_folder_without_manifest_is_no_store(tmp_path):
    with pytest.raises(ValueError, match="is not a store of episodes"):
        episodes.open_store(tmp_path)
