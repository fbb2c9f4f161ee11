"""How large the stores of a run are: the shapes of its compiled programs."""

import math
from typing import NamedTuple

from scaling import accounting, config


class Layout(NamedTuple):
    """Sizes of a compiled program's arrays; budgets and seeds are not among them."""

    shards: int  # G
    environments: int  # E, of a shard
    stored_slots: int  # R, of a shard
    step_capacity: int  # slots of a column of steps
    window_capacity: int  # slots of a lane's window
    newest: int  # steps of a column that reanalysis draws from

    @property
    def lanes(self) -> int:
        """L: rows of a shard."""
        return self.environments + self.stored_slots


def layout_for(settings: config.Settings, account: accounting.Account) -> Layout:
    """Returns the sizes for a cell, or for the largest cell that shares a program.

    A column of steps holds the N newest (where stored steps are searched at all),
    those that the window points at, and those that pass while a lane replays its
    segment: nothing that a lane or the window points at is evicted.
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
    )


_STEP_FACTS, _SEARCH_FACTS = 17, 36  # bytes of a step, and of a search but its policy


def store_bytes(layout: Layout, observation: int, actions: int) -> int:
    """Returns the bytes of a run's stores, which are most of a checkpoint.

    Args:
      layout: of the run.
      observation: bytes of one.
      actions: how many there are.
    """
    steps = max(1, layout.environments) * layout.step_capacity
    searches = layout.lanes * layout.window_capacity
    step, search = observation + _STEP_FACTS, _SEARCH_FACTS + 4 * actions
    return layout.shards * (steps * step + searches * search)
