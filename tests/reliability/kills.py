"""Runs that are killed at random moments must end as if nothing had happened.

    python tests/reliability/kills.py --kills 60 --out DIR [--games pacman,cartpole]

For each game one run is made that nothing interrupts. Then runs with the same flags
are killed with SIGKILL, started again with the same command until they finish, and
compared with it, bit for bit: row, metrics, parameters and the stores of the last
checkpoint. It prints a table, writes DIR/report.json, and exits with 1 if a run was
lost; the directories of lost runs stay, those of the others are deleted. On hardware
that needs flags to be deterministic, give them to `train.py` behind a `--`.
"""

import argparse
import collections
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import leftovers

from scaling import results

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Small enough for seconds of training on one core. Priorities, a target network and
# rings that wrap around are on, since they are what a checkpoint may forget.
_SHARED = """--fraction 0.5 --seed 3 --learner.batch-size 32
  --replay.priority-exponent 1 --replay.importance-exponent 1
  --learner.bootstrap target_network --learner.target-interval 25
  --evaluation.curve-points 2 --keep-replay"""
GAMES = {
    "pacman": """--preset demo --frames 2000 --environments 8
      --protocol.max-frames 200 --replay.stored-steps 1000 --replay.window 500
      --evaluation.episodes 4 --evaluation.curve-episodes 4""",
    "cartpole": """--preset cartpole --frames 3000
      --replay.stored-steps 1000 --replay.window 1000
      --evaluation.episodes 4 --evaluation.curve-episodes 4""",
    "atari": """--preset atari-small --frames 4000 --environments 2
      --protocol.max-frames 1000 --protocol.image-size 24 --protocol.stack 2
      --protocol.past-actions 2 --network.planes 4 --network.units 16
      --network.blocks 1 --network.head-units 16 --search.simulations 4
      --evaluation.episodes 2 --evaluation.curve-episodes 2""",
}
_BROKEN = "--checkpoint-calls 12 --max-attempts 1000"

_POLL = 0.001  # seconds
_START_UP = 8.0  # seconds from the start of a process to about its first checkpoint
_STALLED = 300.0  # seconds without anything new on the disk


class LostError(RuntimeError):
    """A run that should have finished did not."""


class Moment(NamedTuple):
    """When an attempt is killed: so long after something is there to be seen."""

    sight: str  # start, checkpoint, committed, unfinished, params
    number: int  # new checkpoints, the one that is sighted included
    delay: float  # seconds after the sight


class Broken(NamedTuple):
    """A run that was killed, and what became of it."""

    kills: list[tuple[str, str]]  # sight that was waited for, place that was hit
    resumes: int
    differences: list[str]  # from the run that nothing interrupted


class Report(NamedTuple):
    """What the kills did to the runs of one game."""

    game: str
    kills: int
    places: dict[str, int]  # of the kills, as they were found on the disk
    sights: dict[str, int]  # that the kills waited for
    runs: int
    resumes: int
    lost: int  # runs that differ, or did not finish
    differences: list[str]
    seconds: float


def kill_runs(
    game: str,
    kills: int,
    out: pathlib.Path,
    *,
    seed: int = 0,
    extra: Sequence[str] = (),
) -> Report:
    """Returns what a number of kills did to runs of a game.

    Args:
      game: one of `GAMES`.
      kills: how many.
      out: a new directory for the runs.
      seed: of the moments.
      extra: further flags of `train.py`.

    Raises:
      LostError: if the run that nothing interrupts does not finish.
    """
    started, moments = time.monotonic(), draw(random.Random(f"{seed} {game}"))
    flags = [*_SHARED.split(), *GAMES[game].split(), *extra]
    if lost := _break(flags, out / "unbroken", iter(())).differences:
        raise LostError(f"{game}: {lost[0]}")
    expected, broken, left = leftovers.contents(_run_of(out / "unbroken")), [], kills
    while left > 0:
        place = out / f"broken-{len(broken):03d}"
        limited = itertools.islice(moments, left)
        run = _break([*flags, *_BROKEN.split()], place, limited)
        if not run.differences:
            run = run._replace(differences=_compare(place, expected))
        if not run.differences:
            shutil.rmtree(place)
        left -= len(run.kills)
        broken.append(run)
        _say(game, run, kills - left)
        if run.differences and not run.kills:  # nothing works: do not try for ever
            break
    return _report(game, broken, time.monotonic() - started)


