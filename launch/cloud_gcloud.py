"""Cloud TPU's virtual machines: a script that asks for them, and one that they run."""

import shlex

from launch import cloud_gcloud_scripts as scripts
from launch import cloud_machines
from launch.cloud_task import Task, check_shared, comment, count, fill, shell

CREATE, STARTUP = "gcloud-create.sh", "gcloud-startup.sh"


def refuse(task: Task) -> None:
    """Refuses what Cloud TPU cannot run.

    Raises:
      ValueError: saying what is missing.
    """
    if not cloud_machines.is_tpu(task.target):
        raise ValueError(
            f"Queued resources of Cloud TPU are TPUs, and {task.target.name} is a GPU; "
            "use --provider skypilot or gke."
        )
    if task.bucket is not None and task.bucket.startswith("s3://"):
        raise ValueError(
            f"Cloud TPU's machines have no key to {task.bucket}; give a gs:// bucket."
        )
    if task.image is None and task.bucket is None:
        raise ValueError(
            "The machines of Cloud TPU need the program: give --bucket, from which "
            "they copy it, or --image, which they pull."
        )
    check_shared(task)
    if task.share is None and task.bucket is None:
        raise ValueError(
            "The results must outlive the machines; give --bucket or --share."
        )


def files(task: Task) -> dict[str, str]:
    """Returns the scripts by name."""
    return {CREATE: _create(task), STARTUP: _startup(task)}


def steps(task: Task, folder: str) -> list[str]:
    """Returns what to type, one command a line, with comments."""
    where = _where(task)
    one, output = ("--worker=0" if task.machines > 1 else ""), _output(task)
    ssh = f"gcloud compute tpus tpu-vm ssh {task.name} {where} {one}".rstrip()
    return [
        *_set_variables(task),
        f"bash {shlex.quote(folder)}/{CREATE}",
        "# How far it is: WAITING_FOR_RESOURCES, PROVISIONING, ACTIVE, SUSPENDED",
        f"gcloud compute tpus queued-resources describe {task.name} {where} "
        "--format='value(state.state)'",
        f"{ssh} --command='sudo journalctl --unit study --follow'",
        f"# The results: {output}",
        "# Stop paying for the machines, finished or not:",
        _delete(task),
    ]


def _create(task: Task) -> str:
    spot = (
        "Spot: cheaper, and taken away at any time with 30 seconds of notice; the\n"
        "# queued resource is SUSPENDED then."
        if task.spot
        else "Not spot; --spot is cheaper, and the machines may be taken away."
    )
    each = "It" if task.machines == 1 else "Each machine"
    values = {
        "TYPE": cloud_machines.accelerator_type(task.target),
        "RUNTIME": cloud_machines.TPUS[task.target.chip.name].runtime,
        "CHIPS": count(task.target.chips, "chip"),
        "CHIP": task.target.chip.name,
        "MACHINES": count(task.machines, "virtual machine"),
        "EACH": each,
        "STARTUP": STARTUP,
        "DELETE": _delete(task),
        "SPOT_NOTE": spot,
        "SPOT": " --spot" if task.spot else "",
        "PROJECT": task.project or '"${PROJECT:?set PROJECT to your project}"',
        "ZONE": task.zone
        or f'"${{ZONE:?set ZONE to one with {task.target.chip.name}}}"',
        "NAME": task.name,
        "SOURCE": "" if task.image else fill(scripts.UPLOAD, {"BUCKET": _folder(task)}),
    }
    return fill(scripts.CREATE, values)


def _startup(task: Task) -> str:
    data = _data(task)
    where = {"BUCKET": _folder(task), "SHARE": task.share or "", "DATA": data}
    image = task.image or scripts.BUILT
    steps = fill(scripts.BUILD, where) if task.image is None else _pull(image)
    if task.share is not None:
        how, keep = f"with its output on {task.share}.", fill(scripts.MOUNT, where)
    else:
        how, keep = f"with its output in {_output(task)}.", fill(scripts.DISK, where)
    values = {
        "NAME": task.name,
        "HOW": comment(how),
        "DATA": data,
        "IMAGE_STEPS": steps.strip(),
        "DATA_STEPS": keep.strip(),
        "RUN": _run(task, image),
    }
    return fill(scripts.STARTUP, values)


def _pull(image: str) -> str:
    registry, pull = image.partition("/")[0], f"docker pull {image}"
    if not registry.endswith((".pkg.dev", "gcr.io")):
        return pull
    return f"gcloud auth configure-docker {registry} --quiet\n{pull}"


def _run(task: Task, image: str) -> str:
    data, out = _data(task), "/data/results" if task.share else _output(task)
    parts = [
        "docker run --rm --init --name=study --privileged --net=host --user=root",
        f"--volume={data}:/data --env=JAX_COMPILATION_CACHE_DIR=/data/compiled",
        # where the copy of the bucket lies, which outlives the container
        "--env=XDG_CACHE_HOME=/data/cache",
        image,
        shell(task.command("python", out), "  "),
    ]
    return " \\\n  ".join(parts)


def _data(task: Task) -> str:
    return f"/mnt/share/{task.name}" if task.share else "/var/study"


def _folder(task: Task) -> str:
    return f"{task.bucket}/{task.name}" if task.bucket else ""


def _output(task: Task) -> str:
    if task.share is not None:
        return f"{task.share}/{task.name}/results"
    return f"{_folder(task)}/results"


def _where(task: Task) -> str:
    project = task.project or '"$PROJECT"'
    return f"--project={project} --zone={task.zone or chr(34) + '$ZONE' + chr(34)}"


def _set_variables(task: Task) -> list[str]:
    missing = [name for name in ("project", "zone") if getattr(task, name) is None]
    return [f"export {name.upper()}=…" for name in missing]


def _delete(task: Task) -> str:
    return (
        f"gcloud compute tpus queued-resources delete {task.name} {_where(task)} "
        "--force --quiet"
    )
