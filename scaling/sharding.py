"""Meshes, and what lies where: the only file that knows devices.

`start()` comes first. A mesh has two axes: `data`, over which everything laid out
[G shards, rows] is spread, and `model`, over which parameters are. A program is
`jit(shard_map(...))`: each device runs the same pure functions on its own shards,
as if they were all there are, and `mean` is the only place where devices meet. So
no step travels between devices and no collective can slip into the search.
"""

import dataclasses
import os
import pathlib
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# XLA's notices about CPU features of cached programs are not for our users.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from scaling import hardware, peers

DATA, MODEL = "data", "model"
ROWS = P(DATA)  # the leading axis, of shards or of their rows, is spread
WHOLE = P()  # the same on every device


def start(
    processes: hardware.Processes = hardware.ONE_PROCESS,
    fingerprint: str = "",
    cache: pathlib.Path | None = None,
) -> peers.Alone:
    """Prepares JAX; call it before anything imports an environment library.

    Some libraries initialise the XLA backend on import, after which neither the
    platform, the processes nor the compilation cache can be chosen.

    Args:
      processes: of the run; none given: those of a Cloud TPU pod or a Slurm job if
        this is part of one, else this one alone.
      fingerprint: of the flags, which are the same in all processes.
      cache: folder of compiled programs, kept between processes and runs. None:
        `JAX_COMPILATION_CACHE_DIR`, or a folder in the user's cache.

    Returns:
      The group of processes.

    Raises:
      ValueError: if another process never comes, or has other flags.
    """
    folder = cache or pathlib.Path(
        os.environ.get("JAX_COMPILATION_CACHE_DIR", default_cache())
    )
    if not hardware.has_accelerator():
        # A plugin without its hardware must not be asked: it would wait or fail.
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        jax.config.update("jax_platforms", os.environ["JAX_PLATFORMS"])
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)
    # Its handler of SIGTERM would take the place of ours, which saves first.
    jax.config.update("jax_enable_preemption_service", False)
    if jax.distributed.is_initialized():
        return peers.group()
    if processes.coordinator is not None:
        return _join(processes, fingerprint)
    if hardware.in_cluster():
        return _join_cluster(processes, fingerprint)
    return peers.group()


def _join(processes: hardware.Processes, fingerprint: str) -> peers.Alone:
    """Returns the group of processes that were given by flags."""
    host, _ = hardware.address(processes.coordinator or "")
    group = peers.join(processes, fingerprint)
    port = group.share(peers.free_port(host) if group.first else None)
    jax.distributed.initialize(
        f"{host}:{port}",
        num_processes=group.count,
        process_id=group.number,
        initialization_timeout=processes.join_timeout,
    )
    return group


def _join_cluster(processes: hardware.Processes, fingerprint: str) -> peers.Alone:
    """Returns the group of processes that JAX finds in its environment."""
    jax.distributed.initialize(initialization_timeout=processes.join_timeout)
    if jax.process_count() == 1:
        return peers.group()
    own = np.zeros(256, np.uint8)
    if jax.process_index() == 0:
        host = socket.gethostbyname(socket.gethostname())
        name = f"{host}:{peers.free_port(host)}".encode()
        own[: len(name)] = np.frombuffer(name, np.uint8)
    shared = bytes(np.asarray(multihost_utils.broadcast_one_to_all(own)))
    found = dataclasses.replace(
        processes,
        coordinator=shared.rstrip(b"\0").decode(),
        process_id=jax.process_index(),
        num_processes=jax.process_count(),
    )
    return peers.join(found, fingerprint)


