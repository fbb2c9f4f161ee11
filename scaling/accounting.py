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
from jaxtyping import Float32, Int32, Int64

from scaling import config


class Calls(NamedTuple):
    """What each of a run of calls does (c calls)."""

    number: Int32[np.ndarray, " c"]  # the call's number in the run
    fresh: Int32[np.ndarray, " c"]  # environments that step, 0 or (last call) all
    stored: Int32[np.ndarray, " c"]  # live stored rows
    first_stored: Int32[np.ndarray, " c"]  # stored row whose turn is first
    updates: Int32[np.ndarray, " c"]  # learner updates after the search
    window_from: Int32[np.ndarray, " c"]  # oldest call whose searches are sampled
    first_update: Int32[np.ndarray, " c"]  # number of the call's first update
    progress: Float32[np.ndarray, " c"]  # share of the searches made before the call


def no_calls() -> Calls:
    """Returns no call, for the types of the fields."""
    whole, share = np.zeros(0, np.int32), np.zeros(0, np.float32)
    return Calls(*([whole] * (len(Calls._fields) - 1)), progress=share)


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
        return self.warm_up_calls + self.spread

    @property
    def spread(self) -> int:
        """T: calls after the warm-up."""
        searches = math.ceil(self.stored / max(1, self.stored_slots))
        return max(self.fresh_calls - self.warm_up_calls, searches)

    @property
    def learning_from(self) -> int:
        """The first call with an update: by then every shard has a closed segment.

        Either the environments have made `segment_length` steps each, or, where they
        do not step in every call and so (nearly) all stored rows are live, twice as
        many calls have passed since the warm-up.
        """
        after, length = self.fresh_calls - self.warm_up_calls, self.segment_length
        replayed = self.warm_up_calls + 2 * length
        if length <= self.warm_up_calls:
            return self.warm_up_calls
        if after <= 0:
            return replayed
        missing = length - self.warm_up_calls
        stepped = self.warm_up_calls + math.ceil(missing * self.spread / after)
        return stepped if self.spread == after else min(stepped, replayed)

    @property
    def window_calls(self) -> int:
        """The most calls whose searches are in the window at one time."""
        after = max(1, self.searched - self.environments * self.warm_up_calls)
        spread_over = math.ceil(min(self.window, self.searched) * self.spread / after)
        calls = max(self.warm_up_calls + spread_over + 1, 2 * self.segment_length)
        return min(calls, self.calls)

    def fresh_before(self, call: Int64[np.ndarray, " c"]) -> Int64[np.ndarray, " c"]:
        """Returns the environment steps made before each call."""
        after = np.maximum(call - self.warm_up_calls, 0)
        later = _share(self.fresh_calls - self.warm_up_calls, after, self.spread)
        calls = np.minimum(call, self.warm_up_calls) + later
        return np.minimum(calls * self.environments, self.agent_steps)

    def stored_before(self, call: Int64[np.ndarray, " c"]) -> Int64[np.ndarray, " c"]:
        """Returns the stored states searched before each call."""
        after = np.maximum(call - self.warm_up_calls, 0)
        return _share(self.stored, after, self.spread)

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
            first_stored=(self.stored_before(call) % max(1, self.stored_slots)).astype(
                "i4"
            ),
            updates=(self.updates_before(call + 1) - updates).astype(np.int32),
            window_from=self._window_from(call).astype(np.int32),
            first_update=updates.astype(np.int32),
            progress=(self.searched_before(call) / self.searched).astype(np.float32),
        )

    def _window_from(self, call: Int64[np.ndarray, " c"]) -> Int64[np.ndarray, " c"]:
        """Returns the oldest call whose searches are in the window.

        The window is the newest W searches, or the newest `window_share` of them
        where that is less, but never less than the last 2 `segment_length` calls:
        so a lane that was live in all of them has a closed segment in it.
        """
        newest = self.searched_before(call)
        share = self.window_share
        size = np.minimum(
            self.window, _share(share.numerator, newest, share.denominator)
        )
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

    R = min(round(E · stored / fresh), max_lanes - E), rounded up where there is room.

    Raises:
      ValueError: if there is no room for one stored row in each shard.
    """
    stored, shards = searched - agent_steps, shards_for(settings)
    if stored == 0:
        return 0
    room = settings.max_lanes - (settings.environments if agent_steps else 0)
    wanted = room
    if agent_steps:
        wanted = max(1, round(settings.environments * stored / agent_steps))
    if room < shards:
        raise ValueError(
            f"{settings.environments} environments leave {max(0, room)} of "
            f"{settings.max_lanes} lanes for stored states, and each of {shards} "
            "shards needs one; raise --max-lanes or lower --environments."
        )
    return min(math.ceil(wanted / shards), room // shards) * shards


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
    # Something must be there before a stored step can be searched.
    return max(1, math.ceil(settings.replay.warm_up / per_shard))


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
    if not account.environments:
        raise ValueError(
            f"{account.searched} searches are {account.calls} calls of "
            f"{account.stored_slots} rows, and nothing can be learned before call "
            f"{account.learning_from}; search more or lower --max-lanes or "
            "--replay.segment-length."
        )
    calls = max(account.warm_up_calls, account.segment_length)
    needed = account.environments * (calls + 1) * account.frames_per_step
    raise ValueError(
        f"A budget of {cell.frames} frames gives each of {account.environments} "
        f"environments {account.fresh_calls} steps, and nothing can be learned from "
        f"fewer than {calls} (--replay.segment-length {account.segment_length}, "
        f"--replay.warm-up {settings.replay.warm_up}); use at least {needed} frames "
        "or lower those."
    )
