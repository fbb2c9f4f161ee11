"""What is measured: settings, and how they were made small enough.

Sizes that decide how long a call takes are kept; those that only decide how many
calls go by before the first update (segments, warm-up) are cut where a call takes
seconds. What differs from the name is said in `note`.
"""

import dataclasses
from collections.abc import Callable

from scaling import config, hardware, presets
from scaling.envs import registry

MIDSIZE_NOTE = (
    "as LightZero's, but LayerNorm for BatchNorm, and a strided convolution and a "
    "block where it has a strided block"
)
GIVEN = "given"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workload:
    """Settings to measure, and the sizes that are not settings."""

    name: str
    settings: config.Settings
    lanes: int
    """Rows of the search that is measured alone."""
    batches: tuple[int, ...]
    """Of the learner that is measured alone; the first one is the settings'."""
    frames: int
    """Environment frames of the runs whose calls are measured: sizes the stores."""
    first_call: int
    """Calls of a run before those that are measured, or more until it learns."""
    note: str
    """How it differs from what its name says."""


def _demo() -> Workload:
    """The demonstration: a small game on the device, 0.3 M parameters."""
    return Workload(
        name="demo",
        settings=presets.preset("demo").settings,
        lanes=256,
        batches=(64, 256),
        frames=100_000,
        first_call=100,
        note="",
    )


def _midsize() -> Workload:
    """A network of LightZero's layout: 96×96×4 → 6×6×64, 601 bins, 18 actions.

    Source: LightZero, lzero/model/common.py (DownSample), muzero_model.py and the
    configuration atari_muzero_config.py (one block, heads of 32 units).
    """
    settings = dataclasses.replace(
        presets.preset("paper").settings,
        environments=8,
        samples_per_search=1.0,
        max_lanes=160,
        protocol=config.Protocol(colour="gray", stack=4, past_actions=0),
        network=config.Network(
            planes=64,
            blocks=1,
            head_units=32,
            downsampling_blocks=(1, 2, 1),
            prediction_blocks=1,
        ),
        learner=config.Learner(batch_size=64),
    )
    return Workload(
        name="midsize",
        settings=_short_segments(settings),
        lanes=256,
        batches=(64, 256),
        frames=100_000,
        first_call=0,
        note=MIDSIZE_NOTE,
    )


def _paper() -> Workload:
    """The paper's network; on a CPU with few rows: it makes some searches a second."""
    settings = presets.preset("paper").settings
    if hardware.has_accelerator():
        return dataclasses.replace(
            of_settings(_short_segments(settings)), name="paper", first_call=0
        )
    settings = dataclasses.replace(
        settings,
        environments=1,
        max_lanes=8,
        learner=dataclasses.replace(settings.learner, batch_size=2),
    )
    return Workload(
        name="paper",
        settings=_short_segments(settings),
        lanes=4,
        batches=(2,),
        frames=10_000,
        first_call=0,
        note="1 environment, at most 8 lanes and a batch of 2 for 16, 1024 and 1024",
    )


def of_settings(settings: config.Settings) -> Workload:
    """Returns the workload of settings that were given by flags."""
    return Workload(
        name=GIVEN,
        settings=settings,
        lanes=min(256, settings.max_lanes),
        batches=(settings.learner.batch_size,),
        frames=100_000,
        first_call=100 if registry.is_device(settings.env) else 0,
        note="",
    )


WORKLOADS: dict[str, Callable[[], Workload]] = {
    "demo": _demo,
    "midsize": _midsize,
    "paper": _paper,
}


def workload(name: str, settings: config.Settings) -> Workload:
    """Returns the workload of a name; `given` is that of the settings.

    Raises:
      ValueError: if there is none of that name.
    """
    if name == GIVEN:
        return of_settings(settings)
    if name not in WORKLOADS:
        raise ValueError(
            f"There is no workload {name!r}; choose from {', '.join(WORKLOADS)}, or "
            f"{GIVEN} for the settings of the other flags."
        )
    return WORKLOADS[name]()


def _short_segments(settings: config.Settings) -> config.Settings:
    """Returns the settings so that a run learns after a few calls.

    A segment's length decides when a run learns and how large its stores are, and
    nothing of what a call computes.
    """
    replay = dataclasses.replace(settings.replay, segment_length=4, warm_up=1)
    return dataclasses.replace(settings, replay=replay)
