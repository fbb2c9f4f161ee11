"""Which executor a sweep takes, what it is told, and what is refused."""

import importlib.util
import shutil

import pytest

from launch import executing, running, sweep
from launch.executing import Where
from launch.executors import local
from scaling import hardware

SMALL = ["--preset", "demo", "--budgets", "2e3", "--fractions", "0", "--seeds", "1"]


def test_the_default_is_this_machine_with_the_flags_of_the_sweep(tmp_path, monkeypatch):
    asked = {}

    def execute(tasks, report, **how):
        asked.update(how, runs=[task.run_id for task in tasks])
        return []

    monkeypatch.setattr(local, "execute", execute)
    out = ["--out", str(tmp_path / "out")]
    sweep.sweep([*SMALL, *out, "--parallel", "1", "--grace", "7"])
    assert len(asked["runs"]) == 1
    assert (asked["parallel"], asked["grace_s"]) == (1, 7.0)


@pytest.mark.parametrize("executor", ["ray", "slurm"])
def test_a_service_is_asked_for_nothing_where_all_is_done(
    tmp_path, monkeypatch, executor
):
    out = ["--out", str(tmp_path / "out")]
    monkeypatch.setattr(local, "execute", _finish)
    sweep.sweep([*SMALL, *out])
    monkeypatch.setattr(executing, "check", lambda *_: None)
    assert sweep.sweep([*SMALL, *out, "--executor", executor]) == 0


def _finish(tasks, report, **how):
    from scaling import results

    for task in tasks:
        row = results.identity(task.settings, task.cell, "factorial")
        results.write_row(task.directory, {**row, "status": "ok"})
    return []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--hosts", "2"], "--hosts 2 is for --executor ray, and this is --executor l"),
        (["--resources", "GPU=1"], "GPU=1 is for --executor ray or slurm"),
        (["--detach"], "--detach is for --executor slurm"),
        (["--executor", "ray", "--partition", "big"], "--partition big is for"),
        (["--executor", "slurm", "--address", "h:1"], "--address h:1 is for"),
        (["--executor", "slurm", "--hosts", "2"], "--hosts 2 is for --executor ray"),
        (["--executor", "ray", "--hosts", "0"], "got 0, use at least 1"),
        (["--executor", "ray", "--resources", "GPU"], "--resources has 'GPU'"),
        (["--executor", "ray", "--resources", "GPU=0"], "--resources has 'GPU=0'"),
        (["--executor", "slurm", "--time", "soon"], "--time is 'soon'"),
        (["--executor", "slurm", "--time", "0"], "gives a job 0 minutes"),
        (["--executor", "slurm", "--time", "5", "--grace", "300"], "330 s before"),
        (["--executor", "slurm", "--sbatch", "account"], "--sbatch has 'account'"),
        (
            ["--executor", "ray", "--coordinator", "h:1"],
            "and --executor ray starts them; leave it out",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path, flags, message):
    out = ["--out", str(tmp_path / "out")]
    with pytest.raises(ValueError, match=message) as caught:
        sweep.sweep([*SMALL, *out, *flags])
    assert str(caught.value).endswith(".")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("executor", "package"), [("ray", "ray"), ("slurm", "submitit")]
)
def test_a_missing_package_is_a_sentence_that_names_the_extra(
    monkeypatch, executor, package
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=rf"\[{executor}\]") as caught:
        executing.check(Where(executor=executor), running.AS_USUAL)
    assert f"needs the package {package};" in str(caught.value)
    assert str(caught.value).endswith(".")


def test_slurm_is_refused_where_no_jobs_can_be_submitted(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="no sbatch on this machine"):
        executing.check(Where(executor="slurm"), running.AS_USUAL)


def test_resources_always_name_the_cpus():
    assert executing.resources(None) == {"CPU": 1}
    assert executing.resources("TPU=4") == {"CPU": 1, "TPU": 4}
    assert executing.resources("CPU=8, GPU=1") == {"CPU": 8, "GPU": 1}


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        (None, 60),
        ("90", 90),
        ("2:00:00", 120),
        ("1-02:03:00", 24 * 60 + 123),
        ("10:30", 11),  # minutes and seconds, as Slurm reads them; rounded up
    ],
)
def test_a_time_limit_is_read_as_slurm_reads_it(text, minutes):
    assert executing.minutes(text) == minutes


def test_options_of_sbatch():
    assert executing.options(None) == {}
    assert executing.options("account=lab,qos=low") == {"account": "lab", "qos": "low"}


def test_the_number_of_runs_is_the_users_or_that_of_the_service():
    assert executing.parallel(Where(), None) is None
    assert executing.parallel(Where(executor="ray"), None) == executing.MOST
    assert executing.parallel(Where(executor="ray"), 3) == 3


@pytest.mark.parametrize("executor", ["ray", "slurm"])
def test_a_mesh_of_other_hosts_is_not_held_against_the_devices_here(
    tmp_path, monkeypatch, executor
):
    monkeypatch.setattr(executing, "check", lambda *_: None)
    flags = ["--out", str(tmp_path / "out"), "--dry-run", "--mesh.data", "8"]
    with pytest.raises(ValueError, match=r"--mesh\.data 8"):
        sweep.sweep([*SMALL, *flags])
    assert sweep.sweep([*SMALL, *flags, "--executor", executor]) == 0
    with pytest.raises(ValueError, match="use at least 1"):
        sweep.sweep([*SMALL, *flags[:-1], "0", "--executor", executor])


def test_a_sweep_whose_runs_are_made_elsewhere_takes_no_device_of_this_host(
    monkeypatch,
):
    monkeypatch.setattr(hardware, "in_cluster", lambda: True)
    assert (
        executing.part(Where(executor="ray")).join(hardware.ONE_PROCESS, []).count == 1
    )
