"""Threads take turns, meet, and do not wait for those who have left."""

import threading
import time

import pytest

from scaling import meeting


def together(size, work):
    """Runs `work(meeting, member)` of each member in its turn; it leaves at the end."""
    turn = threading.Condition()
    place = meeting.Meeting(range(size), turn)

    def job(member):
        try:
            with turn:
                work(place, member)
        finally:
            place.leave(member)

    meeting.in_threads([lambda member=n: job(member) for n in range(size)])


def test_each_gets_its_part_of_what_all_have_brought():
    got, dealt = {}, []

    def deal(brought):
        dealt.append(list(brought))
        total = sum(brought.values())
        return {member: (total, mine) for member, mine in brought.items()}

    def work(place, member):
        for step in range(5):
            got[step, member] = place.meet(member, 10**member * step, deal)

    together(3, work)
    assert got == {
        (step, member): (111 * step, 10**member * step)
        for step in range(5)
        for member in range(3)
    }
    assert dealt == [[0, 1, 2]] * 5  # in order, however they came


def test_nobody_waits_for_a_member_that_has_left_or_failed():
    met = []

    def work(place, member):
        for step in range(4):
            if member == 1 and step == 2:
                raise RuntimeError("out of luck")
            met.append(place.meet(member, member, lambda b: dict.fromkeys(b, len(b))))

    with pytest.raises(RuntimeError, match="out of luck"):
        together(3, work)
    assert sorted(met) == [2] * 4 + [3] * 6


def test_who_leaves_last_settles_for_those_who_wait():
    met, others = [], threading.Event()

    def work(place, member):
        if member == 0:
            others.wait(0.05)  # in its turn: the others come after it has left
            return
        met.append(place.meet(member, member, lambda b: dict.fromkeys(b, len(b))))

    together(3, work)
    assert met == [2, 2]


def test_an_error_of_the_deal_reaches_all():
    caught = []

    def deal(brought):
        raise MemoryError(f"for {len(brought)}")

    def work(place, member):
        with pytest.raises(MemoryError, match="for 3"):
            place.meet(member, None, deal)
        caught.append(member)

    together(3, work)
    assert sorted(caught) == [0, 1, 2]


def test_one_is_at_work_at_a_time():
    at_work, most = [], []

    def work(place, member):
        for _ in range(3):
            at_work.append(member)
            time.sleep(0.002)
            most.append(len(at_work))
            at_work.remove(member)
            place.meet(member, None, lambda brought: brought)

    together(4, work)
    assert set(most) == {1}
