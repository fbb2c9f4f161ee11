"""Makes a data set by playing whole episodes with a policy of the project."""

import dataclasses
import json
import os
import pathlib
import shlex
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

from launch import checks, command, display, evaluate, grid, stores
from launch.bar import Bar, say
from scaling import config, presets, results, stages
from scaling.buckets import flags as buckets
from scaling.datasets import (
    episodes,
    manifest_file,
    minari_export,
    minari_metadata,
)

DESCRIPTION = """Makes PATH, a lossless store of whole episodes, by playing with the
network of a run (results/runs/RUN_ID) or with uniformly random actions (`random`, whose
environment is given by --preset and the other settings). Interrupted, the same command
goes on. --minari exports the store as well."""
GO_ON = "What is whole is kept; the same command goes on."
RANDOM = "random"
LARGEST_SEED = 2**31 - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Collect:
    """The flags of `collect.py`."""

    policy: Annotated[str, tyro.conf.Positional]
    """Who plays: the directory of a run, also in a bucket, or `random`."""
    out: pathlib.Path
    """Directory to make; a finished one is left as it is. gs://BUCKET/FOLDER and
    s3://BUCKET/FOLDER get it when it is whole."""
    frames: str | None = None
    """Environment frames, as 3e4: the episode that reaches them is the last."""
    episodes: int | None = None
    """Or whole episodes."""
    epsilon: float = 0.0
    """Probability that an action is uniformly random instead."""
    action: config.Action | None = None
    """`mcts`: the best of a search without noise; `policy`: a sample of the policy
    head; `value`: the best after one model step; None: what the run evaluates
    (--evaluation.action)."""
    stage: int | None = None
    """The network of the run's curve point of this number, from 1, if the run was made
    with --keep-stages; None: the last network."""
    seed: int = 0
    """Of all that is random in the episodes."""
    lanes: int = 64
    """Episodes that are played side by side; they cost memory and save time."""
    minari: str | None = None
    """Also export the store to Minari under this name, such as pacman/rollout-v0."""
    minari_out: pathlib.Path | None = None
    """Directory of that export; None: where Minari finds it by its name."""
    preset: command.PresetName
    """`random`: settings to start from; other flags override them."""
    settings: command.FlatSettings


def collect(argv: Sequence[str]) -> int:
    """Makes the store that the flags describe; returns the exit status.

    Raises:
      ValueError: if something asked for is impossible; nothing is written then.
    """
    given = command.parse(Collect, argv, DESCRIPTION)
    _check(given)
    _limits(given)
    with buckets.here(given, keeps=("out",)) as flags:
        return _collect(flags, shlex.join(["collect.py", *argv]))


def _collect(flags: Collect, words: str) -> int:
    """Makes the store in a directory of this machine."""
    settings, facts = _who(flags)
    try:
        store = _collected(flags, settings, facts, words)
        if flags.minari is not None:
            _export(store, _minari_folder(flags), flags.minari)
    except OSError as error:
        where = error.filename or flags.out
        raise ValueError(
            f"{where} cannot be read or written ({error.strerror or error}). {GO_ON}"
        ) from error
    return 0


def _check(flags: Collect) -> None:
    """Refuses flags that are out of range or do not go together."""
    if (flags.frames is None) == (flags.episodes is None):
        raise ValueError(
            "Give one of --frames and --episodes: where the data set ends."
        )
    least = {"episodes": 1, "lanes": 1, "stage": 1, "seed": 0}
    for name, limit in least.items():
        value = getattr(flags, name)
        if value is not None and not limit <= value <= LARGEST_SEED:
            raise ValueError(f"--{name} is {value}; it must be {limit} or more.")
    if not 0 <= flags.epsilon <= 1:
        raise ValueError(f"--epsilon is {flags.epsilon}; a probability is in [0, 1].")
    if flags.minari_out is not None and flags.minari is None:
        raise ValueError("--minari-out needs the name of the export; give --minari.")


