"""Makes one run: trains, evaluates, and writes its row beside those of its study."""

import dataclasses
import pathlib
from collections.abc import Sequence

from launch import borrowing, checks, command, grid, running
from launch.executors.task import Task
from scaling import config

DESCRIPTION = """Makes one run: trains, evaluates, writes DIR/runs/RUN_ID/result.json
and DIR/results.csv. A run that was interrupted goes on from its last checkpoint. The
exit status is 75 after SIGTERM: start it again."""
GO_ON = """The run is saved as far as it came; the same command goes on from
there.""".replace("\n", " ")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train:
    """The flags of `train.py`."""

    preset: command.PresetName
    """Settings to start from; the other flags override them."""
    frames: str | None = None
    """Environment frames, the budget, as 100000 or 1e5; at fraction 1 the size of the
    data set that is used, whole episodes chosen by the seed (default there: all)."""
    fraction: float
    """Share of searched states that are stored ones, in [0, 1]; 1 learns from
    --dataset alone."""
    searches: str | None = None
    """Searched states of a run of fraction 1."""
    seed: int = 0
    """Seed of everything random in the run."""
    out: pathlib.Path = pathlib.Path("results")
    """Directory of the study that the run belongs to, or gs://BUCKET/FOLDER,
    s3://BUCKET/FOLDER (docs/cloud.md)."""
    data: borrowing.FlatData = borrowing.NO_DATA
    how: running.FlatRunning = running.AS_USUAL
    settings: command.FlatSettings


def cell_of(flags: Train, bound: borrowing.Bound) -> config.Cell:
    """Returns the run that the flags ask for.

    Raises:
      ValueError: if budget, fraction or seed is out of range, or one is missing.
    """
    seeds = grid.seeds(1, flags.seed)
    if flags.fraction == 1:
        frames = borrowing.budgets(bound, flags.frames, "--frames")
        searches = borrowing.searches(flags.searches)
        return grid.offline(frames[:1], searches, seeds)[0]
    if flags.searches is not None:
        raise ValueError(
            f"--searches {flags.searches} is for fraction 1; elsewhere frames and "
            "fraction say how many; leave it out."
        )
    if flags.frames is None:
        raise ValueError(
            "A run needs a budget of environment frames; give --frames, for example "
            "--frames 1e5."
        )
    return config.Cell(
        frames=grid.count(flags.frames, "--frames"),
        fraction=flags.fraction + 0.0,  # -0 becomes 0, which names a run
        seed=seeds[0],
    )


def train(argv: Sequence[str]) -> int:
    """Makes the run that the flags describe; returns the exit status.

    Raises:
      ValueError: if something asked for is impossible; nothing is written then.
    """
    flags = command.parse(Train, argv, DESCRIPTION)
    checks.check_settings(flags.settings)
    grid.check_fraction(flags.fraction, "--fraction")
    with running.here(flags, flags.how, writes=True) as local:
        return _train(local)


def _train(flags: Train) -> int:
    """Makes the run in a directory of this machine."""
    bound = borrowing.bind(flags.settings, flags.data, [flags.fraction])
    cells = [cell_of(flags, bound)]
    asked = running.Asked(
        bound, flags.data, cells, flags.preset, "factorial", flags.out
    )

    def execute(work: running.Work) -> Sequence[Task]:
        return running.in_this_process(work, flags.how.attempts.grace)

    return running.carry_out(asked, flags.how, execute, parallel=1)


if __name__ == "__main__":
    command.run(train, GO_ON)
