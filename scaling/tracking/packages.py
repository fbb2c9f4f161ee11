"""The trackers by name, and the packages that they need.

Names are checked without importing a package: that takes up to a second.
"""

import importlib
import importlib.util
from collections.abc import Sequence
from typing import Any, NamedTuple

NONE = "none"


class Package(NamedTuple):
    """What a tracker imports."""

    module: str
    install: str  # what pip is given in the directory of this project


PACKAGES = {
    "tensorboard": Package("tensorboardX", "-e ."),
    "wandb": Package("wandb", "-e '.[wandb]'"),
}


def parse(text: str) -> tuple[str, ...]:
    """Returns the trackers that `--track` names, each once.

    Args:
      text: names as A,B, or `none`.

    Raises:
      ValueError: if there is no such tracker, or `none` is one of several.
    """
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if names == (NONE,):
        return ()
    if unknown := [name for name in names if name not in PACKAGES]:
        raise ValueError(
            f"--track is {text!r}, and {unknown[0]!r} is none of "
            f"{', '.join(PACKAGES)}; list some of them as A,B, or give {NONE} alone."
        )
    return names


def check(names: Sequence[str]) -> None:
    """Refuses trackers whose package is not installed; imports none.

    Raises:
      ValueError: naming the tracker and what to install.
    """
    for name in names:
        module, install = PACKAGES[name]
        found = importlib.util.find_spec(module)
        if found is None or found.origin is None:  # a folder ./wandb is no package
            raise ValueError(
                f"--track {name} needs the package {module}, which is not installed "
                f"in this Python; run pip install {install} in the directory of this "
                f"project, or leave {name} out of --track."
            )


def load(name: str, submodule: str = "") -> Any:
    """Returns a tracker's package, or a module in it.

    Raises:
      ValueError: if it is not installed.
    """
    check([name])
    return importlib.import_module(PACKAGES[name].module + submodule)