def _who(flags: Collect) -> tuple[config.Settings, dict[str, Any]]:
    """Returns the settings to play under, and the arguments of a behaviour.

    Raises:
      ValueError: if there is no such policy, or flags do not go with it.
    """
    if flags.policy == RANDOM:
        given = {"epsilon": flags.epsilon, "action": flags.action, "stage": flags.stage}
        for name, value in given.items():
            if value:
                raise ValueError(
                    f"--{name} is for the network of a run, not for random."
                )
        checks.check_settings(flags.settings)
        return flags.settings, {"name": RANDOM, "action": RANDOM}
    plain = presets.preset(command.DEFAULT_PRESET).settings
    if (flags.preset, flags.settings) != (command.DEFAULT_PRESET, plain):
        raise ValueError(
            f"{flags.policy} has settings of its own; leave --preset and the settings "
            "out, which are for random."
        )
    return _of_run(flags, pathlib.Path(flags.policy))


def _of_run(
    flags: Collect, directory: pathlib.Path
) -> tuple[config.Settings, dict[str, Any]]:
    if not directory.is_dir():
        raise ValueError(
            f"There is no run {directory}; give one like results/runs/RUN_ID or random."
        )
    settings, cell = config.load_config(directory)
    network, facts = _network(flags, directory)
    facts["config_hash"] = config.config_hash(settings, cell)
    return settings, {
        "name": directory.resolve().name,
        "action": flags.action or settings.evaluation.action,
        "epsilon": flags.epsilon,
        "network": network,
        "facts": facts,
    }


def _network(
    flags: Collect, directory: pathlib.Path
) -> tuple[pathlib.Path, dict[str, Any]]:
    """Returns where the parameters are, and what is known of them."""
    if flags.stage is None:
        evaluate.check_run(directory)
        row = results.read_row(directory) or {}
        return directory, {"stage": None, "score": row.get("score")}
    stage = stages.at(directory, flags.stage)
    score = stages.score(directory, stage)
    facts = {"stage": flags.stage, "call": stage.call, "score": score}
    return stage.directory, facts


def _collected(
    flags: Collect, settings: config.Settings, facts: dict[str, Any], words: str
) -> episodes.EpisodeStore:
    """Returns the store, which is made if it is not finished."""
    from scaling import sharding  # late: `--help` must not load JAX

    sharding.start()
    from scaling import collecting

    behaviour = collecting.Behaviour(seed=flags.seed, **facts)
    wanted = collecting.Wanted(**_limits(flags))
    size = int(min(flags.lanes, wanted.episodes))
    console = display.console()
    with collecting.lanes(settings, behaviour, size) as lanes:
        header = collecting.header(lanes.spec, settings.protocol, behaviour, wanted)
        header = header.with_command(words)
        store = stores.finished(flags.out, header)
        if store is None:
            with Bar(console, "collecting") as bar:
                store = collecting.collect(
                    lanes, flags.out, header, wanted, bar.imported
                )
    say(console, stores.summary(store))
    return store


def _limits(flags: Collect) -> dict[str, int]:
    """Returns where the data set ends."""
    if flags.episodes is not None:
        return {"episodes": flags.episodes}
    return {"frames": grid.count(flags.frames or "", "--frames")}


def _minari_folder(flags: Collect) -> pathlib.Path:
    """Returns where the export goes."""
    if flags.minari_out is not None:
        return flags.minari_out
    root = os.environ.get("MINARI_DATASETS_PATH", "~/.minari/datasets")
    return pathlib.Path(root).expanduser() / (flags.minari or "")


def _export(store: episodes.EpisodeStore, folder: pathlib.Path, name: str) -> None:
    """Exports the store, unless this very export is there."""
    if not _is_export(store, folder / "data" / minari_metadata.METADATA, name):
        minari_export.export(store, folder, name)
    say(display.console(), f"Minari: {name} in {folder}")


def _is_export(store: episodes.EpisodeStore, path: pathlib.Path, name: str) -> bool:
    try:
        metadata = json.loads(path.read_bytes())
        header = metadata[minari_metadata.OWN]["header"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    own = json.loads(json.dumps(manifest_file.header_to_json(store.header)))
    return header == own and metadata.get("dataset_id") == name


if __name__ == "__main__":
    command.run(collect, GO_ON)
