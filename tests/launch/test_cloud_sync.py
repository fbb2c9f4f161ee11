"""The copy in a bucket: made, kept, taken up elsewhere, and never destroyed."""

import contextlib
import functools
import json
import os
import pathlib
import signal
import stat
import subprocess
import sys
import time

import pytest

from launch import cloud_sync

ROOT = pathlib.Path(__file__).parents[2]
# Does what `gcloud storage` and `aws s3` do with the flags that sync.sh gives them;
# buckets are folders. FAIL names what fails.
TOOL = r"""#!{python} -IS
import fnmatch, json, os, pathlib, re, shutil, sys
with open(os.environ["CALLS"], "a") as log:
    print(json.dumps(sys.argv[1:]), file=log)
verb, *words = sys.argv[2:]
flags = [w for w in words if w.startswith("--")]
def place(name):
    return pathlib.Path(re.sub("^(gs|s3)://", os.environ["BUCKETS"] + "/", name))
if os.environ.get("FAIL") == verb:
    sys.exit(1)
if verb == "cp":
    to = place(words[1]); to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(sys.stdin.read()); sys.exit(0)
source, target = map(place, words[:2])
if not source.is_dir():
    sys.exit("no such folder")
if sys.argv[1] == "storage":
    (pattern,) = [f.partition("=")[2] for f in flags if f.startswith("--exclude=")]
    hidden = re.compile(pattern).match  # as gcloud: from the start, not to the end
    assert "--recursive" in flags
else:
    shapes = [b for a, b in zip(words, words[1:]) if a == "--exclude"]
    hidden = lambda name: any(fnmatch.fnmatch(name, shape) for shape in shapes)
def files(root):
    names = (str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())
    return {{name for name in names if not hidden(name)}}
here, there = files(source), files(target)
for name in sorted(here):
    to = target / name; to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / name, to)
if {{"--delete", "--delete-unmatched-destination-objects"}} & set(flags):
    for name in there - here:
        (target / name).unlink()
"""


class Machine:
    """A machine with a disk of its own, and the bucket that all machines see."""

    def __init__(self, root: pathlib.Path, name: str, bucket: str):
        self.results = root / name / "results"
        self.bucket, self.calls = bucket, root / "calls"
        self.copy = root / "buckets" / bucket.partition("://")[2]
        tools = root / "tools"
        tools.mkdir(exist_ok=True)
        for tool in ("gcloud", "aws"):
            path = tools / tool
            path.write_text(TOOL.format(python=sys.executable))
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        self.script = root / "sync.sh"
        self.script.write_text(cloud_sync.SCRIPT)
        self.script.chmod(0o700)
        self.environment = os.environ | {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "BUCKETS": str(root / "buckets"),
            "CALLS": str(self.calls),
        }

    def start(self, command: str, **changes: str) -> subprocess.Popen[str]:
        """Starts the script with a command of bash, in which $R is the directory."""
        return subprocess.Popen(
            [self.script, self.results, self.bucket, "bash", "-c", command],
            env=self.environment | {"R": str(self.results)} | changes,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, command: str, **changes: str) -> int:
        process = self.start(command, **changes)
        process.communicate(timeout=600)
        return process.returncode

    def kept(self) -> dict[str, str]:
        """Returns what the bucket has, but for the mark."""
        files = (path for path in self.copy.rglob("*") if path.is_file())
        found = {str(p.relative_to(self.copy)): p.read_text() for p in files}
        found.pop("begun", None)
        return found

    def rows(self) -> list[dict[str, object]]:
        """Returns the rows of runs in the bucket."""
        return [json.loads(p.read_text()) for p in self.copy.rglob("result.json")]

    def rsyncs(self) -> list[list[str]]:
        calls = [json.loads(line) for line in self.calls.read_text().splitlines()]
        return [call for call in calls if call[1] in ("rsync", "sync")]


GOOGLE, AMAZON = "gs://bucket/study/results", "s3://bucket/study/results"
both_clouds = pytest.mark.parametrize("machine", [GOOGLE, AMAZON], indirect=True)


@pytest.fixture
def machine(request, tmp_path):
    bucket = getattr(request, "param", GOOGLE)

    @functools.cache
    def make(name: str = "first") -> Machine:
        return Machine(tmp_path, name, bucket)

    return make


def wait_for(true) -> None:
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_output_is_copied_at_the_end_and_the_status_is_the_commands(machine):
    assert machine().run('mkdir -p "$R/runs"; echo 1 >"$R/runs/a"; exit 3') == 3
    assert machine().kept() == {"runs/a": "1\n"}


