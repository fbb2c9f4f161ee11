"""The lease: one holder at a time, whoever dies, stands still or comes in between."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from scaling import lease, lease_entries


def taken(directory, **more):
    with pytest.raises(lease.TakenError) as caught:
        lease.acquire(directory, **more)
    return caught.value.by


def test_a_lease_has_one_holder_and_is_free_when_released(tmp_path):
    with lease.acquire(tmp_path) as held:
        assert held.held()
        assert taken(tmp_path).endswith(f"pid {os.getpid()}")
    with lease.acquire(tmp_path) as again:
        assert again.held()
        assert not held.held()


def test_only_the_newest_file_of_a_lease_is_kept(tmp_path):
    for _ in range(4):
        lease.acquire(tmp_path).release()
    assert [path.name for path in (tmp_path / lease.NAME).iterdir()] == ["00000004"]


def test_a_lease_says_who_holds_it(tmp_path):
    with lease.acquire(tmp_path):
        (path,) = (tmp_path / lease.NAME).iterdir()
        content = json.loads(path.read_text())
    assert content["pid"] == os.getpid()
    assert content["born"] == lease._birth(os.getpid())
    assert {"host", "id", "time", "beat"} <= set(content)


HOLD = """
import pathlib, sys, time
from scaling import lease
lease.BEAT_S = 0.2
held = lease.acquire(pathlib.Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process, which holds the lease."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with process:
        yield process
        process.kill()


@pytest.mark.parametrize("reaped", [True, False])
def test_a_dead_process_of_this_machine_holds_nothing(tmp_path, holder, reaped):
    assert taken(tmp_path).endswith(f"pid {holder.pid}")
    holder.kill()
    if reaped:
        holder.wait()
    end = time.monotonic() + 30
    while lease.Observer().look(tmp_path) is not None:  # a zombie is dead, too
        assert time.monotonic() < end
        time.sleep(0.01)
    lease.acquire(tmp_path).release()


def edit(directory, **changes):
    """Changes what the newest file of a lease says."""
    path = max((directory / lease.NAME).iterdir())
    path.write_bytes(lease._as_text({**json.loads(path.read_text()), **changes}))


def still(monkeypatch):
    """A holder that gives no sign of life."""
    monkeypatch.setattr(lease.Lease, "_keep", lambda held: None)


def test_a_number_that_is_used_again_is_not_the_holder(tmp_path, monkeypatch):
    still(monkeypatch)
    lease.acquire(tmp_path)
    edit(tmp_path, born="1")  # this process began later
    lease.acquire(tmp_path).release()


def test_numbers_of_another_machine_say_nothing(tmp_path, monkeypatch):
    still(monkeypatch)
    lease.acquire(tmp_path)
    edit(tmp_path, machine="another", pid=2**22 + 1, host="far")
    assert taken(tmp_path) == f"far pid {2**22 + 1}"


class Clock:
    """The observer's own clock, moved by hand."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(lease.time, "monotonic", lambda: self.now)


def test_a_lease_is_stale_after_a_minute_of_looks_without_a_change(
    tmp_path, monkeypatch
):
    still(monkeypatch)
    lease.acquire(tmp_path)
    os.utime(max((tmp_path / lease.NAME).iterdir()), (0, 0))  # clocks say nothing
    clock, observer = Clock(monkeypatch), lease.Observer()
    for beat, (seconds, stale) in enumerate([(0, False), (59, False), (50, False)]):
        clock.now += seconds
        edit(tmp_path, beat=beat + 1)  # a sign of life
        seen = observer.look(tmp_path)
        assert seen is not None
        assert seen.stale is stale
    for seconds, stale in [(59, False), (2, True)]:
        clock.now += seconds
        seen = observer.look(tmp_path)
        assert seen is not None
        assert seen.stale is stale
    first = lease.Observer().look(tmp_path)  # another one has only begun to look
    assert first is not None
    assert not first.stale


def test_of_two_who_take_over_a_stale_lease_one_gets_it(tmp_path, monkeypatch):
    still(monkeypatch)
    old = lease.acquire(tmp_path)
    seen = lease.Observer().look(tmp_path)
    assert seen is not None
    new = lease.acquire(tmp_path, over=seen.text)
    assert (old.held(), new.held()) == (False, True)
    taken(tmp_path, over=seen.text)
    new.release()


def test_a_holder_that_came_back_to_life_keeps_its_lease(tmp_path, monkeypatch):
    still(monkeypatch)
    lease.acquire(tmp_path)
    seen = lease.Observer().look(tmp_path)
    assert seen is not None
    edit(tmp_path, beat=7)
    taken(tmp_path, over=seen.text)


def test_signs_of_life_change_the_lease_in_place(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "BEAT_S", 0.01)
    with lease.acquire(tmp_path):
        path = max((tmp_path / lease.NAME).iterdir())
        texts, end = set(), time.monotonic() + 30
        while len(texts) < 5:
            texts.add(path.read_bytes())
            assert time.monotonic() < end
        assert {len(text) for text in texts} == {512}


def test_who_stood_still_and_lost_the_lease_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "BEAT_S", 0.05)
    told = []
    old = lease.acquire(tmp_path, lost=lambda: told.append(True))
    new, end = None, time.monotonic() + 30
    while new is None:  # between two of its signs of life
        seen = lease.Observer().look(tmp_path)
        assert seen is not None
        try:
            new = lease.acquire(tmp_path, over=seen.text)
        except lease.TakenError:
            assert time.monotonic() < end
    while not told:
        assert time.monotonic() < end
        time.sleep(0.01)
    old.release()  # which takes nothing from the new holder
    assert new.held()
    taken(tmp_path)
    new.release()


def test_who_loses_the_lease_ends_before_it_writes_more(tmp_path, holder, monkeypatch):
    still(monkeypatch)
    holder.send_signal(signal.SIGSTOP)
    seen = lease.Observer().look(tmp_path)
    assert seen is not None
    new = lease.acquire(tmp_path, over=seen.text)
    holder.send_signal(signal.SIGCONT)
    assert holder.wait(30) == 75  # at its next sign of life
    assert new.held()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b"\xff"])
def test_a_torn_lease_is_nobodys_and_goes_stale(tmp_path, monkeypatch, text):
    folder = tmp_path / lease.NAME
    folder.mkdir()
    (folder / "00000001").write_bytes(text)
    clock, observer = Clock(monkeypatch), lease.Observer()
    observer.look(tmp_path)
    clock.now += 61
    seen = observer.look(tmp_path)
    assert seen is not None
    assert (seen.stale, seen.by) == (True, "an unknown process")
    assert taken(tmp_path) == "an unknown process"
    lease.acquire(tmp_path, over=seen.text).release()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_who_comes_too_late_for_a_number_gets_nothing(tmp_path, number):
    for _ in range(2):
        lease.acquire(tmp_path).release()
    with lease.acquire(tmp_path) as held:
        assert (
            lease._create(lease_entries.Folder(tmp_path / lease.NAME), number) is None
        )
        assert held.held()
        assert [path.name for path in (tmp_path / lease.NAME).iterdir()] == ["00000003"]


TIMES = 4  # that each run is made in the fight


def _fight(directory, number, leases, start):
    """Makes each run TIMES times, with all others; now and then it dies at it."""
    dice, left = random.Random(number), list(range(leases))
    start.wait(60)
    while left:
        for run in list(left):
            here = directory / str(run)
            if len(list(here.glob("done-*"))) == TIMES:
                left.remove(run)
                continue
            try:
                held = lease.acquire(here)
            except lease.TakenError:
                continue
            with held:
                _make(here, dice)


def _make(here, dice):
    """Fails if another process is at the same run, or if it was made before."""
    busy, made = here / "busy", len(list(here.glob("done-*")))
    if busy.exists():  # of one that died
        assert lease._birth(int(busy.read_text())) is None
        busy.unlink()
    if made == TIMES:
        return
    busy.open("x").write(str(os.getpid()))
    time.sleep(0.01)  # in which all others come by
    if dice.random() < 0.05:
        os.kill(os.getpid(), signal.SIGKILL)
    (here / f"done-{made}").open("x").close()
    busy.unlink()


def test_eight_processes_that_fight_for_twenty_leases(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    for run in range(20):
        (tmp_path / str(run)).mkdir()
    start = spawn.Barrier(8)
    fighters = [
        spawn.Process(target=_fight, args=(tmp_path, number, 20, start))
        for number in range(8)
    ]
    for fighter in fighters:
        fighter.start()
    for fighter in fighters:
        fighter.join()
    ends = {fighter.exitcode for fighter in fighters}
    assert ends <= {0, -signal.SIGKILL}, "two were at one run"
    assert 0 in ends
    assert len(list(tmp_path.glob("*/done-*"))) == 20 * TIMES
