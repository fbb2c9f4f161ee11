"""Threads that take turns, and meet.

One of them is at work at a time, so what was written for one thread serves them all.
Where they meet, each brings something, and the last one to come deals with it for all.
"""

import concurrent.futures
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Deal = Callable[[dict[int, Any]], dict[int, Any]]
"""What each has brought, by number → what each gets"""


class Meeting:
    """Where some threads meet, again and again.

    Args:
      members: numbers of those who will come.
      turn: held by the thread that is at work; who waits for the others gives it up.
    """

    def __init__(self, members: Iterable[int], turn: threading.Condition):
        self._members, self._turn = set(members), turn
        self._brought: dict[int, Any] = {}
        self._got: dict[int, Any] = {}
        self._deal: Deal = dict

    def meet(self, member: int, brought: Any, deal: Deal) -> Any:
        """Returns what a member gets once all members have come or left.

        Args:
          member: its number; the calling thread has the turn.
          brought: by it.
          deal: called once with what all have brought, who all give the same one.

        Raises:
          Exception: what `deal` raised; all get it.
        """
        self._brought[member], self._deal = brought, deal
        self._settle()
        while member not in self._got:
            self._turn.wait()
        got = self._got.pop(member)
        if isinstance(got, Exception):
            raise got
        return got

    def leave(self, member: int) -> None:
        """Notes that a member will come no more; nobody waits for it."""
        with self._turn:
            self._members.discard(member)
            self._settle()

    def _settle(self) -> None:
        """Deals with what was brought, if all are there."""
        if not self._brought or self._brought.keys() != self._members:
            return
        brought, self._brought = self._brought, {}
        brought = {member: brought[member] for member in sorted(brought)}
        try:
            self._got |= self._deal(brought)
        except Exception as error:
            self._got |= dict.fromkeys(brought, error)
        self._turn.notify_all()


def in_threads(jobs: Sequence[Callable[[], None]]) -> None:
    """Runs every job in a thread of its own and returns when all have ended.

    Raises:
      Exception: the error of the first job that raised one.
    """
    with concurrent.futures.ThreadPoolExecutor(len(jobs), "seed") as threads:
        ends = [threads.submit(job) for job in jobs]
    for end in ends:
        end.result()