def _compare(place: pathlib.Path, expected: dict[str, bytes]) -> list[str]:
    """Returns how the finished run of a study differs from what it should be."""
    try:
        found = leftovers.differences(leftovers.contents(_run_of(place)), expected)
    except (OSError, ValueError) as error:
        found = [f"cannot be read ({error!r})"]
    return [f"{place}: {each}" for each in found]


def _report(game: str, runs: list[Broken], seconds: float) -> Report:
    made = [kill for run in runs for kill in run.kills]
    return Report(
        game=game,
        kills=len(made),
        places=dict(collections.Counter(place for _, place in made)),
        sights=dict(collections.Counter(sight for sight, _ in made)),
        runs=len(runs),
        resumes=sum(run.resumes for run in runs),
        lost=sum(bool(run.differences) for run in runs),
        differences=[each for run in runs for each in run.differences],
        seconds=round(seconds, 1),
    )


def draw(rng: random.Random) -> Iterator[Moment]:
    """Yields moments to kill at, of all kinds, in an order that the seed decides."""
    sights = {"start": 20, "checkpoint": 25, "committed": 10, "unfinished": 30}
    sights |= {"params": 15}
    latest = {"start": _START_UP, "checkpoint": 2.0, "unfinished": 0.03}
    latest |= {"committed": 0.005, "params": 0.5}
    while True:
        (sight,) = rng.choices(list(sights), list(sights.values()))
        number = rng.randint(1, 4) if sight not in ("start", "params") else 0
        yield Moment(sight, number, rng.uniform(0, latest[sight]))


class Sights:
    """What an attempt has put on the disk that was not there before it.

    Args:
      out: directory of the study with the one run.
    """

    def __init__(self, out: pathlib.Path):
        self._out = out
        self._before = self._marks("") | self._marks("checkpoints")
        self._committed: set[str] = set()  # seen so far; few of them stay

    def new(self, folder: str) -> list[str]:
        """Returns the new entries of a folder of the run; "" is the run's own."""
        return [name for name, _ in self._marks(folder) - self._before]

    def sees(self, moment: Moment) -> bool:
        """Tells whether what a moment waits for is there."""
        if moment.sight == "start":
            return True
        if moment.sight == "params":
            return any(name.startswith("params") for name in self.new(""))
        names = self.new("checkpoints")
        self._committed |= set(filter(str.isdigit, names))
        if moment.sight != "unfinished":
            return len(self._committed) >= moment.number
        there = any(name.endswith(".unfinished") for name in names)
        return there and len(self._committed) >= moment.number - 1

    def place(self) -> str:
        """Returns where in its work the attempt was, after it has been killed."""
        own, names = self.new(""), self.new("checkpoints")
        if "result.json" in own:
            return "after its row"
        if any(name.endswith(".unfinished") for name in names):
            return "writing a checkpoint"
        if any(name.startswith("params") for name in own):
            return "final evaluation"
        if not any(name.isdigit() for name in names):
            return "before its first checkpoint"
        there = sum(name.isdigit() for name, _ in self._marks("checkpoints"))
        return "deleting old ones" if there > leftovers.KEPT else "between checkpoints"

    def extent(self) -> tuple[Any, ...]:
        """Returns what changes whenever the attempt gets on."""
        sizes = [file.stat().st_size for file in self._out.glob("runs/*/*.jsonl")]
        return sizes, self._marks(""), self._marks("checkpoints")

    def _marks(self, folder: str) -> set[tuple[str, int]]:
        """Returns the entries of a folder, each with the time of its last change."""
        found = set()
        try:
            with os.scandir(_run_of(self._out) / folder) as entries:
                for entry in entries:
                    if entry.name.startswith(("0", ".0", "params", "result.json")):
                        found.add((entry.name, entry.stat().st_mtime_ns))
        except FileNotFoundError:  # not there yet, or gone while we looked
            pass
        return found


