"""Flags of commands: what is an address becomes a directory of this machine."""

import dataclasses
import importlib
import pathlib
import sys

import pytest

from launch import running, sweep
from scaling.buckets import flags
from scaling.buckets.bucket import Bucket


@dataclasses.dataclass(frozen=True)
class Data:
    dataset: pathlib.Path | None = None


@dataclasses.dataclass(frozen=True)
class Given:
    out: pathlib.Path = pathlib.Path("results")
    policy: str = "random"
    table: tuple[pathlib.Path, ...] = ()
    data: Data = Data()
    number: int = 3


def test_flags_without_addresses_are_as_they_were():
    given = Given(pathlib.Path("a"), "gs:/b", (pathlib.Path("c"),), Data())
    with flags.here(given, keeps=("out",)) as local:
        assert local is given


def test_every_kind_of_field_is_found(store):
    store.objects.update(
        {
            "bucket/runs/x/config.json": b"{}",
            "bucket/table.csv": b"a",
            "bucket/data/manifest.json": b"m",
        }
    )
    given = Given(
        pathlib.Path("gs://bucket/study"),
        "gs://bucket/runs/x",
        (pathlib.Path("gs://bucket/table.csv"), pathlib.Path("own.csv")),
        Data(pathlib.Path("gs://bucket/data")),
    )
    with flags.here(given, keeps=("out",)) as local:
        assert pathlib.Path(local.policy, "config.json").read_text() == "{}"
        assert local.table[0].read_text() == "a"
        assert local.table[1] == pathlib.Path("own.csv")
        assert local.data.dataset is not None
        assert (local.data.dataset / "manifest.json").read_text() == "m"
        assert (local.number, type(local.policy)) == (3, str)
        local.out.mkdir()
        (local.out / "a").write_text("1")
    assert store.kept() == {"a": "1"}


def test_an_output_that_is_only_looked_at_has_no_owner(store):
    with flags.here(Given(pathlib.Path("gs://bucket/study"))) as local:
        assert not local.out.exists()
    assert store.objects == {}


def test_without_its_client_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    known = importlib.import_module("fsspec.registry")._registry
    monkeypatch.delitem(known, "s3", raising=False)
    with pytest.raises(ValueError, match=r"needs the extra `s3`.*'\.\[s3\]'\.$"):
        Bucket("s3://bucket/study")


def test_several_machines_need_a_directory_that_they_share(store, tmp_path):
    words = ["--preset", "demo", "--out", "gs://bucket/study"]
    with pytest.raises(ValueError, match=r"for several give a directory.*NFS"):
        sweep.sweep([*words, "--coordinator=h:1", "--process-id=0"])
    with pytest.raises(ValueError, match="--copy-seconds is a number of seconds"):
        sweep.sweep([*words, "--copy-seconds", "0"])
    assert store.objects == {}


def test_a_sweep_in_a_bucket_is_one_in_a_directory(store, monkeypatch):
    """The runs themselves are made in the slow tests."""
    seen = []

    def carry_out(asked, *_):
        seen.append(asked.out)
        asked.out.mkdir(parents=True)
        (asked.out / "study.json").write_text("{}")
        return 7

    monkeypatch.setattr(running, "carry_out", carry_out)
    words = ["--preset", "demo", "--out", "gs://bucket/study"]
    assert sweep.sweep(words) == 7
    assert store.kept() == {"study.json": "{}"}
    assert seen[0].is_absolute()


def test_a_plan_for_a_bucket_looks_at_a_copy_of_its_own(store, monkeypatch):
    seen = []
    monkeypatch.setattr(running, "carry_out", lambda a, *_: seen.append(a.out) or 0)
    store.objects["bucket/study/study.json"] = b"{}"
    sweep.sweep(["--preset", "demo", "--out", "gs://bucket/study", "--dry-run"])
    assert seen[0].parts[-3] == "visited"
    assert (seen[0] / "study.json").exists()
    assert list(store.objects) == ["bucket/study/study.json"]  # and no owner
