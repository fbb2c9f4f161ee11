"""Evaluates the network of a finished run again."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

from launch import command, display
from scaling import config, results
from scaling.buckets import flags as buckets

DESCRIPTION = """Evaluates the network of a finished run again, on its own protocol and
seeds. The run's row is not changed."""
GO_ON = "The run is as it was."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate:
    """The flags of `evaluate.py`."""

    run: Annotated[pathlib.Path, tyro.conf.Positional]
    """Directory of the run: DIR/runs/RUN_ID, also with DIR in a bucket."""
    episodes: int | None = None
    """Whole episodes, every one counted (default: as many as in the run)."""
    action: config.Action | None = None
    """How actions are selected: mcts, policy or value (default: as in the run)."""
    video: pathlib.Path | None = None
    """File for a video of the first episode: .gif, .webp or .png (an animation)."""


def check_run(directory: pathlib.Path) -> None:
    """Refuses what is not a finished run.

    Raises:
      ValueError: saying what the directory is instead.
    """
    config.load_config(directory)
    row = results.read_row(directory)
    if row is None:
        raise ValueError(
            f"{directory} is not finished; run the sweep that it belongs to first."
        )
    if row.get("status") != "ok":
        raise ValueError(
            f"{directory} has no network to evaluate: its status is "
            f"{row.get('status')} ({row.get('note')}); run it again first."
        )


def evaluate(argv: Sequence[str]) -> int:
    """Evaluates the run that the flags name; returns the exit status.

    Raises:
      ValueError: if the run is not finished, or no episode is asked for.
    """
    given = tyro.cli(Evaluate, args=list(argv), description=DESCRIPTION)
    if given.episodes is not None and given.episodes < 1:
        raise ValueError(f"--episodes is {given.episodes}; it must be at least 1.")
    with buckets.here(given) as flags:
        return _print_score(flags)


def _print_score(flags: Evaluate) -> int:
    check_run(flags.run)
    result = _evaluate(flags)
    console = display.console()
    console.print(
        f"score {result['score']:,.1f} (sd {result['score_sd']:,.1f} over "
        f"{result['eval_episodes']} episodes)"
    )
    if flags.video is not None:
        console.print(
            f"Video: {flags.video} (episode 1 of {result['eval_episodes']}: return "
            f"{result['video_return']:,.1f} in {result['video_steps']:,} steps)",
            soft_wrap=True,
            markup=False,
        )
    return 0


def _evaluate(flags: Evaluate) -> dict[str, Any]:
    from scaling import sharding  # late: `--help` must not load JAX

    sharding.start()
    from scaling import run

    return run.evaluate_again(flags.run, flags.episodes, flags.video, flags.action)


if __name__ == "__main__":
    command.run(evaluate, GO_ON)