def default_cache() -> pathlib.Path:
    """Returns the folder where compiled programs are kept between runs."""
    return hardware.cache_root() / "compiled"


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Makes numbers 64 bits wide for `f64` while it lasts, 32 otherwise."""
    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", name == "f64")
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", before)


def make_mesh(
    shape: hardware.Mesh, shards: int, devices: list[Any] | None = None
) -> jax.sharding.Mesh:
    """Returns the mesh; the devices of a process are neighbours on it.

    Args:
      shape: ways of each axis.
      shards: G, which the ways of `data` divide.
      devices: to use; None: all there are.

    Raises:
      ValueError: if there are not so many devices, or G does not divide.
    """
    found = sorted(
        jax.devices() if devices is None else devices,
        key=lambda device: (device.process_index, device.id),
    )
    data = shape.data or max(1, len(found) // shape.model)
    wanted = data * shape.model
    if wanted > len(found) or (jax.process_count() > 1 and wanted != len(found)):
        raise ValueError(
            f"--mesh.data {data} times --mesh.model {shape.model} is {wanted} devices "
            f"and there are {len(found)} ({describe(found)}); choose others, or give "
            "the CPU more with JAX_NUM_CPU_DEVICES."
        )
    if shards % data:
        raise ValueError(
            f"--mesh.data {data} does not divide the {shards} logical shards; set "
            f"--shards to a multiple of {data} that divides --environments, or choose "
            "another --mesh.data."
        )
    array = np.array(found[:wanted]).reshape(data, shape.model)
    return jax.sharding.Mesh(array, (DATA, MODEL), axis_types=(AxisType.Auto,) * 2)


def describe(devices: list[Any] | None = None) -> str:
    """Returns the devices, as in `1 x cpu (2 cores)`.

    With what else decides on the last bits of a run: `8 x NVIDIA H100 80GB HBM3, 2
    processes, deterministic`.
    """
    devices = jax.devices() if devices is None else devices
    kind = devices[0].device_kind
    if devices[0].platform == "cpu":
        kind = f"cpu ({len(os.sched_getaffinity(0))} cores)"
    words = [f"{len(devices)} x {kind}"]
    processes = {device.process_index for device in devices}
    if len(processes) > 1:
        words.append(f"{len(processes)} processes")
    if hardware.DETERMINISTIC in os.environ.get("XLA_FLAGS", ""):
        words.append("deterministic")
    return ", ".join(words)


def program(
    function: Callable,
    mesh: jax.sharding.Mesh,
    inputs: Any,
    outputs: Any,
    donate: tuple[int, ...] = (),
) -> Callable:
    """Returns the compiled function that every device runs on its own shards.

    Args:
      function: of local arrays: a leading axis G holds the device's own shards.
      mesh: of devices.
      inputs: a spec (`ROWS`, `WHOLE` or one of `parameters`) for each argument, or a
        tree of them that begins like the argument's.
      outputs: likewise of what it returns.
      donate: arguments whose memory is given away.
    """
    mapped = jax.shard_map(
        function,
        mesh=mesh,
        in_specs=_over_data(inputs),
        out_specs=_over_data(outputs),
        axis_names={DATA},  # `model` is left to the compiler
        check_vma=False,  # mctx's loops carry constants, which it would refuse
    )
    compiled = jax.jit(
        mapped,
        in_shardings=shardings(mesh, inputs),
        out_shardings=shardings(mesh, outputs),
        donate_argnums=donate,
    )
    return compiled if jax.process_count() == 1 else _Together(compiled)


class _Together:
    """A program that all processes run for the first time together.

    XLA gives up on a process that comes half a minute after another to their first
    collective, and one may compile for longer than that.
    """

    def __init__(self, compiled: Any):
        self._compiled, self._met = compiled, False

    def __call__(self, *args: Any) -> Any:
        if not self._met:
            self._compiled.lower(*args).compile()
            peers.group().barrier()
            self._met = True
        return self._compiled(*args)


def shardings(mesh: jax.sharding.Mesh, specs: Any) -> Any:
    """Returns the tree of specs as one of places on the mesh."""
    return jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs, is_leaf=_is_spec)


def _over_data(specs: Any) -> Any:
    """Returns the specs without the axis that is left to the compiler."""
    return jax.tree.map(
        lambda spec: P(*(None if name == MODEL else name for name in spec)),
        specs,
        is_leaf=_is_spec,
    )


def _is_spec(value: Any) -> bool:
    return isinstance(value, P)


def parameters(mesh: jax.sharding.Mesh, shapes: Any) -> Any:
    """Returns the specs of parameters: the outputs of layers spread over `model`.

    Args:
      mesh: of devices.
      shapes: arrays, or `jax.ShapeDtypeStruct`s, of parameters or what is shaped
        like them.
    """
    ways = mesh.shape[MODEL]
    if ways == 1:
        return WHOLE

    def spec(leaf: Any) -> P:
        if leaf.ndim < 2 or leaf.shape[-1] % ways:
            return WHOLE
        return P(*(None,) * (leaf.ndim - 1), MODEL)

    return jax.tree.map(spec, shapes)


def mean(mesh: jax.sharding.Mesh) -> Callable[[Any], Any]:
    """Returns the mean over the devices of `data`, in one collective a call.

    XLA joins the collectives of a tree up to a limit of its own (docs/hardware.md). As
    one vector they would always be one, but XLA's CPU counts 30 % more operations then.

    A device alone takes the mean of itself: XLA's CPU would else fuse the gradient with
    the optimiser, make parts of it several times and count what several devices do not.
    The compilers for GPUs and TPUs leave it out.
    """
    if mesh.size == 1:
        return lambda tree: jax.lax.optimization_barrier(jax.lax.pmean(tree, DATA))
    if mesh.shape[DATA] == 1:  # XLA refuses a mean of one where parameters are spread
        return lambda tree: tree
    return lambda tree: jax.lax.pmean(tree, DATA)


def total(mesh: jax.sharding.Mesh) -> Callable[[Any], Any]:
    """Returns the sum over the devices of `data`."""
    if mesh.shape[DATA] == 1:
        return lambda tree: tree
    return lambda tree: jax.lax.psum(tree, DATA)


def local_shards(mesh: jax.sharding.Mesh, shards: int) -> list[int]:
    """Returns the numbers of the logical shards on this process's devices."""
    where = NamedSharding(mesh, ROWS).addressable_devices_indices_map((shards,))
    parts = [index[0] for index in where.values() if index is not None]
    return sorted({n for part in parts for n in range(shards)[part]})


