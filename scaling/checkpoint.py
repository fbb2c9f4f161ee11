"""Pytrees and files, through Orbax; nothing else."""

import pathlib
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

_PARAMS = "params"


def save_arrays(directory: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes named arrays, which all processes have alike; all of them must call."""
    ocp.save(str(directory.resolve()), arrays, overwrite=True)


def load_arrays(
    directory: pathlib.Path, like: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Returns the arrays that `save_arrays` wrote; all processes must call.

    Args:
      directory: that was written.
      like: arrays of the same shapes and types.

    Raises:
      ValueError: if they are not such arrays.
    """
    return ocp.load(str(directory.resolve()), like)


def save_params(run_directory: pathlib.Path, params: Any) -> None:
    """Writes a run's final parameters, replacing those of an earlier attempt."""
    ocp.save(str((run_directory / _PARAMS).resolve()), params, overwrite=True)


def load_params(run_directory: pathlib.Path, shape: Any) -> Any:
    """Returns a run's final parameters on the first device.

    Args:
      run_directory: of the run.
      shape: a pytree of `jax.ShapeDtypeStruct`, as `jax.eval_shape` gives it.

    Raises:
      ValueError: if there are none, or they are not of that shape.
    """
    path = (run_directory / _PARAMS).resolve()
    if not path.is_dir():
        raise ValueError(
            f"{run_directory} holds no parameters; the run has not finished. Run the "
            "same sweep again to finish it."
        )
    place = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    wanted = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), shape
    )
    return ocp.load(str(path), wanted)
