"""Frames, searched states and updates of a run, in exact integers.

A run is a sequence of *calls*: one search batch each, then updates. Whether the
environments step in a call, how many stored rows are live and how many updates
follow are functions of the call's number alone, so a run is the same however fast
its parts are, and the realised fraction is the requested one within one search.

Let F be the fresh steps, S the searched states, E the environments, R the stored
slots. After a warm-up of w calls, in which only environments step, the remaining
A = ceil(F/E) - w fresh calls and the S - F stored searches are spread evenly over

    T = max(A, ceil((S - F) / R))

calls: among the first i of them, floor(i·A/T) step the environments and
floor(i·(S - F)/T) stored rows are searched.
"""

import dataclasses
import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, Int64

from scaling import config


class Calls(NamedTuple):
    """What each of a run of calls does (c calls)."""

    number: Int32[np.ndarray, " c"]  # the call's number in the run
    fresh: Int32[np.ndarray, " c"]  # environments that step, 0 or (last call) all
    stored: Int32[np.ndarray, " c"]  # live stored rows
    updates: Int32[np.ndarray, " c"]  # learner updates after the search
    window_from: Int32[np.ndarray, " c"]  # oldest call whose searches are sampled
    first_update: Int32[np.ndarray, " c"]  # number of the call's first update


