"""Slurm's queue, as far as a sweep needs it: submit, look, cancel.

What was submitted is noted in DIR/slurm/jobs/RUN_ID, so that another call of the same
command finds the jobs of the one before instead of submitting them again.
"""

import pathlib
import subprocess
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import submitit
from submitit.core import utils

from launch.executors.slurm_job import Job

FOLDER = "slurm"
_ARRAY = 1000  # jobs of one array; Slurm's MaxArraySize is 1001 unless it is raised
_NEVER = 1 << 30  # requeues after which submitit gives up: our own rules say when
_WAIT_S = 60.0


class Limits(NamedTuple):
    """What each job may take, and does."""

    minutes: int
    notice_s: int  # before they are over, at which the run is asked to save
    resources: Mapping[str, float]  # CPU among them
    partition: str | None
    options: Mapping[str, str]  # of sbatch, besides
    start: str = "launch.executors.slurm_job:start_real_runs"  # what makes a run


class Queue:
    """The jobs of one study.

    Args:
      directory: of the study, which all nodes share.
    """

    def __init__(self, directory: pathlib.Path):
        self._folder = directory.absolute() / FOLDER
        self._notes = self._folder / "jobs"

    def submit(self, jobs: Mapping[str, Job], limits: Limits, parallel: int) -> None:
        """Submits jobs by the names of their runs, in order.

        Args:
          jobs: to submit; the first ones begin first.
          limits: of each.
          parallel: of them at a time, at most.

        Raises:
          ValueError: if Slurm refuses them.
        """
        names = list(jobs)
        if names:
            self._notes.mkdir(parents=True, exist_ok=True)
        for start in range(0, len(names), _ARRAY):
            part = names[start : start + _ARRAY]
            ids = self._submit([jobs[name] for name in part], limits, parallel)
            for name, job_id in zip(part, ids, strict=True):
                (self._notes / name).write_text(job_id)

    def _submit(self, jobs: Sequence[Job], limits: Limits, parallel: int) -> list[str]:
        executor = submitit.SlurmExecutor(self._folder, max_num_timeout=_NEVER)
        executor.update_parameters(**parameters(limits, parallel))
        try:
            with executor.batch():
                made = [executor.submit(job) for job in jobs]
        except utils.FailedJobError as error:
            said = " ".join(str(error).split())[:300].rstrip(".")
            raise ValueError(
                f"Slurm refuses the jobs ({said}); see --partition, --time, "
                "--resources and --sbatch."
            ) from error
        return [job.job_id for job in made]

    def known(self) -> dict[str, str]:
        """Returns the newest job of every run that ever had one."""
        if not self._notes.is_dir():
            return {}
        return {path.name: path.read_text() for path in self._notes.iterdir()}

    def alive(self) -> dict[str, str] | None:
        """Returns the state of each of the user's jobs; None: Slurm does not answer."""
        asked = ["--noheader", "--array", "--me", "--format=%F_%K|%A|%T"]
        try:
            told = _call("squeue", *asked)
        except (OSError, subprocess.SubprocessError):
            return None
        found = {}
        for line in told.splitlines():
            in_array, alone, state = line.split("|")
            found[alone if in_array.endswith("_N/A") else in_array] = state
        return found

    def ask_to_end(self, ids: Collection[str]) -> None:
        """Takes back the jobs that wait, and asks those at work to save and end."""
        if ids:
            _call("scancel", "--state=PENDING", *ids, check=False)
            # Without the state it would try for a minute to tell those just cancelled.
            _call("scancel", "--state=RUNNING", "--signal=TERM", *ids, check=False)

    def kill(self, ids: Collection[str]) -> None:
        """Ends jobs whatever they are at."""
        if ids:
            _call("scancel", *ids, check=False)


def parameters(limits: Limits, parallel: int) -> dict[str, Any]:
    """Returns what submitit is told of every job."""
    resources = dict(limits.resources)
    cpus = int(resources.pop("CPU"))
    more: dict[str, Any] = {"requeue": True, **limits.options}
    if resources:
        more["gres"] = ",".join(
            f"{name.lower()}:{amount:g}" for name, amount in resources.items()
        )
    return {
        "job_name": "sweep",
        "partition": limits.partition,
        "time": limits.minutes,
        "nodes": 1,
        "ntasks_per_node": 1,
        "cpus_per_task": cpus,
        # srun does not take it over from sbatch any more.
        "srun_args": [f"--cpus-per-task={cpus}"],
        "array_parallelism": parallel,
        "signal_delay_s": limits.notice_s,
        "stderr_to_stdout": True,
        "additional_parameters": more,
    }


def _call(*command: str, check: bool = True) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=check, timeout=_WAIT_S
    )
    return done.stdout
