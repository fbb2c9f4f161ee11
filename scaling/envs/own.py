"""Environments of the user's own, named `module:Class` (docs/extending.md).

A class says by its attribute `kind` where it runs: `"device"` classes are made as
`Class(protocol)` and keep `interface.DeviceEnvironment`, `"host"` classes as
`Class(protocol, size)` and keep `interface.HostEnvironment`.
"""

import importlib
import importlib.util
import pathlib
from typing import Any

from scaling.envs import known


def check(env: str, module: str, name: str) -> None:
    """Refuses a class whose module is not found; imports only parent packages."""
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        found = None
    if found is None:
        close = known.nearest(module, known.FAMILIES)
        raise ValueError(
            f"The environment {env!r} names neither a family "
            f"({', '.join(known.FAMILIES)}) nor a module that can be found"
            f"{known.did_you_mean(close)}. "
            "For a class of your own, put its folder on PYTHONPATH."
        )
    source = found.origin and pathlib.Path(found.origin)
    if source and source.suffix == ".py" and name not in source.read_text():
        raise ValueError(
            f"The module {module!r} has no class {name!r}; correct the environment "
            f"{env!r} or write the class in {source.name}."
        )


def load(module: str, name: str) -> Any:
    """Returns the user's class, which says by its `kind` where it runs."""
    own = getattr(importlib.import_module(module), name, None)
    if own is None:
        raise ValueError(f"The module {module!r} has no class {name!r}; correct it.")
    if getattr(own, "kind", None) not in ("device", "host"):
        raise ValueError(
            f"The class {module}:{name} does not say where it runs; give it the "
            "attribute kind = 'device' or kind = 'host' (docs/extending.md)."
        )
    return own


def checked(env: str, made: Any) -> Any:
    """Returns a user's environment if it has what the interface asks for."""
    from scaling.envs import interface  # imports JAX

    kind = getattr(interface, f"{type(made).kind.capitalize()}Environment")
    if not isinstance(made, kind) or made.spec.frames_per_step != 1:
        raise ValueError(
            f"{env!r} is no {kind.__name__}: it needs spec with frames_per_step = 1, "
            "and the methods in scaling/envs/interface.py."
        )
    return made
