"""Weights & Biases, by a stand-in for its package; the real one where it is."""

import importlib.machinery
import importlib.util
import json
import pathlib
import struct
import sys
import time
import types

import pytest
import test_followers

from scaling import config

BLOCK = 1 << 15
RUN_ID = config.run_id(test_followers.SETTINGS, test_followers.CELL)


class Server(types.ModuleType):
    """The package: what reaches the server is `rows`, by run and step."""

    def __init__(self):
        super().__init__("wandb")
        self.__spec__ = importlib.machinery.ModuleSpec("wandb", None, origin="here")
        self.rows, self.asked, self.failing = {}, [], ()

    def Settings(self, **values):  # noqa: N802
        return values

    def init(self, **asked):
        self.fail("init")
        self.asked.append(asked)
        return Opened(self, **asked)

    def fail(self, where):
        if where in self.failing:
            raise RuntimeError("no\nroute to host")


class Opened:
    """A run: kept in a folder while offline, else on the server at once."""

    def __init__(self, server, id, dir, mode, **_):
        self.server, self.starting_step = server, 0
        if mode == "online":
            self.rows = server.rows.setdefault(id, {})
            self.starting_step = max(self.rows, default=-1) + 1
        else:
            self.rows, number = {}, len(server.asked)
            self.file = dir / "wandb" / f"offline-run-{number:03d}-{id}" / "rows.json"
            self.file.parent.mkdir(parents=True)

    def log(self, values, step):
        self.server.fail("log")
        assert step >= max(self.rows, default=0), "W&B drops steps that go back"
        self.rows.setdefault(step, {}).update(values)

    def finish(self):
        self.server.fail("finish")
        if hasattr(self, "file"):
            self.file.write_text(json.dumps(self.rows))


@pytest.fixture
def server(monkeypatch):
    made = Server()
    monkeypatch.setitem(sys.modules, "wandb", made)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return made


def run(tmp_path, *interruptions):
    directory = tmp_path / RUN_ID
    return test_followers.run(directory, interruptions, {2, 5}, names=["wandb"])


def rows_of(directory) -> dict[int, dict]:
    (file,) = directory.glob("wandb/offline-run-*/rows.json")
    return {int(step): row for step, row in json.loads(file.read_text()).items()}


def test_offline_is_the_default_and_a_run_that_went_on_is_one_run(server, tmp_path):
    broken, unbroken = run(tmp_path / "a", 4, 8), run(tmp_path / "b")
    assert rows_of(broken) == rows_of(unbroken)
    assert len(rows_of(broken)) == test_followers.CALLS
    asked = server.asked[0]
    assert (asked["id"], asked["mode"], asked["resume"]) == (RUN_ID, "offline", None)
    assert asked["group"] == config.study_hash(test_followers.SETTINGS)
    assert asked["config"]["fraction"] == 0.5
    assert asked["config"]["learner"]["learning_rate"] > 0


def test_rows_have_the_names_of_the_lines(server, tmp_path):
    rows = rows_of(run(tmp_path))
    assert rows[64 * 3]["train/loss"] == 1 / 3
    assert rows[64 * 3]["curve/score"] == 3.0
    assert "curve/score" not in rows[64]


def test_online_the_server_gets_what_it_lacks(server, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "online")
    run(tmp_path, 4, 8)
    rows = server.rows.pop(RUN_ID)
    run(tmp_path / "unbroken")
    assert rows == server.rows[RUN_ID]
    assert {asked["resume"] for asked in server.asked} == {"allow"}


def test_the_project_is_ours_or_the_users(server, tmp_path, monkeypatch):
    run(tmp_path / "a")
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    run(tmp_path / "b")
    projects = [asked["project"] for asked in server.asked]
    assert projects == ["scaling-unplugged", "mine"]


def test_settings_and_cell_share_no_name():
    """Both are the config of a run there, side by side."""
    settings, cell = map(config.as_dict, (test_followers.SETTINGS, test_followers.CELL))
    assert not settings.keys() & cell.keys()


@pytest.mark.parametrize("where", ["init", "log", "finish"])
def test_trouble_with_the_service_does_not_end_a_run(where, server, tmp_path, capsys):
    server.failing = (where,)
    directory = run(tmp_path)
    said = capsys.readouterr().err
    assert said.count("gets no more of this run (no route to host)") == 1
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["call"] == test_followers.CALLS


def test_a_missing_package_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"'\.\[wandb\]'.*\.$"):
        run(tmp_path)


def records(path: pathlib.Path) -> list[bytes]:
    """The records of a .wandb file: a LevelDB log after seven bytes of head."""
    data, at, part, found = path.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        if (left := BLOCK - at % BLOCK) < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        part, at = part + data[at + 7 : at + 7 + length], at + 7 + length
        if kind in (1, 4):  # whole, or the last part
            found.append(part)
            part = b""
    return found


def history(path: pathlib.Path) -> list[dict]:
    messages = importlib.import_module("wandb.proto.wandb_internal_pb2")
    rows = []
    for data in records(path):
        record = messages.Record()
        record.ParseFromString(data)
        if record.HasField("history"):
            items = record.history.item
            rows.append({".".join(i.nested_key) or i.key: i.value_json for i in items})
    return rows


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("wandb") is None, reason="the extra wandb is not installed"
)
def test_the_package_itself_writes_one_offline_run(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    directory = run(tmp_path, 4, 8)
    (folder,) = directory.glob(f"wandb/offline-run-*-{RUN_ID}")
    (file,) = folder.glob("*.wandb")
    deadline = time.monotonic() + 10  # its own process writes on for a moment
    while len(rows := history(file)) < test_followers.CALLS:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [int(row["_step"]) for row in rows] == [64 * n for n in range(1, 9)]
    assert float(rows[2]["curve/score"]) == 3.0
    assert float(rows[2]["train/loss"]) == 1 / 3
