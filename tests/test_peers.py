"""Processes find each other, agree, and notice who is stuck; no JAX in here."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from scaling import hardware, peers


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"127.0.0.1:{probe.getsockname()[1]}"


def of(address, number, count=2, **more):
    return hardware.Processes(
        coordinator=address, process_id=number, num_processes=count, **more
    )


def meet(*members) -> list[Any]:
    """Starts a group in a thread for each (processes, flags); returns what came."""
    came: list[Any] = [None] * len(members)

    def join(index, processes, flags):
        try:
            came[index] = peers.Group(processes, flags)
        except ValueError as error:
            came[index] = error

    threads = [
        threading.Thread(target=join, args=(index, *member))
        for index, member in enumerate(members)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return came


def in_both(group, other, act) -> list[Any]:
    """Returns what `act` returns in each of two groups at the same time."""
    found: list[Any] = [None, None]

    def do(index, each):
        found[index] = act(each)

    threads = [
        threading.Thread(target=do, args=pair) for pair in enumerate((group, other))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


def test_processes_share_what_the_first_one_says_and_wait_for_each_other():
    address = free_address()
    first, second = meet((of(address, 0), "same"), (of(address, 1), "same"))
    assert first.first
    assert not second.first
    shared = in_both(first, second, lambda group: group.share([group.number, "a"]))
    assert shared == [[0, "a"], [0, "a"]]
    again = in_both(first, second, lambda group: group.share(group.number))
    assert again == [0, 0]
    arrived = []

    def wait(group):
        if group.first:
            time.sleep(0.3)
            arrived.append("first")
        group.barrier()
        arrived.append(group.number)

    in_both(first, second, wait)
    assert arrived[0] == "first"
    in_both(first, second, lambda group: group.leave())


def test_one_process_alone_needs_no_board():
    alone = peers.Alone()
    assert alone.first
    assert alone.share({"a": 1}) == {"a": 1}
    alone.barrier()
    alone.leave()


@pytest.mark.parametrize(
    ("count", "number", "flags", "message"),
    [
        (3, 1, "same", "--num-processes 3"),
        (2, 0, "same", "--process-id 0|cannot listen"),
        (2, 1, "others", "other flags"),
    ],
)
def test_processes_that_do_not_fit_are_refused_in_all(count, number, flags, message):
    address = free_address()
    first, second = meet(
        (of(address, 0, join_timeout=5), "same"),
        (of(address, number, count, join_timeout=5), flags),
    )
    errors = [str(error) for error in (first, second) if isinstance(error, ValueError)]
    assert errors
    for error in errors:
        assert error.endswith(".")
    with pytest.raises(ValueError, match=message):
        raise ValueError(" ".join(errors))


def test_a_process_that_never_comes_is_named_with_the_address():
    address = free_address()
    with pytest.raises(ValueError, match=f"Process 1 of 2 did not come to {address}"):
        peers.Group(of(address, 0, join_timeout=1), "same")


def test_a_first_process_that_never_comes_is_named_with_both_addresses():
    address = free_address()
    with pytest.raises(ValueError, match=f"no process 0 at {address}") as caught:
        peers.Group(of(address, 1, join_timeout=1), "same")
    assert socket.gethostname() in str(caught.value)


def test_strangers_do_not_disturb_the_board():
    address = free_address()
    host, port = hardware.address(address)
    started = threading.Event()

    def shout():
        while not started.wait(0.05):
            with (
                contextlib.suppress(OSError),
                socket.create_connection((host, port)) as s,
            ):
                s.sendall(b"GET / HTTP/1.1\r\n\r\n")
                s.recv(100)

    stranger = threading.Thread(target=shout)
    stranger.start()
    first, second = meet((of(address, 0), "same"), (of(address, 1), "same"))
    started.set()
    stranger.join()
    assert first.count == second.count == 2
    in_both(first, second, lambda group: group.leave())


def member(**more):
    return {"host": "h", "at": "call 7", "gone": False, "age": 0, "silent": 0, **more}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ([member(), member(age=8.0, silent=1.9)], None),
        ([member(age=9.0), member(age=11.0)], "Process 1 on h has not got on for 11 s"),
        ([member(), member(silent=12.0)], "Process 1 on h has not got on"),
        ([member(gone=True), member()], "Process 0 on h has gone"),
    ],
)
def test_the_slowest_process_is_named(table, expected):
    reason = peers.why_end(table, limit=10)
    assert (reason is None) if expected is None else expected in (reason or "")


PROGRAM = """
import json, os, signal, sys, time
from scaling import hardware, peers
address, number, how = sys.argv[1:]
group = peers.Group(hardware.Processes(coordinator=address, process_id=int(number),
    num_processes=2, watchdog=2), "same")
if how == "ends":
    raise SystemExit(0)
if how == "freezes":
    os.kill(os.getpid(), signal.SIGSTOP)
if how == "waits":
    group.barrier()
deadline = time.monotonic() + 30
while time.monotonic() < deadline:
    if how == "works":
        group.mark("call 3")
    time.sleep(0.1)
print(json.dumps("survived"))
"""


@pytest.mark.parametrize(
    ("number", "how", "other", "message"),
    [
        (1, "ends", "works", "Process 1 on .* has gone"),
        (1, "hangs", "works", "Process 1"),
        (0, "ends", "works", "Process 0 has gone"),
        (0, "ends", "waits", "Process 0 has gone"),  # its main thread notices first
        (0, "freezes", "works", "Process 0 has gone"),  # its board is silent
    ],
)
def test_a_process_ends_when_another_has_gone_or_hangs(number, how, other, message):
    address = free_address()
    acts = [other, other]
    acts[number] = how
    pair = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, address, str(n), act],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        )
        for n, act in enumerate(acts)
    ]
    out, errors = pair[1 - number].communicate(timeout=40)
    pair[number].kill()
    pair[number].communicate(timeout=40)
    assert pair[1 - number].returncode == peers.RESUME_STATUS
    assert json.dumps("survived") not in out
    with pytest.raises(ValueError, match=message):
        raise ValueError(errors)
