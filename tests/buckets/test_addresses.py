"""What is an address, and what only looks like one."""

import pathlib

import pytest

from scaling.buckets import addresses


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (pathlib.Path("gs://bucket/study"), "gs://bucket/study"),
        (pathlib.Path("s3://bucket/a/b/"), "s3://bucket/a/b"),
        (pathlib.Path("GS://bucket"), "gs://bucket"),
        ("gs://bucket/runs/x", "gs://bucket/runs/x"),
    ],
)
def test_addresses_are_known_although_pathlib_takes_a_slash(given, expected):
    assert addresses.address(given) == expected


@pytest.mark.parametrize(
    "given", ["results", "/mnt/gs/study", ".", "", "a/gs:/b", "C:/study", "study:2"]
)
def test_directories_are_none(given):
    assert addresses.address(pathlib.Path(given)) is None


@pytest.mark.parametrize("given", ["random", "jumanji:PacMan-v1", "gs:/bucket/x"])
def test_a_word_is_an_address_only_with_both_slashes(given):
    assert addresses.address(given) is None


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("file:///tmp/study", "mount it"),
        ("hdfs://host/study", "give the mount"),
        ("gs://", "give gs://BUCKET/FOLDER"),
    ],
)
def test_others_are_refused_with_what_to_do(given, named):
    for as_flag in (given, pathlib.Path(given)):
        with pytest.raises(ValueError, match=r"\.$") as refusal:
            addresses.address(as_flag)
        assert named in str(refusal.value)


def test_where_only_a_directory_will_do_an_address_is_refused():
    addresses.refuse(pathlib.Path("cloud"), "--out")
    with pytest.raises(ValueError, match="--out gs://b/x is an address"):
        addresses.refuse(pathlib.Path("gs://b/x"), "--out")
