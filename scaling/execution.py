"""How a run is carried out: nothing here changes what it computes.

Plain values, which travel to worker processes as JSON.
"""

import dataclasses
from typing import Any

from scaling import hardware

TIME_SEARCH_S = 300.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """When a run saves all it needs to go on."""

    checkpoint_seconds: float | None = None
    """Seconds between checkpoints (default: the preset's, 300 or, in demo, 10)."""
    checkpoint_calls: int | None = None
    """Also after this many search batches (default: by time alone)."""
    keep_checkpoints: int = 2
    """The newest ones that are kept while the run lasts."""
    keep_replay: bool = False
    """Keep the last checkpoint, with all stores, when the run has finished."""
    keep_stages: bool = False
    """Keep the network of every curve point."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Execution:
    """Everything about a run that is neither its settings nor its cell."""

    design: str = "factorial"
    """Of the study, for the row."""
    allocate_frames: int | None = None
    """The largest budget whose runs share a program with this one; it sizes the
    stores (with priorities it may change the rounding of their sums)."""
    mesh: hardware.Mesh = hardware.ALL_DEVICES
    """How the run is spread over devices."""
    checkpoint_seconds: float = 300.0
    """Seconds between checkpoints."""
    checkpoint_calls: int | None = None
    """Calls between checkpoints as well; None: by time alone."""
    keep_checkpoints: int = 2
    """The newest ones that are kept while the run lasts."""
    keep_replay: bool = False
    """Whether the last checkpoint stays when the run has finished."""
    dataset: str | None = None
    """Directory of the data set of fraction 1; what it holds is in the settings."""
    demonstrations: str | None = None
    """Directory of the demonstrations; what it holds is in the settings."""
    keep_stages: bool = False
    """Whether the network of every curve point stays."""
    time_search_seconds: float = TIME_SEARCH_S
    """Seconds between timings of a call's searches by themselves."""
    track: tuple[str, ...] = ()
    """Where the lines of `metrics.jsonl` go besides (scaling/tracking)."""


DEFAULT = Execution()


def execution(
    design: str, mesh: hardware.Mesh, saves: Checkpoints, preset_seconds: float
) -> Execution:
    """Returns the execution that flags ask for.

    Raises:
      ValueError: naming the flag that is out of range.
    """
    seconds = saves.checkpoint_seconds
    limits = {
        "checkpoint-seconds": seconds,
        "checkpoint-calls": saves.checkpoint_calls,
        "keep-checkpoints": saves.keep_checkpoints,
    }
    for name, value in limits.items():
        if value is not None and not value > 0:
            raise ValueError(f"--{name} is {value}; it must be above 0.")
    return Execution(
        design=design,
        mesh=mesh,
        checkpoint_seconds=preset_seconds if seconds is None else seconds,
        checkpoint_calls=saves.checkpoint_calls,
        keep_checkpoints=saves.keep_checkpoints,
        keep_replay=saves.keep_replay,
        keep_stages=saves.keep_stages,
    )


def as_dict(execution: Execution) -> dict[str, Any]:
    """Returns plain values, ready for JSON."""
    return dataclasses.asdict(execution)


def from_dict(values: dict[str, Any]) -> Execution:
    """Returns the execution of which `as_dict` made `values`."""
    mesh, track = hardware.Mesh(**values["mesh"]), tuple(values["track"])
    return Execution(**{**values, "mesh": mesh, "track": track})
