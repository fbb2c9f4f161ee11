"""The only file that knows devices and processes; `start()` comes first."""

import os
import pathlib


def start(cache: pathlib.Path | None = None) -> None:
    """Prepares JAX; call it before anything imports an environment library.

    Some libraries initialise the XLA backend on import, after which neither the
    platform nor the compilation cache can be chosen.

    Args:
      cache: folder of compiled programs, kept between processes and runs. None:
        `JAX_COMPILATION_CACHE_DIR`, or a folder in the user's cache.
    """
    # XLA's notices about CPU features of cached programs are not for our users.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import jax

    folder = cache or pathlib.Path(
        os.environ.get("JAX_COMPILATION_CACHE_DIR", default_cache())
    )
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)


def default_cache() -> pathlib.Path:
    """Returns the folder where compiled programs are kept between runs."""
    root = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(root) / "scaling-unplugged" / "compiled"


def describe() -> str:
    """Returns the devices, as in `8 x NVIDIA H100` or `1 x cpu (2 cores)`."""
    import jax

    devices = jax.devices()
    kind = devices[0].device_kind
    if devices[0].platform == "cpu":
        kind = f"cpu ({len(os.sched_getaffinity(0))} cores)"
    return f"{len(devices)} x {kind}"
