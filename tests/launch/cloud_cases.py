"""Tasks for clouds, as tests of their files need them."""

from typing import Any

from launch import cloud_machines, cloud_task
from scaling import targets

ODD = ("--preset", "demo", "--env", "a b'c\"$(touch x)`y`$HOME\\", "--budgets=2e3")
PLAIN = ("--preset", "demo")


def task(
    target_name: str, sweep: tuple[str, ...] = PLAIN, /, **changes: Any
) -> cloud_task.Task:
    target = targets.parse(target_name)
    given: dict[str, Any] = {
        "bucket": "gs://bucket/studies",
        "share": "10.0.0.2:/vol1" if cloud_machines.machines(target) > 1 else None,
        "image": "us-docker.pkg.dev/p/r/unplugged:1",
        "spot": False,
        "project": None,
        "zone": None,
        "name": "unplugged",
    }
    made = cloud_task.Task(target=target, sweep=sweep, **(given | changes))
    cloud_task.check(made)
    return made
