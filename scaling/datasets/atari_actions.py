"""Actions of Atari data sets: numbers of a game's minimal set among all its actions.

RL Unplugged and DQN Replay were made with Dopamine, which takes gym's default, the
minimal set (google/dopamine, issue 101). Action i of a full set is here, as in
`scaling.envs.atari`, the i-th of the emulator's legal actions: 18 for all games but a
few such as Skiing, which has 9. Both sets are the emulator's own, read from the ROM.
"""

import importlib.util
import pathlib
import re
from typing import Any, NamedTuple

FAMILY = "atari:"


class ActionSets(NamedTuple):
    """The emulator's two sets of actions of a game, as its numbers."""

    full: tuple[int, ...]
    minimal: tuple[int, ...]


def action_sets(env: str) -> ActionSets:
    """Returns the action sets of a game such as `atari:MsPacman`; loads its ROM.

    Raises:
      ValueError: if there is no such game.
    """
    import ale_py

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale: Any = ale_py.ALEInterface()
    ale.loadROM(_rom(env))
    return ActionSets(
        tuple(action.value for action in ale.getLegalActionSet()),
        tuple(action.value for action in ale.getMinimalActionSet()),
    )


def minimal_to_full(sets: ActionSets) -> dict[int, int]:
    """Returns number in the minimal set → number in the full set."""
    return {i: sets.full.index(action) for i, action in enumerate(sets.minimal)}


def parse_map(text: str, num_actions: int) -> dict[int, int]:
    """Returns the map that a user wrote: `0,2,5` for 0 → 0, 1 → 2, 2 → 5.

    Raises:
      ValueError: if it is no list of different actions below `num_actions`.
    """
    if not re.fullmatch(r"\d{1,4}(,\d{1,4})*", text):
        raise ValueError(
            f"--actions must be numbers with commas, one for each action of the "
            f"source in its order, such as 0,2,5; got {text!r}."
        )
    targets = [int(part) for part in text.split(",")]
    if len(set(targets)) < len(targets) or max(targets) >= num_actions:
        raise ValueError(
            f"--actions must name different actions from 0 to {num_actions - 1}; got "
            f"{text}."
        )
    return dict(enumerate(targets))


def _rom(env: str) -> pathlib.Path:
    spec = importlib.util.find_spec("ale_py")
    folders = (spec and spec.submodule_search_locations) or ["."]
    name = env.removeprefix(FAMILY)
    for path in sorted(pathlib.Path(folders[0], "roms").glob("*.bin")):
        if env.startswith(FAMILY) and path.stem.title().replace("_", "") == name:
            return path
    raise ValueError(
        f"{env!r} is no game of ale-py; name it with --env, such as atari:MsPacman."
    )
