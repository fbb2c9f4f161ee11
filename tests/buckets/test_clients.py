"""The clients of Amazon's and Google's stores, against servers on this machine."""

import os
import uuid

import fsspec
import pytest
import servers

from scaling import lease
from scaling.buckets import keeping
from scaling.buckets.bucket import Bucket, Owners

pytestmark = [
    pytest.mark.slow,
    # how gcsfs hands over what it sends
    pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning"),
]
SERVERS = {"s3": servers.amazon, "gs": servers.google}


@pytest.fixture(params=["s3", "gs"])
def address(request, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "first"))
    with SERVERS[request.param]() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        # A client of another test would look for that test's server.
        fsspec.get_filesystem_class(request.param).clear_instance_cache()
        yield f"{request.param}://bucket/{uuid.uuid4().hex}/study"


def test_objects_are_what_was_written(address, tmp_path):
    bucket, file = Bucket(address), tmp_path / "file"
    assert bucket.objects() == {}
    content = os.urandom(11_000_000)  # more than goes in one piece
    file.write_bytes(content)
    bucket.put("runs/x/big", file)
    file.write_bytes(b"")
    bucket.put("empty file", file)
    bucket.write("b+c/d%20=é.json", b"{}")
    found = bucket.objects()
    assert {name: each.size for name, each in found.items()} == {
        "runs/x/big": 11_000_000,
        "empty file": 0,
        "b+c/d%20=é.json": 2,
    }
    bucket.get("runs/x/big", tmp_path / "there/big")
    assert (tmp_path / "there/big").read_bytes() == content
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["big"]
    bucket.write("b+c/d%20=é.json", b"[]")
    changed = bucket.objects()
    assert [n for n in found if found[n] != changed[n]] == ["b+c/d%20=é.json"]
    bucket.remove(["runs/x/big", "empty file"])
    assert list(bucket.objects()) == ["b+c/d%20=é.json"]
    (one,) = Bucket(f"{address}/b+c/d%20=é.json").objects().values()
    assert one.size == 2
    with pytest.raises(FileNotFoundError):
        bucket.read("runs/x/big")
    with pytest.raises(OSError, match=r"."):
        Bucket(f"{address[:5]}another/x").objects()


def test_one_of_several_makes_an_entry(address):
    bucket = Bucket(address)
    assert bucket.create("x", b"1")
    assert not bucket.create("x", b"2")
    assert bucket.read("x") == b"1"
    first = lease.take(Owners(bucket), None, lambda: None)
    with pytest.raises(lease.TakenError):
        lease.take(Owners(bucket), None, lambda: None)
    first.release()
    with lease.take(Owners(bucket), None, lambda: None):
        assert Owners(bucket).numbers() == [2]
    assert list(bucket.objects()) == ["x"]


def test_a_directory_goes_there_and_comes_back(address, monkeypatch, tmp_path):
    with keeping.kept(address) as directory:
        for number in range(40):
            path = directory / f"runs/{number}/result.json"
            path.parent.mkdir(parents=True)
            path.write_text(str(number))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "second"))
    with keeping.kept(address) as directory:
        for number in range(40):
            path = directory / f"runs/{number}/result.json"
            assert path.read_text() == str(number)
        (directory / "runs/7/result.json").unlink()
    with keeping.visited(address) as visit:
        assert len(list(visit.directory.rglob("result.json"))) == 39
