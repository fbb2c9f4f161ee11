"""What a user says of the hardware: the mesh, the processes, the targets.

Nothing here imports JAX; `scaling.sharding` makes devices of it.
"""

import dataclasses
import glob
import importlib.util
import os
import pathlib

DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
_PLUGINS = ("libtpu", "jax_cuda12_plugin", "jax_cuda13_plugin")
_DEVICE_FILES = ("/dev/nvidia[0-9]*", "/dev/accel[0-9]*", "/dev/vfio/[0-9]*")


def cache_root() -> pathlib.Path:
    """Returns the folder of this project in the user's cache."""
    root = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(root) / "scaling-unplugged"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mesh:
    """How a run is spread over devices; it changes no result beyond rounding."""

    data: int | None = None
    """Devices that lanes, stores and batches are spread over; it divides --shards.
    None: all devices there are."""
    model: int = 1
    """Devices that the parameters are spread over, for networks that do not fit on
    one; it divides the network's planes or units."""

    @property
    def size(self) -> int | None:
        """Devices of the mesh; None: all there are."""
        return None if self.data is None else self.data * self.model


@dataclasses.dataclass(frozen=True, kw_only=True)
class Processes:
    """The processes of one run, one a host; all start with the same flags.

    On Cloud TPU and under Slurm nothing of this need be given.
    """

    coordinator: str | None = None
    """HOST:PORT at which process 0 is reached by the others."""
    process_id: int | None = None
    """Number of this process, from 0."""
    num_processes: int | None = None
    """How many processes there are."""
    join_timeout: int = 300
    """Seconds to wait at the start for the other processes."""
    watchdog: int = 900
    """Seconds without progress of another process after which this one ends."""


ALL_DEVICES = Mesh()
ONE_PROCESS = Processes()


def check(mesh: Mesh, processes: Processes) -> None:
    """Refuses a mesh or processes that cannot be, before any device is asked.

    Raises:
      ValueError: naming the flag.
    """
    for name, ways in (("data", mesh.data), ("model", mesh.model)):
        if ways is not None and ways < 1:
            raise ValueError(
                f"--mesh.{name} is the number of devices on that axis; got {ways}, "
                "use at least 1."
            )
    there = cpu_devices()
    if there and processes.coordinator is None and (mesh.size or mesh.model) > there:
        raise ValueError(
            f"--mesh.data {mesh.data} times --mesh.model {mesh.model} needs more than "
            f"the {there} devices there are; choose a smaller mesh, or give the CPU "
            "more with JAX_NUM_CPU_DEVICES."
        )
    given = {
        "--coordinator": processes.coordinator,
        "--process-id": processes.process_id,
        "--num-processes": processes.num_processes,
    }
    missing = [flag for flag, value in given.items() if value is None]
    if 0 < len(missing) < len(given):
        raise ValueError(
            f"{', '.join(missing)} is missing; give all of {', '.join(given)}, or "
            "none of them."
        )
    if not missing:
        _check_number(processes.process_id or 0, processes.num_processes or 0)
        address(processes.coordinator or "")


def _check_number(process_id: int, num_processes: int) -> None:
    if not 0 <= process_id < num_processes:
        raise ValueError(
            f"--process-id is {process_id} of --num-processes {num_processes}; the "
            "numbers go from 0 to the count less one."
        )


def address(coordinator: str) -> tuple[str, int]:
    """Returns host and port.

    Raises:
      ValueError: if it is not HOST:PORT.
    """
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(
            f"--coordinator is {coordinator!r}; give HOST:PORT, for example "
            "10.0.0.2:9911."
        )
    return host, int(port)


def has_accelerator() -> bool:
    """Tells whether JAX will find more than the CPU, without importing it."""
    if os.environ.get("JAX_PLATFORMS") == "cpu":
        return False
    plugin = any(importlib.util.find_spec(name) for name in _PLUGINS)
    return plugin and any(glob.glob(pattern) for pattern in _DEVICE_FILES)


def cpu_devices() -> int | None:
    """Returns how many devices the CPU has; None where an accelerator is used."""
    if has_accelerator():
        return None
    return int(os.environ.get("JAX_NUM_CPU_DEVICES", "1"))


def make_deterministic() -> None:
    """Asks XLA for operations that give the same bits every time; before JAX starts.

    On CPUs and TPUs they do so anyway. Worker processes inherit it.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if DETERMINISTIC not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {DETERMINISTIC}".strip()


def several(processes: Processes) -> bool:
    """Tells whether this process is, or may be, one of several of a run."""
    return processes.coordinator is not None or in_cluster()


def in_cluster() -> bool:
    """Tells whether this process may be one of several that JAX itself can find.

    A task of a Slurm step with several tasks, or a process on a Cloud TPU VM.
    """
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return True
    tpu = importlib.util.find_spec("libtpu") is not None and has_accelerator()
    return tpu and not glob.glob("/dev/nvidia[0-9]*")
