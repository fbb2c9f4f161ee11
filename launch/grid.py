"""The grid of a study: its grammar, and the cells that a design makes of it.

A list of numbers is written `A,B,C`, or `LO..HI[:N]` for N geometric points
(default 8) rounded to two significant figures, both ends kept.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from scaling import config

DEFAULT_POINTS = 8
LARGEST_COUNT = 10**15  # beyond any study; keeps every count far inside 64 bits


def numbers(text: str, what: str) -> tuple[float, ...]:
    """Returns the numbers that `text` lists, in the order written.

    Args:
      text: `A,B,C` or `LO..HI[:N]`.
      what: name of the flag, for messages: `--budgets`.

    Raises:
      ValueError: if the text is empty, not numeric, reversed or has duplicates.
    """
    values = _range(text, what) if ".." in text else _list(text, what)
    seen: set[float] = set()
    for value in values:
        if value in seen:
            raise ValueError(
                f"{what} {text!r} has {value:.15g} twice; list each value once."
            )
        seen.add(value)
    return tuple(values)


def budgets(text: str, what: str = "--budgets") -> tuple[int, ...]:
    """Returns the budgets that `text` lists, in environment frames.

    Raises:
      ValueError: as `numbers`, and if one is not a positive whole number.
    """
    return tuple(_whole(value, what) for value in numbers(text, what))


def fractions(text: str, what: str = "--fractions") -> tuple[float, ...]:
    """Returns the fractions that `text` lists.

    Raises:
      ValueError: as `numbers`, and if one is outside [0, 1].
    """
    values = numbers(text, what)
    for value in values:
        check_fraction(value, what)
    return values


def check_fraction(value: float, what: str) -> None:
    """Refuses a fraction that no run can have.

    Raises:
      ValueError: if the fraction is outside [0, 1].
    """
    if not 0 <= value <= 1:  # also refuses NaN
        raise ValueError(
            f"{what} has {value!r}, but a fraction is the share of searched states "
            "that are stored ones; choose values in [0, 1]."
        )


def count(text: str, what: str) -> int:
    """Returns one positive whole number written like `200000`, `2e5` or `200_000`.

    Raises:
      ValueError: if the text is anything else.
    """
    return _whole(_number(text, what), what)


def seeds(number: int, first: int) -> range:
    """Returns `number` seeds from `first` on.

    Raises:
      ValueError: if there is no seed or the first is negative.
    """
    if number < 1:
        raise ValueError(
            f"--seeds is how many seeds each cell gets; got {number}, use at least 1."
        )
    if not 0 <= first < 2**31 - number:
        raise ValueError(
            f"--first-seed must lie in [0, {2**31 - number}); got {first}."
        )
    return range(first, first + number)


def factorial(
    frames: Iterable[int], shares: Iterable[float], seeds: Sequence[int]
) -> list[config.Cell]:
    """Returns a cell for every budget, fraction and seed."""
    shares = tuple(shares)
    return [
        config.Cell(frames=budget, fraction=share, seed=seed)
        for budget in frames
        for share in shares
        for seed in seeds
    ]


def offline(
    frames: Iterable[int], searches: int, seeds: Sequence[int]
) -> list[config.Cell]:
    """Returns cells of fraction 1: sizes of the data set, with equal searches."""
    return [
        config.Cell(frames=budget, fraction=1.0, seed=seed, searches=searches)
        for budget in frames
        for seed in seeds
    ]


def path(
    frames: Iterable[int],
    searches: int,
    seeds: Sequence[int],
    frames_per_step: int,
) -> list[config.Cell]:
    """Returns cells that all search `searches` states; budgets give the fractions.

    With F the steps of a budget and S the searches, the fraction is 1 - F / S.

    Raises:
      ValueError: if a budget is no step, or more steps than there are searches.
    """
    cells = []
    for budget in frames:
        steps = budget // frames_per_step
        if not steps:
            raise ValueError(
                f"A budget of {budget} frames is not one agent step of "
                f"{frames_per_step} frames; use a larger budget."
            )
        if steps > searches:
            raise ValueError(
                f"A budget of {budget} frames is {steps} agent steps, more than the "
                f"{searches} states that --searches allows; raise --searches or lower "
                "the budget."
            )
        share = float(1 - Fraction(steps, searches))
        cells += [
            config.Cell(frames=budget, fraction=share, seed=seed, searches=searches)
            for seed in seeds
        ]
    return cells


def update_controls(cells: Iterable[config.Cell]) -> list[config.Cell]:
    """Returns, for each cell that reanalyses, its control: as many updates at 0.

    The control has the same frames and seed and takes its updates on stored
    targets, so that what replay alone does is not credited to reanalysis.
    """
    return [
        config.Cell(
            frames=cell.frames,
            fraction=0.0,
            seed=cell.seed,
            control_for=cell.fraction,
        )
        for cell in cells
        if 0 < cell.fraction < 1
    ]


def no_controls(cells: Iterable[config.Cell]) -> list[config.Cell]:
    """Returns no cell: the study has no controls."""
    del cells
    return []


CONTROLS: dict[str, Callable[[Iterable[config.Cell]], list[config.Cell]]] = {
    "none": no_controls,
    "updates": update_controls,
}


def _number(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(
            f"{what} has {text.strip()!r}, which is not a number; write numbers like "
            "100000, 1e5 or 0.95."
        )
    return value + 0.0  # -0 becomes 0, which names a run


def _whole(value: float, what: str) -> int:
    if value != int(value) or not 1 <= value <= LARGEST_COUNT:
        raise ValueError(
            f"{what} has {value:.15g}; it must be a whole number from 1 to "
            f"{LARGEST_COUNT:.0e}."
        )
    return int(value)


def _list(text: str, what: str) -> list[float]:
    if not text.strip():
        raise ValueError(f"{what} is empty; write A,B,C or LO..HI[:N].")
    return [_number(part, what) for part in text.split(",")]


def _range(text: str, what: str) -> list[float]:
    """Returns N geometric points between the ends of `LO..HI[:N]`."""
    ends, colon, points_text = text.partition(":")
    low_text, _, high_text = ends.partition("..")
    low, high = _number(low_text, what), _number(high_text, what)
    if not 0 < low < high:
        raise ValueError(
            f"{what} {text!r} is not a range: its points are geometric, so write it "
            "LO..HI[:N] with 0 < LO < HI, or list the values as A,B,C."
        )
    points = count(points_text, what) if colon else DEFAULT_POINTS
    if not 2 <= points <= 1000:
        raise ValueError(
            f"{what} {text!r} asks for {points} points; a range has 2 to 1000."
        )
    inner = (low * (high / low) ** (i / (points - 1)) for i in range(1, points - 1))
    values = [low, *(float(f"{value:.1e}") for value in inner), high]
    if any(a >= b for a, b in itertools.pairwise(values)):
        raise ValueError(
            f"{what} {text!r} is too narrow for {points} different points of two "
            "significant figures; ask for fewer with LO..HI:N, or list them as A,B,C."
        )
    return values
