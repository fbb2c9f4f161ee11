"""Telling the layouts of data sets apart, and opening them."""

import pathlib
import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from scaling.datasets import (
    atari_actions,
    dqn_dumps,
    dqn_replay,
    importing,
    minari,
    rlu_atari,
)

Kind = Literal["minari", "rl_unplugged", "dqn_replay"]
ATARI: dict[Kind, Callable[..., importing.Source]] = {
    "rl_unplugged": rlu_atari.RluAtari,
    "dqn_replay": dqn_replay.DqnReplay,
}


class Layout(NamedTuple):
    """A data set that was found, and what its place tells."""

    kind: Kind
    path: pathlib.Path
    env: str | None  # the environment that its folders name


def find(source: str) -> Layout:
    """Returns the layout of a file, a folder or a name of a local Minari dataset.

    Raises:
      ValueError: if there is nothing, or nothing that can be imported.
    """
    if (data := minari.folder(source)) is not None:
        return Layout("minari", data, None)
    path = pathlib.Path(source)
    if not path.exists():
        raise ValueError(
            f"There is no {source}, and no Minari dataset of that name on this "
            "machine; download it first."
        )
    for folder in (path, path / "replay_logs"):
        if dqn_dumps.numbers(folder):
            return Layout("dqn_replay", folder, _game(folder.parent.parent))
    if rlu_atari.shards(path):
        return Layout(
            "rl_unplugged", path, _game(path.parent if path.is_file() else path)
        )
    raise ValueError(
        f"{source} has none of the layouts that are known: Minari's metadata.json, "
        "RL Unplugged's run_R-SSSSS-of-NNNNN, or DQN Replay's "
        "$store$_observation_ckpt.N.gz."
    )


def open_source(
    layout: Layout,
    env: str | None,
    actions: str | None,
    lossy: Literal["refuse", "decode"],
) -> importing.Source:
    """Returns the data set, opened.

    Args:
      layout: as `find` gave it.
      env: the environment as family:Name; None to take what the data set says.
      actions: actions of the environment for those of the source, as `0,2,5`; None
        for the map of a game's minimal set to its full set.
      lossy: what to do with lossy images.

    Raises:
      ValueError: naming what cannot be read.
    """
    if layout.kind == "minari":
        if actions is not None:
            raise ValueError("--actions is for Atari; Minari's metadata have the map.")
        return minari.Minari(layout.path, env, lossy)
    env = env or layout.env
    if env is None:
        raise ValueError(
            f"The folders of {layout.path} do not name the game; give it with --env, "
            "such as atari:MsPacman."
        )
    sets = atari_actions.action_sets(env)
    table = (
        atari_actions.minimal_to_full(sets)
        if actions is None
        else atari_actions.parse_map(actions, len(sets.full))
    )
    return ATARI[layout.kind](layout.path, env, len(sets.full), table)


def _game(folder: pathlib.Path) -> str | None:
    """Returns the environment of a folder named as a game is, such as MsPacman."""
    name = folder.resolve().name
    return f"atari:{name}" if re.fullmatch(r"[A-Z][A-Za-z0-9]+", name) else None
