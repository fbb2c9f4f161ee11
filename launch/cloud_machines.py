"""What clouds call a target: machine types, labels, images, and how many machines.

Nothing here was tried on a cloud; the sources are Google's and SkyPilot's pages of
2025 and 2026, named beside each table.
"""

from typing import NamedTuple

from scaling import targets

# A slice of several machines has four chips in each, also of v5e and v6e, whose boards
# of eight chips are one machine only by themselves. Sources: cloud.google.com/tpu/docs
# (v4, v5e, v5p, v6e: "VMs"), xpk's compute_chips_per_vm.
_CHIPS_A_MACHINE = 4


class Tpu(NamedTuple):
    """Names of a TPU generation."""

    accelerator: str  # Cloud TPU's type, without the number
    runtime: str  # Cloud TPU's software version for JAX
    label: str  # GKE's cloud.google.com/gke-tpu-accelerator
    machine: str  # GKE's machine type, to be completed with the chips


class Gpu(NamedTuple):
    """Names of a GPU."""

    skypilot: str
    label: str  # GKE's cloud.google.com/gke-accelerator
    machine: str  # Compute Engine's type, to be completed with the GPUs


# Runtimes: cloud.google.com/tpu/docs/runtimes, "PyTorch and JAX". Labels and machines:
# cloud.google.com/kubernetes-engine/docs/concepts/plan-tpus.
TPUS = {
    "v4": Tpu("v4", "tpu-ubuntu2204-base", "tpu-v4-podslice", "ct4p-hightpu-{}t"),
    "v5e": Tpu(
        "v5litepod", "v2-alpha-tpuv5-lite", "tpu-v5-lite-podslice", "ct5lp-hightpu-{}t"
    ),
    "v5p": Tpu("v5p", "v2-alpha-tpuv5", "tpu-v5p-slice", "ct5p-hightpu-{}t"),
    "v6e": Tpu("v6e", "v2-alpha-tpuv6e", "tpu-v6e-slice", "ct6e-standard-{}t"),
}
# cloud.google.com/compute/docs/gpus (A2 Ultra, A3 High); `sky show-gpus`.
GPUS = {
    "a100": Gpu("A100-80GB", "nvidia-a100-80gb", "a2-ultragpu-{}g"),
    "h100": Gpu("H100", "nvidia-h100-80gb", "a3-highgpu-{}g"),
}


def is_tpu(target: targets.Target) -> bool:
    """Tells a TPU from a GPU."""
    return target.chip.family == "tpu"


def machines(target: targets.Target) -> int:
    """Returns how many virtual machines a target is, each with one process.

    `Target.hosts` counts boards, of which one may be two machines.
    """
    if target.chips <= target.chip.per_host:
        return 1
    return target.chips // _CHIPS_A_MACHINE if is_tpu(target) else target.hosts


def chips_a_machine(target: targets.Target) -> int:
    """Returns how many chips each virtual machine has."""
    return target.chips // machines(target)


def accelerator_type(target: targets.Target) -> str:
    """Returns Cloud TPU's name, as v5litepod-16; of v4 and v5p it counts cores."""
    name = TPUS[target.chip.name].accelerator
    return f"{name}-{target.chips * target.chip.cores}"


def machine_type(target: targets.Target) -> str:
    """Returns the machine type of GKE's nodes, as ct5lp-hightpu-4t."""
    names = TPUS if is_tpu(target) else GPUS
    return names[target.chip.name].machine.format(chips_a_machine(target))


def skypilot_accelerator(target: targets.Target) -> str:
    """Returns SkyPilot's name, as tpu-v5litepod-16 or H100:8."""
    if is_tpu(target):
        return f"tpu-{accelerator_type(target)}"
    return f"{GPUS[target.chip.name].skypilot}:{target.chips}"


def extra(target: targets.Target) -> str:
    """Returns this project's extra, which is the Dockerfile's ACCELERATOR too."""
    return "tpu" if is_tpu(target) else "cuda12"
