"""Who keeps a directory in a bucket: one at a time, ahead of it or behind it."""

import json
import os
import signal
import time

import pytest

from scaling import lease
from scaling.buckets import keeping
from scaling.buckets.bucket import Bucket, Owners

pytestmark = pytest.mark.usefixtures("store")
ADDRESS = "gs://bucket/study"


def keep(error=None, store=None, overtaken=False, until=lambda: True, **texts):
    """Keeps the study while files are written; then something may go wrong."""
    with keeping.kept(ADDRESS) as directory:
        for name, text in texts.items():
            directory.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text)
        if store is not None:
            store.fails_after = 0
        if overtaken:
            Owners(Bucket(ADDRESS)).create(2, b"{}")
        wait_for(until)
        if error is not None:
            raise error
    return directory


def visit(error=None, address=ADDRESS, **texts):
    """Visits a folder and writes files to the copy; then fails."""
    with keeping.visited(address) as visit:
        for name, text in texts.items():
            (visit.directory / name).write_text(text)
        if error is not None:
            raise error


def wait_for(true):
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_is_written_is_in_the_bucket_and_goes_on_elsewhere(store, machine):
    keep(a="1", b="2")
    assert store.kept() == {"a": "1", "b": "2"}
    machine("second")
    with keeping.kept(ADDRESS) as directory:
        assert (directory / "a").read_text() == "1"
        (directory / "b").unlink()
    assert store.kept() == {"a": "1"}
    machine("first")
    with keeping.kept(ADDRESS) as directory:
        assert not (directory / "b").exists()


def test_without_anything_in_the_bucket_there_is_no_directory():
    with keeping.kept(ADDRESS) as directory:
        assert not directory.exists()
        assert directory.name == "study"


def test_a_machine_that_starts_again_is_ahead_of_the_bucket(store, machine):
    directory = keep(a="1")
    (directory / "a").write_text("later")  # and ended without a copy
    with keeping.kept(ADDRESS) as directory:
        assert (directory / "a").read_text() == "later"
    assert store.kept() == {"a": "later"}
    machine("second")
    keep(b="2")
    machine("first")
    (directory / "a").write_text("of a machine that another has overtaken")
    with keeping.kept(ADDRESS) as directory:
        assert (directory / "a").read_text() == "later"


def test_it_is_copied_while_the_command_works(store):
    with keeping.kept(ADDRESS, copy_s=0.01) as directory:
        directory.mkdir()
        (directory / "a").write_text("1")
        wait_for(lambda: store.kept() == {"a": "1"})
        (directory / "a").unlink()
        wait_for(lambda: store.kept() == {})


def test_an_error_is_passed_on_after_the_last_copy(store):
    for error in (KeyboardInterrupt(), ValueError("A sentence.")):
        with pytest.raises(type(error)):
            keep(error, a=type(error).__name__)
        assert store.kept() == {"a": type(error).__name__}


def test_a_last_copy_that_fails_is_told_and_made_up_for(store):
    with pytest.raises(ValueError, match=r"last copy failed.*503.*ahead of it.*\.$"):
        keep(store=store, a="1")
    assert store.kept() == {}
    store.fails_after = None
    keep()
    assert store.kept() == {"a": "1"}


def test_a_copy_that_fails_meanwhile_is_tried_again(store, capsys):
    store.fails_after = 0
    with keeping.kept(ADDRESS, copy_s=0.01) as directory:
        directory.mkdir()
        (directory / "a").write_text("1")
        wait_for(lambda: "tried again" in capsys.readouterr().err)
        store.fails_after = None
        wait_for(lambda: store.kept() == {"a": "1"})


def test_without_the_bucket_nothing_is_begun(store, tmp_path):
    store.is_gone = True
    with pytest.raises(ValueError, match=r"no route to the store.*\.$"):
        keep(a="1")
    assert not list(tmp_path.rglob("a"))


def test_a_second_process_is_refused_while_the_first_lives(store, machine, monkeypatch):
    monkeypatch.setattr(keeping, "BEAT_S", 0.05)
    with keeping.kept(ADDRESS):
        machine("second")
        with pytest.raises(ValueError, match=rf"pid {os.getpid()}, and one process"):
            keep(a="1")
    assert store.kept() == {}
    keep(a="1")
    assert store.kept() == {"a": "1"}


