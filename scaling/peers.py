"""The processes of one run: they find each other, agree, and notice who is stuck.

JAX's own service ends a process with a stack trace when another never comes, and
lets all wait for ever when one is alive and stuck. So the processes meet here first:
process 0 keeps a board at its address, and every process (0 too) talks to it in
lines of JSON over one connection. A thread of each tells the board once a second how
long ago its process got on; a process ends when another has gone, or has not got on
for too long.
"""

import json
import os
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn, cast

from scaling import hardware

# What a process exits with when it can go on from what it saved (EX_TEMPFAIL).
RESUME_STATUS = 75
_BEAT_S = 1.0
_POLL_S = 0.02
_LINE_BYTES = 1 << 20  # longer ones are not ours


class Alone:
    """The group of a run with one process."""

    number, count = 0, 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and talks to the user."""
        return self.number == 0

    def mark(self, at: str) -> None:
        """Notes that this process has got on, and where it is."""

    def share(self, value: Any) -> Any:
        """Returns process 0's value, of plain JSON, on every process; all call it."""
        return value

    def barrier(self) -> None:
        """Returns when every process has called it."""

    def leave(self) -> None:
        """Says good-bye: the others need this process no more."""

    def abandon(self, status: int) -> None:
        """Ends this process at once with an exit status, if others still need it.

        They end too. Left to itself, JAX would wait for them at exit, and they for it.
        """


class Group(Alone):
    """The processes of one run, as one of them sees them.

    Args:
      processes: coordinator, number, count and times to wait.
      fingerprint: of the flags, which must be equal in all of them.

    Raises:
      ValueError: if another process never comes, or was started with other flags.
    """

    def __init__(self, processes: hardware.Processes, fingerprint: str):
        assert processes.process_id is not None
        assert processes.num_processes is not None
        self.number, self.count = processes.process_id, processes.num_processes
        self._address = hardware.address(processes.coordinator or "")
        self._limit, self._timeout = processes.watchdog, processes.join_timeout
        self._at, self._got_on = "the start", time.monotonic()
        self._meetings = 0  # every process counts them alike
        self._lock = threading.Lock()
        self._board = _serve(self._address, self.count) if self.first else None
        self._left, self._met = threading.Event(), False
        try:
            self._line = self._connect()
            try:
                self._greet(fingerprint)
            except BaseException:
                self._line.close()
                raise
        except BaseException:
            self._close_board()
            raise
        self._met = True
        threading.Thread(target=self._watch, daemon=True).start()

    def mark(self, at: str) -> None:
        """Notes that this process has got on, and where it is."""
        self._at, self._got_on = at, time.monotonic()

    def share(self, value: Any) -> Any:
        """Returns process 0's value, of plain JSON, on every process; all call it."""
        self._meetings += 1
        if self.first:
            self._ask("put", name=str(self._meetings), value=value)
            return value
        return self._poll("get", str(self._meetings))["value"]

    def barrier(self) -> None:
        """Returns when every process has called it."""
        self._meetings += 1
        self._ask("arrive", name=str(self._meetings))
        self._poll("arrived", str(self._meetings))

    def leave(self) -> None:
        """Says good-bye: the others need this process no more."""
        self._left.set()
        self._ask("bye")
        if self._board is not None:  # the others may still ask it
            self._board.wait_until_left(self._timeout)
        with self._lock:
            self._line.close()
        self._close_board()

    def abandon(self, status: int) -> None:
        """Ends this process at once with an exit status, if others still need it."""
        if not self._left.is_set():
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)  # the connection ends with it, which the others notice

    def _close_board(self) -> None:
        if self._board is not None:
            self._board.shutdown()
            self._board.server_close()

    def _greet(self, fingerprint: str) -> None:
        """Returns when all processes have come; refuses what does not fit."""
        hello = {"number": self.number, "count": self.count, "flags": fingerprint}
        self._refuse(self._ask("hello", host=socket.gethostname(), **hello))
        self._met = not self.first  # process 0 may go before this one sees all
        self._wait_for_all()

    def _poll(self, question: str, name: str) -> dict[str, Any]:
        while not (answer := self._ask(question, name=name))["ready"]:
            self._got_on = time.monotonic()  # waiting is no standstill
            time.sleep(_POLL_S)
        return answer

    def _ask(self, question: str, **more: Any) -> dict[str, Any]:
        """Returns the board's answer; ends this process if it gives none any more."""
        try:
            return self._answer(question, **more)
        except (OSError, ValueError):
            if self._met and not self._left.is_set():
                _end("Process 0 has gone; this process ends too.")
            raise

    def _answer(self, question: str, **more: Any) -> dict[str, Any]:
        line = json.dumps({"ask": question, "from": self.number, **more}) + "\n"
        with self._lock:
            self._line.write(line.encode())
            self._line.flush()
            answer = self._line.readline(_LINE_BYTES)
        if not answer.endswith(b"\n"):
            raise ConnectionError("process 0 has gone")
        return json.loads(answer)

    def _connect(self) -> Any:
        """Returns the connection to the board, waiting for process 0 to start."""
        host, port = self._address
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                made = socket.create_connection((host, port), timeout=5)
            except OSError as error:
                if time.monotonic() > deadline:
                    raise ValueError(
                        f"Process {self.number} on {socket.gethostname()} found no "
                        f"process 0 at {host}:{port} within {self._timeout} s "
                        f"({error}); start it with the same flags and --process-id 0, "
                        "or mend --coordinator."
                    ) from error
                time.sleep(0.2)
                continue
            made.settimeout(self._limit)  # the board itself answers at once
            with made:  # the file keeps the connection until it is closed
                return made.makefile("rwb")

    def _wait_for_all(self) -> None:
        deadline = time.monotonic() + self._timeout
        while True:
            answer = self._ask("joined")
            self._refuse(answer)
            if not answer["missing"]:
                return
            if time.monotonic() > deadline:
                host, port = self._address
                missing = ", ".join(map(str, answer["missing"]))
                raise ValueError(
                    f"Process {missing} of {self.count} did not come to {host}:{port} "
                    f"within {self._timeout} s (this is process {self.number} on "
                    f"{socket.gethostname()}); start it with the same flags and its "
                    "own --process-id."
                )
            time.sleep(_POLL_S)

    def _refuse(self, answer: dict[str, Any]) -> None:
        if answer.get("refused"):
            raise ValueError(answer["refused"])

    def _watch(self) -> None:
        """Tells how this process gets on, and ends it when another does not."""
        while not self._left.wait(_BEAT_S):
            try:
                age = time.monotonic() - self._got_on
                table = self._ask("beat", age=age, at=self._at)["table"]
            except (OSError, ValueError):
                return  # it has left meanwhile
            if reason := why_end(table, self._limit):
                _end(reason)


