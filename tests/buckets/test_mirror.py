"""The copy in a bucket: only what differs, in an order that may end at any moment."""

import json
import os
import re
import shutil

import pytest

from scaling.buckets.bucket import Bucket
from scaling.buckets.mirror import STATES, Mirror

pytestmark = pytest.mark.usefixtures("store")
ADDRESS = "gs://bucket/study"


def mirror(kind="kept", without=None, address=ADDRESS):
    return Mirror(Bucket(address), kind, without)


def write(root, **texts):
    """Writes files; a name's __ are slashes, its last _ is the dot."""
    for name, text in texts.items():
        stem, _, suffix = name.replace("__", "/").rpartition("_")
        path = root / (f"{stem}.{suffix}" if stem else suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_another_machine_has_the_same(store, machine):
    first = mirror()
    write(first.directory, a_txt="1", runs__x__b_txt="22")
    assert first.push() == 3
    machine("second")
    second = mirror()
    assert second.pull() == 3
    assert (second.directory / "runs/x/b.txt").read_text() == "22"
    write(second.directory, a_txt="later")
    (second.directory / "runs/x/b.txt").unlink()
    assert second.push() == 5
    assert store.kept() == {"a.txt": "later"}
    machine("first")
    again = mirror()
    assert again.pull() == 5
    assert not (again.directory / "runs").exists()


def test_only_what_differs_is_copied(store):
    first = mirror()
    write(first.directory, a_txt="1", b_txt="2", c_txt="3")
    first.push()
    store.done.clear()
    write(first.directory, b_txt="changed")
    os.utime(first.directory / "c.txt", ns=(1, 1))  # written again with the same text
    assert first.push() == 8
    assert store.done == [("put", "b.txt"), ("put", "c.txt")]
    later = mirror()  # the next process
    store.done.clear()
    assert later.push() == 0
    assert store.done == []


def test_a_copy_that_is_taken_again_fetches_only_what_changed(store):
    source, reader = mirror(), mirror("visited")
    write(source.directory, a_txt="1", b_txt="2")
    source.push()
    assert reader.pull() == 2
    assert reader.pull() == 0
    write(source.directory, b_txt="20")
    source.push()
    assert reader.pull() == 2
    write(reader.directory, a_txt="not what is there")
    assert reader.pull() == 1
    assert (reader.directory / "a.txt").read_text() == "1"


def test_what_is_of_one_machine_stays_there(store):
    own = (
        "runs/x/lease/00000001",
        "runs/x/checkpoints/.00000004.unfinished/manifest.json",
        "runs/x/frames/frames-000.npy",
        "runs/x/frames/best/frames-001.npy",
        f".study.json.{'0a' * 16}",
        ".results.lock",
    )
    taken = ("runs/x/release/a", "runs/x/checkpoints/00000004/manifest.json", "f.npy")
    first = mirror()
    for name in own + taken:
        path = first.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    first.push()
    assert set(store.kept()) == set(taken)
    first.pull()
    assert all((first.directory / name).exists() for name in own + taken)


def test_states_are_left_out_where_only_rows_are_wanted():
    source = mirror()
    write(source.directory, runs__x__params__a_npy="1", runs__x__result_json="{}")
    source.push()
    reader = mirror("visited", STATES)
    reader.pull()
    assert not (reader.directory / "runs/x/params").exists()
    assert (reader.directory / "runs/x/result.json").exists()
    everything = mirror("visited")
    everything.pull()
    assert (everything.directory / "runs/x/params/a.npy").exists()
    reader = mirror("visited", STATES)
    reader.pull()  # and what was copied for others stays
    assert (reader.directory / "runs/x/params/a.npy").exists()


def test_an_address_may_be_one_file(store):
    source = mirror()
    write(source.directory, table_csv="a,b")
    source.push()
    one = mirror("visited", address=f"{ADDRESS}/table.csv")
    one.pull()
    assert one.directory.read_text() == "a,b"
    assert one.directory.name == "table.csv"
    assert one.pull() == 0


def test_what_others_added_is_not_deleted_and_what_was_deleted_here_is(store):
    source, reader = mirror(), mirror("visited")
    write(source.directory, a_txt="1", b_txt="2")
    source.push()
    reader.pull()
    write(reader.directory, report_html="report")
    (reader.directory / "a.txt").unlink()
    reader.push(deletes=False)
    assert set(store.kept()) == {"a.txt", "b.txt", "report.html"}
    (source.directory / "b.txt").unlink()
    source.push()
    assert set(store.kept()) == {"a.txt", "report.html"}


def test_a_file_that_goes_while_it_is_copied_makes_another_pass(store, monkeypatch):
    source = mirror()
    write(source.directory, a_txt="1", b_txt="2", runs__manifest_json="{}")
    put = store.put_file

    def put_and_change(self, lpath, rpath, **more):
        if len(store.done) == 1:
            shutil.rmtree(source.directory / "runs")
            (source.directory / "b.txt").unlink(missing_ok=True)
            write(source.directory, c_txt="3")
        return put(self, lpath, rpath, **more)

    monkeypatch.setattr(store, "put_file", put_and_change)
    source.push()
    assert store.kept() == {"a.txt": "1", "c.txt": "3"}
    assert not any(name.startswith("runs") for _, name in store.done)


def checkpoint(root, number, chunks, calls):
    """Leaves the directory as it is after a checkpoint, older ones deleted."""
    states = root / "runs/x/checkpoints"
    shutil.rmtree(states, ignore_errors=True)
    for chunk in chunks:
        (states / "chunks").mkdir(parents=True, exist_ok=True)
        (states / "chunks" / chunk).write_text(chunk)
    (states / f"{number}").mkdir(parents=True)
    body = {"chunks": chunks, "position": calls}
    (states / f"{number}/manifest.json").write_text(json.dumps(body))
    (root / "runs/x/metrics.jsonl").write_text("." * calls)


def can_go_on(kept):
    """Tells whether a checkpoint is whole, and the log as long as it says."""
    manifests = [json.loads(t) for n, t in kept.items() if n.endswith("manifest.json")]
    return any(
        all(f"runs/x/checkpoints/chunks/{c}" in kept for c in body["chunks"])
        and len(kept["runs/x/metrics.jsonl"]) >= body["position"]
        for body in manifests
    )


@pytest.mark.parametrize("changes", range(9))
def test_whenever_a_copy_is_ended_the_bucket_has_a_whole_checkpoint(store, changes):
    source = mirror()
    checkpoint(source.directory, 1, ["a", "b"], 3)
    write(source.directory, runs__x__old_txt="")
    source.push()
    checkpoint(source.directory, 2, ["b", "c"], 5)
    (source.directory / "runs/x/old.txt").unlink()
    write(source.directory, runs__x__result_json="{}", results_csv="row")
    store.done.clear()
    store.fails_after = changes
    # metrics.jsonl, chunks b and c, manifest 2, row and table, three deletions
    if changes < 9:
        with pytest.raises(OSError, match="503"):
            source.push()
    kept = store.kept()
    assert can_go_on(kept)
    if "runs/x/result.json" in kept:  # the run has ended: all of it is there
        assert len(kept["runs/x/metrics.jsonl"]) == 5
        assert "runs/x/checkpoints/2/manifest.json" in kept
    store.fails_after = None
    source.push()  # tried again
    names = re.sub(r"runs/x/checkpoints/", "", " ".join(sorted(store.kept())))
    assert names == (
        "results.csv 2/manifest.json chunks/b chunks/c runs/x/metrics.jsonl "
        "runs/x/result.json"
    )
