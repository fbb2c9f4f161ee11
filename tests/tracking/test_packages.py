"""The flag `--track`: its grammar, and packages that are not there."""

import importlib.util
import json
import subprocess
import sys

import pytest

from launch import running, train
from scaling import execution
from scaling.tracking import packages


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("tensorboard", ("tensorboard",)),
        ("wandb,tensorboard", ("wandb", "tensorboard")),
        ("tensorboard, tensorboard", ("tensorboard",)),
        ("none", ()),
    ],
)
def test_trackers_are_listed_as_the_flags_list_everything(text, names):
    assert packages.parse(text) == names


@pytest.mark.parametrize("text", ["", "tensorboard,none", "mlflow", "wandb,,none"])
def test_what_is_no_tracker_is_refused(text):
    with pytest.raises(ValueError, match=r"^--track is .* give none alone\.$"):
        packages.parse(text)


def test_a_package_that_is_missing_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=r"needs the package wandb, .*'\.\[wandb\]'.*\.$"
    ):
        packages.check(["wandb"])
    with pytest.raises(ValueError, match=r"--track tensorboard .*tensorboardX.*\.$"):
        packages.load("tensorboard")
    packages.check([])


def test_a_folder_of_the_service_here_is_no_package(monkeypatch, tmp_path):
    """Weights & Biases makes ./wandb, which Python takes for a namespace."""
    (tmp_path / "emptyfolder").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    package = packages.Package("emptyfolder", "it")
    monkeypatch.setitem(packages.PACKAGES, "wandb", package)
    with pytest.raises(ValueError, match="needs the package emptyfolder"):
        packages.check(["wandb"])


def test_a_run_is_told_by_the_flag_and_by_default_nothing_is_tracked_in_a_library():
    assert running.Running().track == "tensorboard"
    assert execution.DEFAULT.track == ()
    how = execution.Execution(track=("tensorboard", "wandb"))
    told = json.loads(json.dumps(execution.as_dict(how)))
    assert execution.from_dict(told) == how


def test_a_wrong_flag_is_refused_before_anything_is_written(tmp_path):
    flags = ["--preset", "demo", "--frames", "4e3", "--fraction", "0.5"]
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=r"^--track is 'mlflow'"):
        train.train([*flags, "--out", str(out), "--track", "mlflow"])
    assert not out.exists()


def test_the_commands_import_no_tracker():
    program = (
        "import sys, launch.sweep, launch.train, scaling.tracking.followers\n"
        "late = {'tensorboardX', 'wandb', 'jax', 'google.protobuf'}\n"
        "print(sorted(late & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