def _break(flags: list[str], out: pathlib.Path, moments: Iterator[Moment]) -> Broken:
    """Starts a run until it finishes, killing it at each moment that comes."""
    kills = []
    out.mkdir(parents=True)
    while True:
        moment = next(moments, None)
        sights, log = Sights(out), out / f"attempt-{len(kills) + 1:03d}.log"
        try:
            if _attempt([*flags, "--out", str(out)], log, sights, moment):
                break
        except LostError as lost:
            return Broken(kills, 0, [str(lost)])
        assert moment is not None
        kills.append((moment.sight, sights.place()))
    row = results.read_row(_run_of(out))
    if row is None or row["status"] != "ok":
        return Broken(kills, 0, [f"{out} has no row that is ok: {_end_of(log)}"])
    return Broken(kills, row["resumes"], [])


def _attempt(
    flags: list[str], log: pathlib.Path, sights: Sights, moment: Moment | None
) -> bool:
    """Makes one attempt; tells whether it finished, False: it was killed.

    Raises:
      LostError: if it ends with an error, or gets no further.
    """
    command = [sys.executable, "-m", "launch.train", *flags]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=file, stderr=file, start_new_session=True
        )
    try:
        ended = _wait(process, sights, moment)
    finally:
        _kill(process)
    if ended == "stalled":
        raise LostError(f"{_STALLED:.0f} s without progress: {_end_of(log)}")
    if ended == "due" and process.returncode == -signal.SIGKILL:
        return False
    if process.returncode != 0:
        raise LostError(f"status {process.returncode}: {_end_of(log)}")
    return True


def _wait(process: subprocess.Popen, sights: Sights, moment: Moment | None) -> str:
    """Returns when the process has exited, has stalled, or its moment has come."""
    got_on = seen = time.monotonic()
    extent, is_seen = sights.extent(), False
    while process.poll() is None:
        now = time.monotonic()
        if moment is not None and not is_seen:
            is_seen, seen = sights.sees(moment), now
        if moment is not None and is_seen and now >= seen + moment.delay:
            return "due"
        if now > got_on + 1 and (latest := sights.extent()) != extent:
            got_on, extent = now, latest
        if now > got_on + _STALLED:
            return "stalled"
        time.sleep(_POLL)
    return "exited"


def _kill(process: subprocess.Popen) -> None:
    """Ends a process and all that it started, at once, if it is there."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _run_of(out: pathlib.Path) -> pathlib.Path:
    """Returns the directory of the one run of a study, or where none is."""
    return next(out.glob("runs/*"), out / "runs" / "none")


def _end_of(log: pathlib.Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def _say(game: str, run: Broken, spent: int) -> None:
    print(f"{game}: a run after {len(run.kills)} kills, {spent} in all:", flush=True)
    for line in run.differences or ["the same as the unbroken one"]:
        print(f"  {line}", flush=True)


def table(reports: Sequence[Report]) -> str:
    """Returns the reports as a table, places by game."""
    places = sorted({place for report in reports for place in report.places})
    total = "total"
    rows = [["", *(report.game for report in reports), total]]
    for place in places:
        counts = [report.places.get(place, 0) for report in reports]
        rows.append([place, *map(str, counts), str(sum(counts))])
    for name in ("kills", "resumes", "runs", "lost", "seconds"):
        figures = [getattr(report, name) for report in reports]
        rows.append([name, *map(str, figures), str(round(sum(figures), 1))])
    return "\n".join(
        f"{row[0]:28}" + "".join(f"{cell:>10}" for cell in row[1:]) for row in rows
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Makes the test that the flags describe; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60, help="over all games")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--games", default=",".join(GAMES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("extra", nargs="*", help="further flags of train.py")
    flags = parser.parse_args(argv)
    names = flags.games.split(",")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and end what was started
    jax.config.update("jax_platforms", "cpu")  # only here: the runs may have others
    reports = []
    for number, name in enumerate(names):
        share = (flags.kills + number) // len(names)
        out = flags.out.resolve() / name
        reports.append(kill_runs(name, share, out, seed=flags.seed, extra=flags.extra))
        found = {"seed": flags.seed, "games": [each._asdict() for each in reports]}
        (flags.out / "report.json").write_text(json.dumps(found, indent=1) + "\n")
    print(table(reports))
    return int(any(report.lost for report in reports))


if __name__ == "__main__":
    sys.exit(main())