@both_clouds
def test_another_machine_goes_on_from_the_copy(machine):
    machine().run('echo 1 >"$R/a"; mkdir "$R/b"; echo 2 >"$R/b/c"')
    second = machine("second")
    assert second.run('cat "$R/a" "$R/b/c" >"$R/d"; rm "$R/a"') == 0
    assert second.kept() == {"b/c": "2\n", "d": "1\n2\n"}


def test_a_machine_that_starts_again_is_ahead_of_the_bucket(machine):
    machine().run('echo 1 >"$R/a"')
    (machine().results / "a").write_text("later\n")  # not copied yet
    assert machine().run('cat "$R/a" >"$R/b"') == 0
    assert machine().kept() == {"a": "later\n", "b": "later\n"}


@both_clouds
def test_leases_and_unfinished_checkpoints_stay_on_the_machine(machine):
    own = ("runs/x/lease/00000001", "runs/x/checkpoints/.00000004.unfinished/manifest")
    taken = ("runs/x/release/a", "runs/x/checkpoints/00000004/manifest", ".lock")
    made = " ".join(f'"$R/{name}"' for name in own + taken)
    status = machine().run(
        f'for f in {made}; do mkdir -p "$(dirname "$f")"; echo 1 >"$f"; done'
    )
    assert status == 0
    assert set(machine().kept()) == set(taken)
    # Those of a machine that went on are no reason to delete, nor are they deleted.
    assert machine().run("true") == 0
    assert all((machine().results / name).exists() for name in own + taken)


def test_sigterm_reaches_the_command_which_saves_before_the_last_copy(machine):
    process = machine().start(
        """trap 'echo saved >"$R/a"; exit 75' TERM
        touch "$R/ready"; while true; do sleep 0.05; done"""
    )
    wait_for((machine().results / "ready").exists)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 75
    assert machine().kept()["a"] == "saved\n"


def test_it_is_copied_while_the_command_runs(machine):
    process = machine().start(
        'echo 1 >"$R/a"; until [ -e "$R/stop" ]; do sleep 0.05; done',
        SYNC_SECONDS="0.1",
    )
    wait_for(lambda: machine().kept() == {"a": "1\n"})
    (machine().results / "stop").touch()
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert set(machine().kept()) == {"a", "stop"}


def test_nothing_is_deleted_before_everything_was_copied(machine):
    machine().run('echo 1 >"$R/a"')
    machine().run('rm "$R/a"; echo 2 >"$R/b"')
    deletes = ["--delete" in " ".join(call) for call in machine().rsyncs()]
    # Once from the bucket; then, for each of two runs, without and with deletions.
    assert deletes == [False, False, True, False, True]
    assert machine().kept() == {"b": "2\n"}


@pytest.mark.parametrize("broken", ["cp", "rsync"])
def test_without_the_bucket_nothing_is_begun_and_nothing_deleted(machine, broken):
    machine().run('echo 1 >"$R/a"')
    second = machine("second")
    assert second.run('echo 2 >"$R/b"', FAIL=broken) == 1
    assert not second.results.exists()
    assert second.kept() == {"a": "1\n"}


def test_a_copy_that_failed_is_not_followed_by_deletions(machine):
    machine().run('echo 1 >"$R/a"')
    process = machine().start('rm "$R/a"; echo 2 >"$R/b"', FAIL="rsync")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "the last copy to" in err
    assert machine().kept() == {"a": "1\n"}


SWEEP = """
cd {root}; exec {python} launch/sweep.py --preset cartpole --budgets 2000
--fractions 0.5 --seeds 1 --parallel 1 --checkpoint-seconds 0.5 --out "$R"
""".replace("\n", " ")


@pytest.mark.slow
def test_a_sweep_goes_on_on_another_machine_to_the_same_end(tmp_path):
    """The first machine is gone from one moment to the next; so is its disk."""
    command = SWEEP.format(root=ROOT, python=sys.executable)
    unbroken = Machine(tmp_path, "unbroken", "gs://bucket/unbroken")
    assert unbroken.run(command) == 0
    first = Machine(tmp_path, "first", "gs://bucket/study")
    process = first.start(command, SYNC_SECONDS="0.5")
    try:
        wait_for(lambda: list(first.copy.rglob("checkpoints/*/manifest.json")))
    finally:
        for pid in tree(process.pid):
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=30)
    assert not first.rows()
    second = Machine(tmp_path, "second", "gs://bucket/study")
    assert second.run(command) == 0
    (row,), (expected,) = second.rows(), unbroken.rows()
    assert row["resumes"] == 1
    same = ("run_id", "digest", "score", "searched_states", "learner_updates")
    assert [row[name] for name in same] == [expected[name] for name in same]


def tree(pid: int) -> list[int]:
    """Returns a process and all that came of it."""
    found = [pid]
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        if parent == pid:
            found += tree(int(path.parent.name))
    return found
