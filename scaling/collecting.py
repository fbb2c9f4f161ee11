"""Making a data set: whole episodes of a policy, in the order of their numbers.

Of B lanes, lane r plays the episodes r, r + B, r + 2B, …, so an episode is in the same
row of the same batch whatever ran before: a store that was interrupted ends with the
bytes of one that was not. No lane is more than one episode ahead of the slowest, so at
most 2B episodes are in memory, beside the open chunk of the store.
"""

import contextlib
import dataclasses
import math
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from scaling import checkpoint, config, evaluate, playing, recording, sharding, types
from scaling.agent import model as models
from scaling.datasets import episodes as stores
from scaling.datasets import importing, journal, manifest, writer
from scaling.envs import registry

# Steps whose observations make a chunk, unless 64 MiB do: what is lost when it is
# interrupted. Playing takes longer than importing, whose chunks are all of 64 MiB.
STEPS_OF_CHUNK = 10_000
# Data sets are seeded apart from training and from evaluation.
_SEED = 500_000_003
_LENGTH = manifest.Index._fields.index("length")

Action = config.Action | Literal["random"]
Report = Callable[[importing.Progress], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Behaviour:
    """Who plays the episodes, and how."""

    name: str
    """Of the run, or `random`."""
    action: Action
    """`mcts`, `policy` or `value`, as in evaluation, or uniformly `random`."""
    epsilon: float = 0.0
    """Probability of a uniformly random action instead."""
    seed: int = 0
    """Of all episodes, in [0, 2^31)."""
    network: pathlib.Path | None = None
    """Directory that holds the parameters; None: nothing needs them."""
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)
    """What else the store says of it; plain JSON."""


class Wanted(NamedTuple):
    """Where a data set ends: the episode that reaches one of these is its last."""

    episodes: int | float = math.inf
    frames: int | float = math.inf

    def goes_on(self, episodes: int, frames: int) -> bool:
        """Returns whether another episode follows these."""
        return episodes < self.episodes and frames < self.frames

    def share(self, episodes: int, frames: int) -> float:
        """Returns how much of it is there, 0 to 1."""
        return min(1.0, max(episodes / self.episodes, frames / self.frames))


class Kept(NamedTuple):
    """What is in a store from before."""

    episodes: int
    steps: int


NOTHING = Kept(0, 0)


@contextlib.contextmanager
def lanes(
    settings: config.Settings, behaviour: Behaviour, size: int
) -> Iterator[playing.Lanes]:
    """Yields `size` episodes side by side, of the settings' environment.

    Raises:
      ValueError: if the parameters are not there or do not fit.
    """
    with sharding.precision(settings.precision), contextlib.ExitStack() as stack:
        if registry.is_device(settings.env):
            env = registry.make_device(settings.env, settings.protocol)
            player = _player(settings, behaviour, env.spec)
            yield playing.DeviceLanes(env, player, size)
        else:
            host = registry.make_host(settings.env, settings.protocol, size)
            stack.callback(host.close)
            yield playing.HostLanes(host, _player(settings, behaviour, host.spec))


def _player(
    settings: config.Settings, behaviour: Behaviour, spec: types.EnvSpec
) -> playing.Player:
    model = models.make_model(spec, settings)
    params = {}
    if behaviour.network is not None:
        shape = jax.eval_shape(model.init, jax.random.key(0))
        params = checkpoint.load_params(behaviour.network, shape)
    if behaviour.action == "random":
        policy = evaluate.random_policy(spec.num_actions)
    else:
        policy = evaluate.policy_for(behaviour.action, model, settings)
    choose = playing.exploring(policy, behaviour.epsilon, spec.num_actions)
    seed = (_SEED + behaviour.seed) % 2**31
    return playing.Player(params, choose, settings.protocol, seed)


def header(
    spec: types.EnvSpec,
    protocol: config.Protocol,
    behaviour: Behaviour,
    wanted: Wanted,
) -> manifest.Header:
    """Returns the header of the store: all that decides its bytes is in it."""
    provenance = importing.provenance(
        "collected",
        pathlib.Path(behaviour.name),
        action=behaviour.action,
        epsilon=behaviour.epsilon,
        seed=behaviour.seed,
        **{name: _or_none(value) for name, value in wanted._asdict().items()},
        **behaviour.facts,
    )
    size = math.prod(spec.observation_shape) * np.dtype(spec.observation_dtype).itemsize
    chunk_bytes = min(manifest.CHUNK_BYTES, STEPS_OF_CHUNK * size)
    return recording.header(spec, protocol, provenance, chunk_bytes)


def _or_none(limit: int | float) -> int | None:
    return None if limit == math.inf else int(limit)