def test_one_that_was_faster_is_seen_to_live(store, machine, monkeypatch):
    """It takes the bucket after this process has found it free."""
    monkeypatch.setattr(keeping, "BEAT_S", 0.05)
    take, faster = lease.take, []

    def take_later(owners, over, lost, beat_s):
        if not faster:
            faster.append(take(owners, over, lost, beat_s))
        return take(owners, over, lost, beat_s)

    monkeypatch.setattr(lease, "take", take_later)
    with pytest.raises(ValueError, match="and one process at a time"):
        keep(a="1")
    faster[0].release()


def test_one_that_is_silent_is_overtaken(store, monkeypatch, capsys):
    """A machine that was taken away does not say so."""
    monkeypatch.setattr(keeping, "EXPIRY_S", 0.2)
    content = {"host": "gone", "machine": "x", "pid": 7, "released": False, "id": "1"}
    Owners(Bucket(ADDRESS)).create(3, json.dumps(content).encode())
    store.objects["bucket/study/a"] = b"its last"
    with keeping.kept(ADDRESS) as directory:
        assert (directory / "a").read_text() == "its last"
    assert "gone pid 7" in capsys.readouterr().err
    assert Owners(Bucket(ADDRESS)).numbers() == [4]


def test_one_that_was_overtaken_ends_and_copies_nothing(store, monkeypatch, capsys):
    monkeypatch.setattr(keeping, "BEAT_S", 0.02)
    caught = []
    before = signal.signal(signal.SIGTERM, lambda *_: caught.append("SIGTERM"))
    try:
        with pytest.raises(ValueError, match="Another has taken gs://bucket/study"):
            keep(until=lambda: caught, overtaken=True, a="too late")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert store.kept() == {}
    assert "another took gs://bucket/study" in capsys.readouterr().err


def test_one_that_stood_still_asks_before_it_copies(store):
    """Its signs of life have not noticed yet."""
    with pytest.raises(ValueError, match="Another has taken gs://bucket/study"):
        keep(overtaken=True, a="too late")
    assert store.kept() == {}


def test_entries_in_a_bucket_are_a_lease_as_those_on_a_disk(store):
    owners, told = Owners(Bucket(ADDRESS)), []
    held = lease.take(owners, None, lambda: told.append("lost"))
    assert held.held()
    with pytest.raises(lease.TakenError, match=f"pid {os.getpid()}"):
        lease.take(Owners(Bucket(ADDRESS)), None, lambda: None)
    held.release()
    with lease.take(Owners(Bucket(ADDRESS)), None, lambda: None) as again:
        assert (again.number, again.held(), held.held()) == (2, True, False)
    assert owners.numbers() == [2]
    assert not owners.create(2, b"")
    owners.remove(7)  # is not there
    assert owners == Owners(Bucket(ADDRESS)) != Owners(Bucket("gs://bucket/other"))
    assert json.loads(owners.read(2))["released"]
    assert told == []


def test_a_visit_is_a_copy_and_adds_what_is_written(store):
    directory = keep(table="1")
    with keeping.visited(ADDRESS) as copy:
        assert copy.directory != directory
        assert (copy.directory / "table").read_text() == "1"
        (copy.directory / "report").write_text("r")
        (directory / "table").write_text("2")
        keep()
        copy.refresh()
        assert (copy.directory / "table").read_text() == "2"
        assert not (copy.directory / "report").exists()  # it was not in the bucket
    visit(report="r")
    assert store.kept() == {"table": "2", "report": "r"}


def test_a_visit_knows_who_is_at_it():
    with keeping.kept(ADDRESS) as directory:
        directory.mkdir()
        (directory / "a").write_text("1")
    with keeping.visited(ADDRESS) as copy:
        assert copy.owner() is None
        with keeping.kept(ADDRESS):
            assert str(copy.owner()).endswith(f" pid {os.getpid()}")


def test_a_visit_of_nothing_is_refused_unless_it_may_be_new(store):
    with pytest.raises(ValueError, match="gs://bucket/nothing is not there"):
        visit(address="gs://bucket/nothing")
    with keeping.visited(ADDRESS, may_be_new=True) as copy:
        copy.directory.mkdir(parents=True)
        (copy.directory / "a").write_text("1")
    assert store.kept() == {"a": "1"}


def test_an_error_in_a_visit_copies_nothing(store):
    keep(a="1")
    with pytest.raises(KeyError):
        visit(KeyError(), b="half")
    assert store.kept() == {"a": "1"}
