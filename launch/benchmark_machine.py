"""The machine that is measured on: what it is, and its matrix products."""

import functools
import os
import pathlib
import platform
from typing import Any

from launch import measure

# Side of the square matrices: large enough for the peak, small enough for a second.
_SIDE = {"cpu": 2048, "gpu": 16384, "tpu": 16384}


def describe() -> dict[str, Any]:
    """Returns what decides on the speed of programs here, as plain values."""
    import jax

    from scaling import sharding

    return {
        "devices": sharding.describe(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "cores_of_machine": os.cpu_count(),
        "jax": jax.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def measure_peak(effort: measure.Effort, side: int | None = None) -> dict[str, Any]:
    """Returns the rate of a large float32 matrix product, of the fastest repeat.

    Args:
      effort: of the measurement.
      side: of the square matrices; None: as suits the device.
    """
    import jax
    import jax.numpy as jnp

    side = side or _SIDE.get(jax.default_backend(), _SIDE["gpu"])
    left, right = jax.random.normal(jax.random.key(0), (2, side, side), jnp.float32)
    timing = measure.time_one(
        functools.partial(jax.jit(jnp.matmul), left, right), effort
    )
    return {
        "side": side,
        "flops_per_s": 2.0 * side**3 / min(timing.seconds),
        **timing.as_values(),
    }


def processor() -> str:
    """Returns the processor's name, as Linux has it."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()
