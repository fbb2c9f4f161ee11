"""A SkyPilot task, for TPUs of Google and GPUs of Google or Amazon."""

import shlex

from launch import cloud_machines
from launch.cloud_task import Task, check_shared, comment, count, fill, shell

FILE = "skypilot.yaml"

_TASK = """# A managed job of SkyPilot: the sweep below on @TARGET@, @MACHINES@,
@HOW@
#
#   sky jobs launch --name @NAME@ @FILE@      in the project's directory
#
# SkyPilot finds the machines, runs `setup` and `run` on each, starts new ones when they
# were taken away or the sweep ended with exit status 75, and deletes them when it has
# ended otherwise. `use_spot: true` (--spot) is cheaper; the machines may be taken away
# then, and the sweep goes on from its last checkpoint.
#
# Cost: the machines until they are deleted; SkyPilot's jobs controller, a small machine
# of its own that stays until `sky down` of it; the bucket or share. Stop with
#   sky jobs cancel --name @NAME@
#
# Written by launch/cloud.py for SkyPilot 0.14; never run on a cloud.
name: @NAME@
workdir: .
resources:
  infra: @INFRA@
  accelerators: @ACCELERATOR@
  @RUNTIME@
  use_spot: @SPOT@
  job_recovery:
    recover_on_exit_codes: [75]
setup: |
  set -e
  export PATH="$HOME/.local/bin:$PATH" # SkyPilot's uv
  if [ ! -x "$HOME/venv/bin/pip" ]; then
    uv venv --seed --python 3.12 "$HOME/venv"
  fi
  "$HOME/venv/bin/pip" install -c constraints.txt -e '.[@EXTRA@,gcs,s3]'
  @PREPARE@
run: |
  export JAX_COMPILATION_CACHE_DIR=@CACHE@
  @RUN@
"""

_MOUNT = """
sudo apt-get update --quiet
sudo apt-get install --quiet --yes --no-install-recommends nfs-common
sudo mkdir -p /mnt/share
mountpoint --quiet /mnt/share || sudo mount -t nfs -o hard @SHARE@ /mnt/share
sudo mkdir -p /mnt/share/@NAME@
sudo chown "$(id --user)" /mnt/share/@NAME@
"""


def refuse(task: Task) -> None:
    """Refuses what a SkyPilot task cannot run.

    Raises:
      ValueError: saying what is missing.
    """
    amazon = _is_amazon(task)
    if amazon and cloud_machines.is_tpu(task.target):
        raise ValueError(
            f"{task.target.name} is Google's, whose machines have no key to "
            f"{task.bucket}; give a gs:// bucket."
        )
    check_shared(task)
    if task.share is None and task.bucket is None:
        raise ValueError(
            "SkyPilot deletes its machines, and the results must outlive them; give "
            "--bucket or --share."
        )


def files(task: Task) -> dict[str, str]:
    """Returns the task by its file's name."""
    if task.share is not None:
        how = f"with its output on {task.share}."
        values = {"SHARE": task.share, "NAME": task.name}
        prepare, data = fill(_MOUNT, values), f"/mnt/share/{task.name}"
    else:
        how = f"with its output in {_output(task)}."
        prepare, data = "", "$HOME/study"
    tpu = cloud_machines.is_tpu(task.target)
    return {
        FILE: fill(
            _TASK,
            {
                "TARGET": task.target.name,
                "MACHINES": count(task.machines, "machine"),
                "HOW": comment(how),
                "FILE": FILE,
                "NAME": task.name,
                "INFRA": _infra(task),
                "ACCELERATOR": cloud_machines.skypilot_accelerator(task.target),
                "RUNTIME": _runtime(task) if tpu else "",
                "SPOT": "true" if task.spot else "false",
                "EXTRA": cloud_machines.extra(task.target),
                "PREPARE": prepare.strip(),
                "CACHE": f'"{data}/compiled"',
                "RUN": _run(task, data),
            },
        )
    }


def steps(task: Task, folder: str) -> list[str]:
    """Returns what to type, one command a line, with comments."""
    return [
        f"sky jobs launch --name {task.name} {shlex.quote(folder)}/{FILE}",
        "sky jobs queue",
        f"sky jobs logs --name {task.name}",
        f"# The results: {_output(task)}",
        "# Stop before the end (at the end SkyPilot deletes the machines itself):",
        f"sky jobs cancel --name {task.name}",
    ]


def _run(task: Task, data: str) -> str:
    out = f"{data}/results" if task.share else _output(task)
    words = shell(task.command("PYTHON", out))
    # $HOME is the machine's: this word alone is for its shell to expand.
    return words.replace("PYTHON", '"$HOME/venv/bin/python"', 1)


def _runtime(task: Task) -> str:
    runtime = cloud_machines.TPUS[task.target.chip.name].runtime
    return f"accelerator_args:\n  runtime_version: {runtime}"


def _infra(task: Task) -> str:
    if _is_amazon(task):
        return "aws"
    if task.zone is None:
        return "gcp"
    return f"gcp/{task.zone.rpartition('-')[0]}/{task.zone}"


def _is_amazon(task: Task) -> bool:
    return task.share is None and (task.bucket or "").startswith("s3://")


def _output(task: Task) -> str:
    return f"{task.share or task.bucket}/{task.name}/results"
