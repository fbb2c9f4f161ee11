"""The sources of stored states and their shares, as they are written.

A list such as `recent:0.8,demonstrations:0.2`. A share may be a line over the run,
`START..END`, or over its first part, `START..END@UNTIL`; the shares are 1 together at
every moment.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from scaling import config

SOURCES = ("recent", "demonstrations", "best", "dataset")
_TOLERANCE = 1e-6  # of a sum of shares, which were written in decimals


class Share(NamedTuple):
    """A source's share of the stored searches, as a line and what follows it."""

    source: str
    start: float
    end: float
    until: float  # share of the run at which `end` is reached


def parse(text: str) -> tuple[Share, ...]:
    """Returns the shares that `text` lists, in the order of `SOURCES`.

    Raises:
      ValueError: if a source is unknown or listed twice, a share is not in [0, 1], or
        the shares are not 1 together.
    """
    shares = [_share(part.strip(), text) for part in text.split(",")]
    names = [share.source for share in shares]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(
            f"--sources {text!r} lists {', '.join(sorted(twice))} twice; list each "
            "source once."
        )
    for moment in sorted({0.0, 1.0, *(share.until for share in shares)}):
        total = sum(at(share, moment) for share in shares)
        if abs(total - 1) > _TOLERANCE:
            raise ValueError(
                f"--sources {text!r} has shares that are {total:.6g} together at "
                f"{moment:.6g} of the run; they must be 1 all the time."
            )
    return tuple(sorted(shares, key=lambda share: SOURCES.index(share.source)))


def at(share: Share, progress: float) -> float:
    """Returns the share at a share of the run, in [0, 1]."""
    done = min(1.0, progress / share.until)
    return share.start + (share.end - share.start) * done


def of_run(settings: config.Settings, environments: int) -> tuple[Share, ...]:
    """Returns the shares of a run; one without environments has a data set alone."""
    if not environments:
        return (Share("dataset", 1.0, 1.0, 1.0),)
    return parse(settings.sources)


def uses(settings: config.Settings, source: str) -> bool:
    """Returns whether the settings name a source."""
    return any(share.source == source for share in parse(settings.sources))


def check(settings: config.Settings, fractions: Sequence[float]) -> None:
    """Refuses sources that do not go with the data or with the fractions.

    Raises:
      ValueError: naming what is missing or what contradicts.
    """
    names = {share.source for share in parse(settings.sources)}
    if "dataset" in names:
        raise ValueError(
            f"--sources {settings.sources!r} names the data set, which is the only "
            "source at fraction 1 and none elsewhere; leave it out, or give the data "
            "with --demonstrations."
        )
    if 1 in fractions and not settings.data.dataset:
        raise ValueError(
            "Fraction 1 learns from a data set alone; give one with --dataset PATH "
            "(launch/collect.py and launch/import_dataset.py make them)."
        )
    if settings.data.dataset and 1 not in fractions:
        raise ValueError(
            "--dataset is what fraction 1 learns from, and no fraction is 1; add "
            "fraction 1, or give the data with --demonstrations."
        )
    if "demonstrations" in names and not settings.data.demonstrations:
        raise ValueError(
            f"--sources {settings.sources!r} draws from demonstrations; give them with "
            "--demonstrations PATH."
        )
    if settings.data.demonstrations and "demonstrations" not in names:
        raise ValueError(
            f"--demonstrations has no share in --sources {settings.sources!r}; write, "
            "for example, --sources recent:0.8,demonstrations:0.2."
        )


def _share(part: str, text: str) -> Share:
    name, colon, value = part.partition(":")
    if name not in SOURCES or not colon:
        raise ValueError(
            f"--sources {text!r} has {part!r}; write SOURCE:SHARE, separated by "
            f"commas, with sources out of {', '.join(SOURCES)}."
        )
    line, _, until = value.partition("@")
    start, dots, end = line.partition("..")
    share = Share(
        name,
        start=_number(start, text),
        end=_number(end if dots else start, text),
        until=_number(until, text) if until else 1.0,
    )
    if share.until == 0:
        raise ValueError(
            f"--sources {text!r} has a line that ends at 0 of the run; write the share "
            "that it ends at alone."
        )
    return share


def _number(text: str, whole: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise ValueError(
            f"--sources {whole!r} has {text!r} where a number from 0 to 1 is expected."
        )
    return value
