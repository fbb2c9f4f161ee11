"""The scripts for Cloud TPU, run with tools that only note how they are called."""

import os
import pathlib
import stat
import subprocess
from typing import Any

import pytest
from cloud_cases import ODD, task

from launch import cloud_gcloud, cloud_task


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Puts tools that only note how they are called where commands are looked for."""
    folder, calls = tmp_path / "tools", tmp_path / "calls"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(calls))

    def make(*names: str, answers: str = "") -> None:
        for name in names:
            path = folder / name
            note = 'printf "%s\\x1f" "${0##*/}" "$@" >>"$CALLS"; echo >>"$CALLS"'
            path.write_text(f"#!/usr/bin/env bash\n{note}\n{answers}\n")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def noted() -> list[list[str]]:
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [line.split("\x1f")[:-1] for line in lines]

    make.noted = noted  # type: ignore[attr-defined]
    return make


@pytest.mark.parametrize("state", ["", "SUSPENDED", "FAILED", "ACTIVE", "PROVISIONING"])
def test_machines_are_asked_for_again_only_when_they_are_gone(tools, tmp_path, state):
    made = task("tpu:v5e:2x4", image=None, spot=True, zone="us-west4-a")
    script = tmp_path / cloud_gcloud.CREATE
    script.write_text(cloud_gcloud.files(made)[cloud_gcloud.CREATE])
    tools("git")
    tools("gcloud", answers=f"[[ $4 == describe ]] && echo {state}; true")
    subprocess.run(
        ["bash", script],
        check=True,
        capture_output=True,
        env=os.environ | {"PROJECT": "p"},
    )
    calls = [call[1:] for call in tools.noted() if call[0] == "gcloud"]
    assert calls[0][:3] == ["storage", "cp", str(tmp_path / "source.tar.gz")]
    assert calls[0][3] == "gs://bucket/studies/unplugged/source.tar.gz"
    done = [call[3] for call in calls[1:]]
    if state in ("ACTIVE", "PROVISIONING"):
        assert done == ["describe"]
        return
    again = ["delete"] if state else []
    assert done == ["describe", *again, "create"]
    create = calls[-1]
    assert {"--spot", "--node-id=unplugged", "--project=p", "--zone=us-west4-a"} <= (
        set(create)
    )
    assert f"--metadata-from-file=startup-script={tmp_path}/gcloud-startup.sh" in create


def test_without_a_project_the_script_says_so(tools, tmp_path):
    script = tmp_path / cloud_gcloud.CREATE
    script.write_text(cloud_gcloud.files(task("tpu:v5e:2x4"))[cloud_gcloud.CREATE])
    tools("gcloud", "git")
    environment = {k: v for k, v in os.environ.items() if k not in ("PROJECT", "ZONE")}
    done = subprocess.run(
        ["bash", script], check=False, capture_output=True, text=True, env=environment
    )
    assert done.returncode != 0
    assert "set PROJECT to your project" in done.stderr
    assert not tools.noted()


def start(made: cloud_task.Task, tools: Any, tmp_path: pathlib.Path) -> pathlib.Path:
    """Runs the start-up script in a folder of its own; returns the folder."""
    text = cloud_gcloud.files(made)[cloud_gcloud.STARTUP]
    root = tmp_path / "root"
    for folder in ("/opt/study", "/etc/systemd/system", "/var/study", "/mnt/share"):
        text = text.replace(folder, f"{root}{folder}")
    (root / "etc/systemd/system").mkdir(parents=True)
    tools("gcloud", "docker", "systemctl", "apt-get", "mount", "tar")
    tools("mountpoint", answers="false")
    subprocess.run(["bash"], input=text, check=True, text=True, capture_output=True)
    return root


@pytest.mark.parametrize("image", [None, "a-docker.pkg.dev/b/c:1", "d/e:2"])
def test_a_machine_builds_or_pulls_the_program_and_copies_its_output(
    tools, tmp_path, image
):
    made = task("tpu:v5e:2x4", ODD, image=image)
    root = start(made, tools, tmp_path)
    folder, used = root / "opt/study", image or "scaling-unplugged:tpu"
    before = [" ".join(call) for call in tools.noted()]
    assert before[-2:] == ["systemctl daemon-reload", "systemctl restart study"]
    builds = (
        "docker build --build-arg ACCELERATOR=tpu --tag scaling-unplugged:tpu source"
    )
    assert (builds in before) == (image is None)
    assert (f"docker pull {image}" in before) == (image is not None)
    login = "gcloud auth configure-docker a-docker.pkg.dev --quiet"
    assert (login in before) == (image == "a-docker.pkg.dev/b/c:1")
    subprocess.run([folder / "run.sh"], check=True, capture_output=True)
    (ran,) = [call for call in tools.noted() if call[:2] == ["docker", "run"]]
    at = ran.index(used)
    assert f"--volume={root}/var/study:/data" in ran[:at]
    assert "--env=XDG_CACHE_HOME=/data/cache" in ran[:at]  # the bucket's copy is kept
    there = "gs://bucket/studies/unplugged/results"
    assert ran[at + 1 :] == made.command("python", there)
    assert not list(tmp_path.rglob("x"))  # nothing of the flags was expanded
    assert (root / "var/study").is_dir()


def test_machines_of_a_slice_write_to_what_they_share(tools, tmp_path):
    made = task("tpu:v6e:4x4", ODD)
    root = start(made, tools, tmp_path)
    assert [
        "mount",
        "-t",
        "nfs",
        "-o",
        "hard",
        "10.0.0.2:/vol1",
        f"{root}/mnt/share",
    ] in (tools.noted())
    subprocess.run([root / "opt/study/run.sh"], check=True)
    ran = tools.noted()[-1]
    assert f"--volume={root}/mnt/share/unplugged:/data" in ran
    assert ran[-len(ODD) - 4 :] == made.command("python", "/data/results")


def test_the_service_starts_again_after_75_and_not_after_a_refusal(tools, tmp_path):
    root = start(task("tpu:v5e:2x4"), tools, tmp_path)
    unit = (root / "etc/systemd/system/study.service").read_text().splitlines()
    assert "Restart=on-failure" in unit
    assert "RestartPreventExitStatus=1 2" in unit
    assert "KillMode=mixed" in unit
    assert f"ExecStart={root}/opt/study/run.sh" in unit