def why_end(table: list[dict[str, Any]], limit: int) -> str | None:
    """Returns why a process has to end, or None while all get on.

    Args:
      table: of each process its host, where it is, seconds since it got on (`age`)
        and since it was heard of (`silent`), and whether it has `gone`.
      limit: seconds.
    """
    for number, process in enumerate(table):
        if process["gone"]:
            return (
                f"Process {number} on {process['host']} has gone (it was at "
                f"{process['at']}); this process ends too."
            )
    ages = [process["age"] + process["silent"] for process in table]
    slowest = max(range(len(table)), key=ages.__getitem__)
    if ages[slowest] <= limit:
        return None
    process = table[slowest]
    return (
        f"Process {slowest} on {process['host']} has not got on for "
        f"{ages[slowest]:.0f} s (it is at {process['at']}); this process ends too. "
        "Raise --watchdog if that is no fault."
    )


def _end(reason: str) -> NoReturn:
    # The main thread waits for the others inside XLA and cannot be interrupted.
    print(f"Error: {reason}", file=sys.stderr, flush=True)
    os._exit(RESUME_STATUS)


class _Board(socketserver.ThreadingTCPServer):
    """What the processes know of each other; kept by process 0."""

    allow_reuse_address, daemon_threads = True, True

    def __init__(self, address: tuple[str, int], count: int):
        super().__init__(address, _Conversation)
        self.count, self.lock = count, threading.Lock()
        self.members: dict[int, dict[str, Any]] = {}
        self.values: dict[str, Any] = {}
        self.arrived: dict[str, set[int]] = {}
        self.flags: str | None = None
        self.refused = ""

    def wait_until_left(self, timeout: int) -> None:
        """Returns when every process has said good-bye, or after `timeout`."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with self.lock:
                if all(member["left"] for member in self.members.values()):
                    return
            time.sleep(_POLL_S)

    def answer(self, said: dict[str, Any]) -> dict[str, Any]:
        """Returns the answer to one line."""
        known: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "hello": self._hello,
            "joined": self._joined,
            "put": self._put,
            "get": self._get,
            "arrive": self._arrive,
            "arrived": self._has_arrived,
            "beat": self._beat,
            "bye": self._bye,
        }
        with self.lock:
            return known[said["ask"]](said)

    def _hello(self, said: dict[str, Any]) -> dict[str, Any]:
        number, count, who = said["number"], said["count"], said["host"]
        if self.flags is None:
            self.flags = said["flags"]
        if count != self.count:
            self.refused = (
                f"Process {number} on {who} was started with --num-processes {count} "
                f"and process 0 with {self.count}; start all with the same number."
            )
        elif number in self.members:
            self.refused = (
                f"Two processes have --process-id {number} (the second on {who}); "
                "give each its own."
            )
        elif said["flags"] != self.flags:
            self.refused = (
                f"Process {number} on {who} was started with other flags than process "
                "0; all need the same settings, grid and mesh."
            )
        if self.refused:
            return {"refused": self.refused}
        now = {"heard": time.monotonic(), "age": 0.0, "at": "the start"}
        self.members[number] = {"host": who, "left": False, "gone": False, **now}
        return {}

    def _joined(self, said: dict[str, Any]) -> dict[str, Any]:
        missing = sorted(set(range(self.count)) - set(self.members))
        return {"missing": missing, "refused": self.refused}

    def _put(self, said: dict[str, Any]) -> dict[str, Any]:
        self.values[said["name"]] = said["value"]
        return {}

    def _get(self, said: dict[str, Any]) -> dict[str, Any]:
        ready = said["name"] in self.values
        return {"ready": ready, "value": self.values.get(said["name"])}

    def _arrive(self, said: dict[str, Any]) -> dict[str, Any]:
        self.arrived.setdefault(said["name"], set()).add(said["from"])
        return {}

    def _has_arrived(self, said: dict[str, Any]) -> dict[str, Any]:
        return {"ready": len(self.arrived[said["name"]]) == self.count}

    def _beat(self, said: dict[str, Any]) -> dict[str, Any]:
        now = time.monotonic()
        self.members[said["from"]] |= {"heard": now, "age": said["age"]}
        self.members[said["from"]]["at"] = said["at"]
        table = []
        for _, member in sorted(self.members.items()):
            silent = 0.0 if member["left"] else now - member["heard"]
            age = 0.0 if member["left"] else member["age"]
            told = {name: member[name] for name in ("host", "at", "gone")}
            table.append({**told, "silent": silent, "age": age})
        return {"table": table}

    def _bye(self, said: dict[str, Any]) -> dict[str, Any]:
        self.members[said["from"]]["left"] = True
        return {}

    def hang_up(self, number: int | None) -> None:
        """Notes that a connection has ended."""
        with self.lock:
            member = self.members.get(-1 if number is None else number)
            if member is not None and not member["left"]:
                member["gone"] = True


class _Conversation(socketserver.StreamRequestHandler):
    """The connection of one process with the board."""

    def handle(self) -> None:
        board, number = cast(_Board, self.server), None
        try:
            while line := self.rfile.readline(_LINE_BYTES):
                said = json.loads(line)
                answer = board.answer(said)
                if said["ask"] == "hello" and "refused" not in answer:
                    number = said["number"]
                self.wfile.write((json.dumps(answer) + "\n").encode())
        except (OSError, ValueError, KeyError, TypeError):
            pass  # it has gone, or it is none of ours
        finally:
            board.hang_up(number)


def _serve(address: tuple[str, int], count: int) -> _Board:
    """Returns the board, which answers from now on.

    Raises:
      ValueError: if the address is not this machine's, or taken.
    """
    try:
        board = _Board(address, count)
    except OSError as error:
        raise ValueError(
            f"Process 0 on {socket.gethostname()} cannot listen at "
            f"{address[0]}:{address[1]} ({error.strerror}); give an address of this "
            "machine and a free port with --coordinator."
        ) from error
    threading.Thread(target=board.serve_forever, args=(0.1,), daemon=True).start()
    return board


def free_port(host: str) -> int:
    """Returns a port of `host` that is free now."""
    with socket.create_server((host, 0)) as probe:
        return probe.getsockname()[1]


_group: list[Alone] = [Alone()]


def join(processes: hardware.Processes, fingerprint: str) -> Alone:
    """Returns the group of this process after all others have come."""
    _group[0] = Group(processes, fingerprint)
    return _group[0]


def group() -> Alone:
    """Returns the group that this process has joined."""
    return _group[0]
