"""One host's part of a gang, without Ray: a worker process at the other end."""

import dataclasses
import json
import os
import pathlib
import signal

import pytest
from fake_tasks import task_of

from launch import attempt, worker
from launch.executors import death, member
from launch.executors.ray_host import Host
from launch.executors.task import Task
from scaling import hardware, peers, results

FAKES = str(pathlib.Path(__file__).parent)
FAKE = ["launch.worker", "--start", "fakes:start"]


def message(directory, seed=0) -> tuple[Task, str]:
    task = task_of(directory, seed=seed)
    return task, worker.message(worker.Order(task, attempt.Rules(), None))


@pytest.fixture
def host():
    host = Host()
    yield host
    host.kill()
    host.close()


def heard(host, until: str) -> list[str]:
    """Returns the kinds of what a worker says until it says one of a kind, or ends."""
    kinds, ended = [], False
    while until not in kinds and not ended:
        lines, ended = host.hear()
        kinds += [json.loads(line)["event"] for line in lines]
    return kinds


def test_a_worker_is_told_heard_and_let_go(host, tmp_path):
    host.start(FAKE, {"PYTHONPATH": FAKES}, cores=[min(os.sched_getaffinity(0))])
    for seed in (0, 1):
        task, line = message(tmp_path, seed)
        host.send(line)
        assert heard(host, "finished")[-1] == "finished"
        assert results.read_row(task.directory) is not None
    assert host.close().status == 0
    assert host.hear() == ([], True)
    lines = (tmp_path / "begun.jsonl").read_text().splitlines()
    begun = [json.loads(line) for line in lines]
    assert [each["cores"] for each in begun] == [[min(os.sched_getaffinity(0))]] * 2


def test_a_worker_that_is_asked_to_end_saves_first(host, tmp_path):
    host.start(FAKE, {"PYTHONPATH": FAKES}, cores=[])
    host.send(message(tmp_path, seed=12)[1])
    heard(host, "progress")
    host.ask_to_end()
    assert heard(host, "interrupted")[-2:] == ["saved", "interrupted"]
    assert host.end().status == peers.RESUME_STATUS


def test_how_a_worker_died_is_known(host, tmp_path):
    host.start(["launch.worker", "--start", "fakes:start_nothing"], {}, cores=[])
    assert heard(host, "ready") == []
    host.send("to nobody")
    end = host.end()
    assert "No module named 'fakes'" in end.last_words
    told = death.of(end.status, end.last_words.encode())
    assert told.reason == "gone"
    assert told.note.startswith("The worker ended with exit status 1; its last line")


@pytest.mark.parametrize(
    ("status", "reason", "how"),
    [
        (1, "gone", "ended with exit status 1"),
        (-signal.SIGKILL, "gone", "was killed by SIGKILL"),
        (-signal.SIGTERM, "interrupted", "was killed by SIGTERM"),
        (peers.RESUME_STATUS, "interrupted", "ended with exit status 75"),
    ],
)
def test_an_exit_status_says_whether_a_run_can_go_on(status, reason, how):
    assert death.of(status, b"") == (reason, f"The worker {how}.")
    assert death.of(status, b"a\n\nlast \n\n").note.endswith("; its last line: last")


def test_processes_travel_in_the_environment():
    processes = hardware.Processes(coordinator="h:1", process_id=1, num_processes=2)
    assert member.processes_of(member.environment(processes)) == processes


class Told(peers.Alone):
    """The second process of a gang, which is told one run after another."""

    number, count = 1, 2

    def __init__(self, orders):
        self._orders = list(orders)

    def share(self, value):
        return self._orders.pop(0)


class Diverged(RuntimeError):  # noqa: N818, as scaling.log has it
    status = "diverged"


def follow(tmp_path, errors) -> list[int]:
    """Returns the seeds that were made by a process that meets `errors` in turn."""
    made = []

    def runner(settings, cell, directory, *, how, report, stop):
        made.append(cell.seed)
        if (error := errors[cell.seed]) is not None:
            raise error
        return {}

    orders = []
    for seed in range(len(errors)):
        task, line = message(tmp_path, seed)
        task.directory.mkdir(parents=True)
        orders.append(json.loads(line))
    log = [os.dup(1), os.dup(2)]
    try:
        member.follow(Told(orders), runner, lambda: len(made) == len(errors))
    finally:
        for number, kept in zip((1, 2), log, strict=True):
            os.dup2(kept, number)
            os.close(kept)
    return made


def test_a_follower_goes_on_after_what_all_processes_meet_alike(tmp_path):
    errors = [ValueError("It is impossible."), Diverged("No number."), None]
    assert follow(tmp_path, errors) == [0, 1, 2]
    logs = sorted(path.name for path in tmp_path.glob("runs/*/*"))
    assert logs == ["log-1.txt"] * 3


def test_a_follower_ends_after_what_it_may_have_met_alone(tmp_path):
    with pytest.raises(RuntimeError, match="out of luck"):
        follow(tmp_path, [RuntimeError("out of luck"), None])


def test_an_order_names_its_directory_for_every_host(tmp_path):
    task, line = message(tmp_path)
    assert worker.order_of(line).task.directory == task.directory
    assert dataclasses.replace(task, directory=tmp_path).run_id == task.run_id