def collect(
    played: playing.Lanes,
    path: pathlib.Path,
    head: manifest.Header,
    wanted: Wanted,
    report: Report = lambda progress: None,
) -> stores.EpisodeStore:
    """Makes the store `path`, or goes on where that was interrupted.

    Args:
      played: the episodes side by side.
      path: directory to make.
      head: of the store.
      wanted: where it ends.
      report: told after each step of the lanes.

    Raises:
      ValueError: if `path` exists, or was begun otherwise.
    """
    with writer.EpisodeWriter(path, head) as store:
        _, _, rows = journal.recover(writer.partial(path), head)
        kept = Kept(len(rows), sum(row[_LENGTH] for row in rows))
        for episode in episodes(played, wanted, kept, report):
            store.append(episode)
        store.finish()
    return stores.open_store(path)


def episodes(
    played: playing.Lanes,
    wanted: Wanted,
    kept: Kept = NOTHING,
    report: Report = lambda progress: None,
) -> Iterator[stores.Episode]:
    """Yields the episodes after those that are kept, in order, until it is enough."""
    order = _Order(played, wanted, kept)
    while order.goes_on():
        order.begin()
        order.step()
        report(order.progress())
        yield from order.taken()


class _UnderWay:
    """An episode that is being played."""

    def __init__(self, number: int, first: np.ndarray):
        self.number = number
        self._seen, self._actions, self._rewards = [first.copy()], [], []

    def __len__(self) -> int:
        return len(self._actions)

    def add(self, moved: playing.Moved, lane: int) -> None:
        """Adds a step of its lane."""
        self._seen.append(moved.observation[lane].copy())
        self._actions.append(moved.action[lane])
        self._rewards.append(moved.reward[lane])

    def whole(self, terminated: bool, dtype: Any) -> stores.Episode:
        """Returns it, now that it has ended."""
        return stores.Episode(
            np.stack(self._seen).astype(dtype, copy=False),
            np.array(self._actions, np.int32),
            np.array(self._rewards, np.float32),
            terminated,
        )


class _Order:
    """Which lane plays what, and which episodes wait for an earlier one."""

    def __init__(self, played: playing.Lanes, wanted: Wanted, kept: Kept):
        self._played, self._wanted = played, wanted
        self._number, self._steps = kept  # of the episodes handed out
        self._made = 0  # steps, by this process
        self._under_way: dict[int, _UnderWay] = {}  # by lane
        self._ended: dict[int, stores.Episode] = {}  # by number
        size = played.size
        behind = [(lane - kept.episodes) % size for lane in range(size)]
        self._next = [kept.episodes + each for each in behind]  # of each lane

    def goes_on(self) -> bool:
        """Returns whether another episode is wanted."""
        return self._wanted.goes_on(self._number, self._frames(self._steps))

    def begin(self) -> None:
        """Begins the next episodes of idle lanes, as far as they may be wanted."""
        idle = sorted(
            set(range(self._played.size)) - set(self._under_way), key=self._at
        )
        ahead = self._number + 2 * self._played.size
        chosen = []
        for lane in idle:
            number = self._next[lane]
            before = self._frames(self._steps_before(number))
            if number >= ahead or not self._wanted.goes_on(number, before):
                break
            chosen.append(lane)
        if not chosen:
            return
        numbers = [self._next[lane] for lane in chosen]
        first = self._played.begin(chosen, numbers)
        for lane, number, observation in zip(chosen, numbers, first, strict=True):
            self._under_way[lane] = _UnderWay(number, observation)
            self._next[lane] += self._played.size

    def step(self) -> None:
        """Moves every episode under way on by one step."""
        live = sorted(self._under_way)
        moved = self._played.step(live)
        self._made += len(live)
        dtype = self._played.spec.observation_dtype
        for lane in live:
            episode = self._under_way[lane]
            episode.add(moved, lane)
            terminated = bool(moved.terminated[lane])
            if terminated or moved.truncated[lane]:
                self._ended[episode.number] = episode.whole(terminated, dtype)
                del self._under_way[lane]

    def taken(self) -> Iterator[stores.Episode]:
        """Yields the episodes that wait for no other one."""
        while self._number in self._ended and self.goes_on():
            episode = self._ended.pop(self._number)
            self._number += 1
            self._steps += len(episode.actions)
            yield episode

    def progress(self) -> importing.Progress:
        """Returns how far it is."""
        so_far = self._frames(self._steps_before(self._number + 2 * self._played.size))
        share = self._wanted.share(self._number, so_far)
        return importing.Progress(self._number, self._made, share)

    def _at(self, lane: int) -> int:
        return self._next[lane]

    def _frames(self, steps: int) -> int:
        return steps * self._played.spec.frames_per_step

    def _steps_before(self, number: int) -> int:
        """Returns the steps made so far in the episodes before a number."""
        ended = (len(e.actions) for n, e in self._ended.items() if n < number)
        going = (len(e) for e in self._under_way.values() if e.number < number)
        return self._steps + sum(ended) + sum(going)
