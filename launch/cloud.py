"""Writes what a user runs to make a sweep on a cloud, and explains it."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import tyro

from launch import (
    cloud_gcloud,
    cloud_gke,
    cloud_machines,
    cloud_skypilot,
    cloud_sweep,
    cloud_task,
    command,
)
from scaling import results, targets
from scaling.buckets import addresses

DESCRIPTION = """Writes the files with which a sweep runs on a cloud, and prints the
commands that use them; it runs none of them and asks no cloud. The flags of sweep.py
come after --:

    python launch/cloud.py --target tpu:v5e:2x4 --bucket gs://BUCKET -- --preset demo

Sizes that were not given (--shards, --environments, --max-lanes) are raised to what all
chips of the target need, as launch/compile.py does. No cloud was reachable where this
was made: see docs/cloud.md."""
GO_ON = "Files that were written are whole."


class Provider(NamedTuple):
    """Something that runs a task on a cloud."""

    title: str
    refuse: Callable[[cloud_task.Task], None]  # raises ValueError
    files: Callable[[cloud_task.Task], dict[str, str]]  # texts by name
    steps: Callable[[cloud_task.Task, str], list[str]]  # what to type


PROVIDERS = {
    "gcloud": Provider(
        "Cloud TPU's virtual machines (queued resources)",
        cloud_gcloud.refuse,
        cloud_gcloud.files,
        cloud_gcloud.steps,
    ),
    "skypilot": Provider(
        "SkyPilot", cloud_skypilot.refuse, cloud_skypilot.files, cloud_skypilot.steps
    ),
    "gke": Provider(
        "Google Kubernetes Engine", cloud_gke.refuse, cloud_gke.files, cloud_gke.steps
    ),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cloud:
    """The flags of `cloud.py`."""

    target: str
    """Hardware, as tpu:v5e:4x4, tpu:v5e-16 or gpu:h100:8."""
    provider: Literal["all", "gcloud", "skypilot", "gke"] = "all"
    """What to write files for; `all`: for those that can run it."""
    bucket: str | None = None
    """gs://BUCKET/FOLDER, or s3:// with SkyPilot: the output of one machine is there
    (sweep.py --out)."""
    share: str | None = None
    """HOST:/EXPORT of an NFS server, such as Filestore: the output is written there;
    what a target of several machines needs."""
    image: str | None = None
    """Container image of this project that the machines can pull; GKE needs one, Cloud
    TPU's machines build their own otherwise."""
    spot: bool = False
    """Ask for cheaper machines that may be taken away."""
    project: str | None = None
    """Google Cloud's project (default: the variable PROJECT when the files are run)."""
    zone: str | None = None
    """Google Cloud's zone (default: the variable ZONE, when the files are run)."""
    name: str = "unplugged"
    """Of everything that is made on the cloud; a study of its own needs its own."""
    out: pathlib.Path = pathlib.Path("cloud")
    """Folder for the files."""


def cloud(argv: Sequence[str]) -> int:
    """Writes the files; returns the exit status.

    Raises:
      ValueError: if the target, the sweep or the way to run it cannot be; nothing is
        written then.
    """
    own, sweep = _split(argv)
    flags = tyro.cli(Cloud, args=own, description=DESCRIPTION)
    addresses.refuse(flags.out, "--out")
    if flags.out.exists() and not flags.out.is_dir():
        raise ValueError(f"--out {flags.out} is a file; choose a folder.")
    task = task_of(flags, sweep)
    chosen, refused = _able(task, flags.provider)
    complete = cloud_sweep.completed(sweep, task.target, flags.out / "nowhere")
    task = dataclasses.replace(task, sweep=complete)
    print(_described(task, sweep))
    for provider in chosen:
        written = provider.files(task)
        for name, text in written.items():
            results.write_atomically(flags.out / name, text)
        _explain(provider, task, flags.out, list(written))
    for title, reason in refused.items():
        print(f"\nNot for {title}: {reason}")
    return 0


def task_of(flags: Cloud, sweep: Sequence[str]) -> cloud_task.Task:
    """Returns what the flags ask for, with the sweep's flags as they are.

    Raises:
      ValueError: if there is no such target, or a name cannot stand in a script.
    """
    target = targets.parse(flags.target)
    names = {field.name for field in dataclasses.fields(cloud_task.Task)}
    given = {k: v for k, v in vars(flags).items() if k in names - {"target", "sweep"}}
    task = cloud_task.Task(target=target, sweep=tuple(sweep), **given)
    cloud_task.check(task)
    return task


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the flags before and after `--`."""
    words = list(argv)
    if "--" in words:
        at = words.index("--")
        return words[:at], words[at + 1 :]
    if {"--help", "-h"} & set(words):
        return words, []
    raise ValueError(
        "The flags of the sweep are missing; give them after --, for example "
        "-- --preset demo."
    )


def _able(
    task: cloud_task.Task, provider: str
) -> tuple[list[Provider], dict[str, str]]:
    """Returns the providers to write for, and of `all` why not, by title.

    Raises:
      ValueError: if none is left.
    """
    chosen, refused = [], {}
    for name, each in PROVIDERS.items():
        if provider not in ("all", name):
            continue
        try:
            each.refuse(task)
        except ValueError as reason:
            refused[each.title] = str(reason)
        else:
            chosen.append(each)
    if not chosen:
        raise ValueError(" ".join(dict.fromkeys(refused.values())))
    return chosen, refused


def _described(task: cloud_task.Task, given: Sequence[str]) -> str:
    """Returns what will run, in a few lines."""
    machines = cloud_task.count(task.machines, "machine")
    chips = cloud_task.count(task.target.chips, "chip")
    each = cloud_machines.chips_a_machine(task.target)
    lines = [f"{task.target.name}: {chips}, {machines} of {each}."]
    if added := task.sweep[len(given) :]:
        lines.append(f"Added to the sweep's flags for its chips: {' '.join(added)}")
    return "\n".join(lines)


def _explain(
    provider: Provider,
    task: cloud_task.Task,
    out: pathlib.Path,
    written: Sequence[str],
) -> None:
    print(f"\n{provider.title}: {', '.join(str(out / file) for file in written)}")
    for step in provider.steps(task, str(out)):
        print(f"  {step}")


if __name__ == "__main__":
    command.run(cloud, GO_ON)
