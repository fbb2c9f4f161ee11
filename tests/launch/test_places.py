"""Addresses of buckets are refused where a directory is needed."""

import pathlib

import pytest

from launch import places


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("gs://bucket/study", "--out gs://bucket/study is"),
        ("gs://bucket", "--out gs://bucket is"),
        ("s3://bucket/a/b", "python launch/cloud.py --bucket s3://bucket/a/b"),
        ("GS://bucket/a", "cloud.py"),
        ("file:///tmp/study", "mount it"),
        ("hdfs://host/study", "give the mount"),
    ],
)
def test_an_address_is_refused_with_what_to_do(given, named):
    with pytest.raises(ValueError, match="renames and locks") as refusal:
        places.check(pathlib.Path(given), "--out")
    assert named in str(refusal.value)
    assert str(refusal.value).endswith(".")


@pytest.mark.parametrize(
    "given", ["results", "/mnt/gs/study", ".", "", "a/gs:/b", "C:/study", "study:2"]
)
def test_directories_are_let_through(given):
    places.check(pathlib.Path(given), "--out")