def from_local(mesh: jax.sharding.Mesh, tree: Any) -> Any:
    """Returns global arrays of the NumPy arrays of this process's shards."""
    place = NamedSharding(mesh, ROWS)
    return jax.tree.map(
        lambda x: jax.make_array_from_process_local_data(place, x), tree
    )


def to_local(tree: Any) -> Any:
    """Returns NumPy arrays of the rows on this process's devices."""
    return jax.tree.map(_to_local, tree)


def _to_local(array: jax.Array) -> np.ndarray:
    if array.is_fully_addressable:
        return np.asarray(array)
    parts = {part.index[0].start or 0: part for part in array.addressable_shards}
    return np.concatenate([np.asarray(parts[at].data) for at in sorted(parts)])


def like(array: jax.Array, local: np.ndarray) -> jax.Array:
    """Returns the rows of this process as a global array, placed like `array`."""
    return jax.make_array_from_process_local_data(array.sharding, local)


def local_rows(array: jax.Array) -> int:
    """Returns how many rows of the leading axis are on this process's devices."""
    parts = {part.index[0].start or 0: part for part in array.addressable_shards}
    return sum(part.data.shape[0] for part in parts.values())


def everywhere(tree: Any) -> Any:
    """Returns NumPy arrays of all rows, on every process; all of them must call."""

    def gather(array: Any) -> np.ndarray:
        if array.is_fully_addressable or array.is_fully_replicated:
            return np.asarray(array)
        peers.group().barrier()  # as before the first run of a program
        return np.asarray(multihost_utils.process_allgather(array, tiled=True))

    return jax.tree.map(gather, tree)


def row(tree: Any, index: int) -> Any:
    """Returns one row of arrays that are spread like `ROWS`, without its axis.

    It is cut out on the device that has it.
    """

    def part(array: jax.Array) -> jax.Array:
        parts = {piece.index[0].start or 0: piece for piece in array.addressable_shards}
        return parts[max(start for start in parts if start <= index)].data

    here = jax.tree.map(part, tree)
    size = jax.tree.leaves(here)[0].shape[0]
    return _row(here, index % size)


@jax.jit
def _row(tree: Any, index: Any) -> Any:
    return jax.tree.map(
        lambda x: jax.lax.dynamic_index_in_dim(x, index, keepdims=False), tree
    )


def agree(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first process's values, and the largest of any, on all of them."""
    if jax.process_count() == 1:
        return values, values
    peers.group().barrier()
    found = np.asarray(multihost_utils.process_allgather(values))
    return found[0], found.max(axis=0)


def on_one_device(tree: Any) -> Any:
    """Returns parameters on this process's first device; all processes must call."""
    device = jax.local_devices()[0]

    def take(array: jax.Array) -> jax.Array:
        if array.is_fully_replicated:
            return array.addressable_data(0)
        return jax.device_put(everywhere(array), device)

    return jax.tree.map(take, tree)