@dataclasses.dataclass(frozen=True, kw_only=True)
class Account:
    """The exact account of one run; every count is an integer."""

    frames: int
    frames_per_step: int
    agent_steps: int
    searched: int
    updates: int
    batch_size: int
    environments: int
    stored_slots: int
    shards: int
    window: int
    window_share: Fraction
    segment_length: int
    warm_up_calls: int
    learning_from: int  # the first call with an update

    @property
    def stored(self) -> int:
        """Searched states that are stored ones."""
        return self.searched - self.agent_steps

    @property
    def lanes(self) -> int:
        """Rows of a search batch."""
        return self.environments + self.stored_slots

    @property
    def samples(self) -> int:
        """Positions that the learner draws."""
        return self.updates * self.batch_size

    @property
    def realised_fraction(self) -> float:
        """Share of searched states that are stored ones."""
        return self.stored / self.searched

    @property
    def fresh_calls(self) -> int:
        """Calls in which the environments step."""
        return math.ceil(self.agent_steps / max(1, self.environments))

    @property
    def calls(self) -> int:
        """Calls of the whole run."""
        return self.warm_up_calls + self._spread

    @property
    def _spread(self) -> int:
        """T: calls after the warm-up."""
        searches = math.ceil(self.stored / max(1, self.stored_slots))
        return max(self.fresh_calls - self.warm_up_calls, searches)

    def fresh_before(self, call: Int64[np.ndarray, " c"]) -> Int64[np.ndarray, " c"]:
        """Returns the environment steps made before each call."""
        after = np.maximum(call - self.warm_up_calls, 0)
        later = _share(self.fresh_calls - self.warm_up_calls, after, self._spread)
        calls = np.minimum(call, self.warm_up_calls) + later
        return np.minimum(calls * self.environments, self.agent_steps)

    def stored_before(self, call: Int64[np.ndarray, " c"]) -> Int64[np.ndarray, " c"]:
        """Returns the stored states searched before each call."""
        after = np.maximum(call - self.warm_up_calls, 0)
        return _share(self.stored, after, self._spread)

    def searched_before(self, call: Int64[np.ndarray, " c"]) -> Int64[np.ndarray, " c"]:
        """Returns the states searched before each call."""
        return self.fresh_before(call) + self.stored_before(call)

    def updates_before(self, call: Int64[np.ndarray, " c"]) -> Int64[np.ndarray, " c"]:
        """Returns the updates made before each call, in step with the searches."""
        origin = np.int64(self.searched_before(np.array([self.learning_from]))[0])
        done = np.maximum(self.searched_before(call) - origin, 0)
        return _share(self.updates, done, self.searched - int(origin))

    def schedule(self, start: int, stop: int) -> Calls:
        """Returns what the calls from `start` to before `stop` do."""
        call = np.arange(start, stop, dtype=np.int64)
        updates = self.updates_before(call)
        return Calls(
            number=call.astype(np.int32),
            fresh=(self.fresh_before(call + 1) - self.fresh_before(call)).astype("i4"),
            stored=(self.stored_before(call + 1) - self.stored_before(call)).astype(
                "i4"
            ),
            updates=(self.updates_before(call + 1) - updates).astype(np.int32),
            window_from=self._window_from(call).astype(np.int32),
            first_update=updates.astype(np.int32),
        )

    def _window_from(self, call: Int64[np.ndarray, " c"]) -> Int64[np.ndarray, " c"]:
        """Returns the oldest call whose searches are in the window.

        The window is the newest W searches, or the newest `window_share` of them
        where that is less, but never less than the last 2 `segment_length` calls:
        so a lane that was live in all of them has a closed segment in it.
        """
        newest = self.searched_before(call)
        share = self.window_share
        size = np.minimum(self.window, newest * share.numerator // share.denominator)
        low, high = np.zeros_like(call), np.maximum(call - 2 * self.segment_length, 0)
        while np.any(low < high):
            middle = (low + high) // 2
            fits = newest - self.searched_before(middle) <= size
            low = np.where(fits | (low >= high), low, middle + 1)
            high = np.where(fits, np.minimum(middle, high), high)
        return low


def _share(total: int, done: np.ndarray, of: int) -> np.ndarray:
    """Returns floor(total · done / of), exact however large the products are."""
    whole, rest = divmod(total, max(1, of))
    if of >= 2**31:  # done · rest may not fit 64 bits: Python's integers do
        later = done.astype(object) * rest // of
        return done * whole + later.astype(np.int64)
    return done * whole + done * rest // max(1, of)


def shards_for(settings: config.Settings) -> int:
    """Returns G: the largest power of two up to the setting that divides E."""
    shards = settings.shards
    while shards > 1 and settings.environments % shards:
        shards //= 2
    return max(1, shards)


def stored_slots_for(settings: config.Settings, agent_steps: int, searched: int) -> int:
    """Returns R: stored rows of a search batch, a multiple of the shards.

    R = min(round(E · stored / fresh), max_lanes - E), rounded up.
    """
    stored, shards = searched - agent_steps, shards_for(settings)
    if stored == 0:
        return 0
    room = settings.max_lanes - (settings.environments if agent_steps else 0)
    wanted = room
    if agent_steps:
        wanted = max(1, round(settings.environments * stored / agent_steps))
    return math.ceil(min(wanted, room) / shards) * shards


def searched_for(cell: config.Cell, agent_steps: int) -> int:
    """Returns S: fixed by the design, or round(steps / (1 - fraction))."""
    if cell.searches is not None:
        return cell.searches
    if cell.fraction == 1:
        raise ValueError(
            "Fraction 1 searches stored states only, so steps do not say how many; "
            "give the number with --searches."
        )
    return round(agent_steps / (1 - config.exact(cell.fraction)))


def account_for(
    settings: config.Settings, cell: config.Cell, frames_per_step: int
) -> Account:
    """Returns the exact account of a cell.

    Args:
      settings: of the study.
      cell: budget, fraction, seed and what the design fixes.
      frames_per_step: emulator frames of one agent step.

    Raises:
      ValueError: if the cell cannot be run as asked: no step, fewer searches than
        steps, no room for stored rows, or too few calls to learn from.
    """
    agent_steps = cell.frames // frames_per_step if cell.fraction < 1 else 0
    searched = searched_for(cell, agent_steps)
    _check_counts(settings, cell, agent_steps, searched)
    slots = stored_slots_for(settings, agent_steps, searched)
    shards = shards_for(settings)
    warm_up = _warm_up_calls(settings, agent_steps)
    account = Account(
        frames=agent_steps * frames_per_step,
        frames_per_step=frames_per_step,
        agent_steps=agent_steps,
        searched=searched,
        updates=updates_for(settings, cell, agent_steps, searched),
        batch_size=settings.learner.batch_size,
        environments=settings.environments if agent_steps else 0,
        stored_slots=slots,
        shards=shards,
        window=settings.replay.window,
        window_share=config.exact(settings.replay.window_share),
        segment_length=settings.replay.segment_length,
        warm_up_calls=warm_up,
        learning_from=max(warm_up, settings.replay.segment_length),
    )
    _check_length(settings, cell, account)
    return account


def updates_for(
    settings: config.Settings, cell: config.Cell, agent_steps: int, searched: int
) -> int:
    """Returns U = floor(samples per search · S / batch), S the control's if one."""
    if cell.control_for is not None:
        searched = round(agent_steps / (1 - config.exact(cell.control_for)))
    ratio = config.exact(settings.samples_per_search)
    return math.floor(ratio * searched / settings.learner.batch_size)


def _warm_up_calls(settings: config.Settings, agent_steps: int) -> int:
    if not agent_steps:
        return 0
    per_shard = settings.environments // shards_for(settings)
    return math.ceil(settings.replay.warm_up / per_shard)


def _check_counts(
    settings: config.Settings, cell: config.Cell, agent_steps: int, searched: int
) -> None:
    if agent_steps < 1 and cell.fraction < 1:
        raise ValueError(
            f"A budget of {cell.frames} frames is not one agent step; "
            "use a larger budget."
        )
    if searched < agent_steps:
        raise ValueError(
            f"A budget of {cell.frames} frames is {agent_steps} agent steps, more than "
            f"the {searched} searched states of the design; raise --searches or lower "
            "the budget."
        )
    if searched > agent_steps and settings.environments >= settings.max_lanes:
        raise ValueError(
            f"{settings.environments} environments fill all {settings.max_lanes} lanes "
            "and leave none for stored states; raise --max-lanes or lower "
            "--environments."
        )
    if settings.learner.batch_size % shards_for(settings):
        raise ValueError(
            f"A batch of {settings.learner.batch_size} does not divide into "
            f"{shards_for(settings)} shards; choose a multiple."
        )


def _check_length(
    settings: config.Settings, cell: config.Cell, account: Account
) -> None:
    if account.fresh_calls >= account.warm_up_calls and (
        account.learning_from < account.calls
    ):
        return
    needed = account.environments * (account.learning_from + 1)
    raise ValueError(
        f"A budget of {cell.frames} frames gives each of {account.environments} "
        f"environments {account.fresh_calls} steps, but nothing can be learned before "
        f"{account.learning_from} (--replay.segment-length "
        f"{settings.replay.segment_length}, --replay.warm-up "
        f"{settings.replay.warm_up}); use at least "
        f"{needed * account.frames_per_step} frames or lower those."
    )
