"""How large the stores of a run are: the shapes of its compiled programs."""

import math
from typing import NamedTuple

from scaling import accounting, config, mixing

MOST_EPISODES = 1024  # that a shard keeps of the best
LEAST_BEST = 64  # steps of a shard, so that its copies are made in blocks
RING_FOR_EACH = 3  # slots of the archive of the best for each step that is kept


class Layout(NamedTuple):
    """Sizes of a compiled program's arrays; budgets and seeds are not among them."""

    shards: int  # G
    environments: int  # E, of a shard
    stored_slots: int  # R, of a shard
    step_capacity: int  # slots of a column of steps
    window_capacity: int  # slots of a lane's window
    newest: int  # steps of a column that reanalysis draws from
    archive_capacity: int = 0  # slots of the fixed archive; 0: there is none
    best_steps: int = 0  # N of the best episodes; 0: none are kept

    @property
    def lanes(self) -> int:
        """L: rows of a shard."""
        return self.environments + self.stored_slots

    @property
    def columns(self) -> int:
        """Rings of the environments' steps; one that stays empty without any."""
        return max(1, self.environments)

    @property
    def best_capacity(self) -> int:
        """Slots of the archive of the best episodes."""
        return RING_FOR_EACH * self.best_steps

    @property
    def best_episodes(self) -> int:
        """M: the most of the best episodes."""
        return min(self.best_steps, MOST_EPISODES)


def layout_for(
    settings: config.Settings, account: accounting.Account, archive_capacity: int = 0
) -> Layout:
    """Returns the sizes for a cell, or for the largest cell that shares a program.

    A column of steps holds the N newest (where stored steps are searched at all),
    those that the window points at, and those that pass while a lane replays its
    segment: nothing that a lane or the window points at is evicted.

    Args:
      settings: of the run.
      account: of the cell.
      archive_capacity: most steps of a shard's data set or demonstrations.
    """
    replay, protocol = settings.replay, settings.protocol
    shards, length = account.shards, replay.segment_length
    columns = max(1, account.environments)
    newest = math.ceil(replay.stored_steps / columns) if account.stored else 0
    # Environments step in this share of the calls once the warm-up is over.
    stepping = (account.fresh_calls - account.warm_up_calls) / account.spread
    in_window = account.warm_up_calls + math.ceil(account.window_calls * stepping)
    # A stored row is live in this share of the calls: its segment takes so long.
    live = account.stored / max(1, account.spread * account.stored_slots)
    replaying = math.ceil(length * stepping / live) if account.stored else 0
    margin = length + replaying + protocol.stack + protocol.past_actions + 2
    all_steps = math.ceil(account.agent_steps / columns) + 1
    return Layout(
        shards=shards,
        environments=account.environments // shards,
        stored_slots=account.stored_slots // shards,
        step_capacity=min(newest + in_window + margin, all_steps),
        window_capacity=min(account.window_calls + length, account.calls),
        newest=max(1, newest),
        archive_capacity=archive_capacity,
        best_steps=_best_steps(settings, account),
    )


def _best_steps(settings: config.Settings, account: accounting.Account) -> int:
    """Returns N of a shard for the source `best`, 0 where it is not one."""
    if not (account.environments and account.stored and mixing.uses(settings, "best")):
        return 0
    steps = min(settings.replay.best_steps, account.agent_steps)
    return max(LEAST_BEST, math.ceil(steps / account.shards))


_STEP_FACTS, _SEARCH_FACTS = 17, 36  # bytes of a step, and of a search but its policy
_NEWEST_SEARCH = 4  # bytes of a step where stored ones are searched again


def store_bytes(layout: Layout, observation: int, actions: int) -> int:
    """Returns the bytes of a run's stores, which are most of a checkpoint.

    Args:
      layout: of the run.
      observation: bytes of one.
      actions: how many there are.
    """
    archives = layout.archive_capacity + layout.best_capacity
    steps = layout.columns * layout.step_capacity + archives
    searches = layout.lanes * layout.window_capacity
    step, search = observation + _STEP_FACTS, _SEARCH_FACTS + 4 * actions
    if layout.stored_slots:
        step += _NEWEST_SEARCH
    return layout.shards * (steps * step + searches * search)
