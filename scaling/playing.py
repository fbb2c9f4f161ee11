"""Episodes side by side, each step of them told to the host.

Everything random in an episode follows from (seed, number), by the same keys and seeds
as in `scaling.evaluate`: without exploration these are the episodes that evaluation
plays. Exploration draws from keys of its own.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array, Int, Key

from scaling import config, evaluate, types
from scaling.agent import act, judgement
from scaling.envs import autoreset, interface

# Lanes that begin together: a reset may be as dear as many steps (see autoreset), and
# a fixed number makes one program.
_TOGETHER = autoreset.RESET_ROWS
# Exploration has the keys that this episode would have, which is never played.
_EXPLORATION = 2**32 - 1

Choose = Callable[[types.Params, types.History, Array, Array], Array]
"""(params, history [B], keys of the policy [B], keys of exploration [B]) → actions"""


class Moved(NamedTuple):
    """What one step of B lanes did; of a lane that was not live it means nothing."""

    action: np.ndarray  # [B] int
    observation: np.ndarray  # [B, ...] that the action led to
    reward: np.ndarray  # [B]
    terminated: np.ndarray  # [B] bool
    truncated: np.ndarray  # [B] bool


@runtime_checkable
class Lanes(Protocol):
    """B episodes side by side."""

    spec: types.EnvSpec
    size: int

    def begin(self, lanes: Sequence[int], numbers: Sequence[int]) -> np.ndarray:
        """Begins episodes by their numbers; returns first observations [lanes, ...]."""
        ...

    def step(self, live: Sequence[int]) -> Moved:
        """Moves the live lanes on by one step."""
        ...


class Player(NamedTuple):
    """Who plays."""

    params: types.Params
    choose: Choose
    protocol: config.Protocol
    seed: int  # of all episodes, in [0, 2^31)


def exploring(policy: evaluate.Policy, epsilon: float, num_actions: int) -> Choose:
    """Returns the policy with uniformly random actions at the probability `epsilon`."""

    def choose(
        params: types.Params, history: types.History, keys: Array, dice: Array
    ) -> Array:
        action = policy(params, history, keys)
        return judgement.explore(dice, action, epsilon, num_actions)

    return choose


class _Rows(NamedTuple):
    """B episodes under way on the device."""

    env_state: types.EnvState
    history: types.History
    number: Int[Array, " B"]
    step: Int[Array, " B"]


class DeviceLanes:
    """Episodes of a device environment; see `Lanes`."""

    def __init__(self, env: interface.DeviceEnvironment, player: Player, size: int):
        self.spec, self.size = env.spec, size
        self._params = player.params
        self._begin = jax.jit(functools.partial(_begin, env=env, player=_still(player)))
        self._step = jax.jit(functools.partial(_step, env=env, player=_still(player)))
        self._rows: _Rows | None = None

    def begin(self, lanes: Sequence[int], numbers: Sequence[int]) -> np.ndarray:
        """Begins episodes by their numbers; returns first observations [lanes, ...]."""
        seen = []
        for group in _groups(len(lanes)):
            begun, first = self._begin(np.array(numbers, np.int32)[group])
            self._rows = _put(
                _like(begun, self.size) if self._rows is None else self._rows,
                np.array(lanes, np.int32)[group],
                begun,
            )
            seen.append(np.asarray(first))
        return np.concatenate(seen)[: len(lanes)]

    def step(self, live: Sequence[int]) -> Moved:
        """Moves all lanes on by one step; what is not live plays for nothing."""
        del live
        self._rows, moved = self._step(self._params, self._rows)
        return Moved(*map(np.asarray, moved))


def _still(player: Player) -> Player:
    """Returns the player without parameters, which programs take as an argument."""
    return player._replace(params=None)


def _begin(
    number: Int[Array, " B"], *, env: interface.DeviceEnvironment, player: Player
) -> tuple[_Rows, Array]:
    keys = _episode_keys(player.seed, number)
    env_state, observation = env.reset(_fold(keys, 0 * number))
    history = act.begin(observation, player.protocol)
    return _Rows(env_state, history, number, 0 * number), observation


def _step(
    params: types.Params,
    rows: _Rows,
    *,
    env: interface.DeviceEnvironment,
    player: Player,
) -> tuple[_Rows, tuple[Array, ...]]:
    policy_keys = _fold(_episode_keys(player.seed, rows.number), 0 * rows.number + 1)
    action = player.choose(
        params,
        rows.history,
        _fold(policy_keys, rows.step),
        _dice(player.seed, rows.number, rows.step),
    )
    env_state, moved = env.step(rows.env_state, action)
    history = act.follow(rows.history, action, moved.observation)
    return _Rows(env_state, history, rows.number, rows.step + 1), (action, *moved)


class HostLanes:
    """Episodes of a host environment, one in each of its rows; see `Lanes`."""

    def __init__(self, env: interface.HostEnvironment, player: Player):
        self.spec, self.size = env.spec, env.size
        self._env, self._player = env, player
        shape = (env.size, *env.spec.observation_shape)
        self._seen = np.zeros(shape, env.spec.observation_dtype)  # the newest
        self._number = np.zeros(env.size, np.int32)  # of each lane's episode
        self._steps = np.zeros(env.size, np.int32)  # made in it
        self._history = act.begin(self._seen, player.protocol)
        choose = functools.partial(_choose, player=_still(player))
        self._choose = jax.jit(choose)

    def begin(self, lanes: Sequence[int], numbers: Sequence[int]) -> np.ndarray:
        """Begins episodes by their numbers; returns first observations [lanes, ...]."""
        rows, seed = list(lanes), self._player.seed
        seeds = [autoreset.episode_seed(seed, 0, int(n)) for n in numbers]
        first = self._env.reset(rows, seeds)
        self._seen[rows], self._number[rows], self._steps[rows] = first, numbers, 0
        for group in _groups(len(rows)):
            begun = _begin_history(self._seen[rows][group], self._player.protocol)
            lane = np.array(rows, np.int32)[group]
            self._history = _put(self._history, lane, begun)
        return self._seen[rows]

    def step(self, live: Sequence[int]) -> Moved:
        """Moves the live lanes on by one step."""
        rows, params = list(live), self._player.params
        chosen = self._choose(params, self._history, self._number, self._steps)
        action = np.asarray(chosen)
        moved = self._env.step(rows, action[rows])
        self._seen[rows] = moved.observation
        self._steps[rows] += 1
        # A copy, since JAX may read an array of NumPy's after the call returns.
        self._history = _follow(self._history, chosen, self._seen.copy())
        facts = (moved.reward, moved.terminated, moved.truncated)
        return Moved(action, self._seen, *(_spread(f, rows, self.size) for f in facts))


def _choose(
    params: Any, history: Any, number: Any, step: Any, *, player: Player
) -> Any:
    keys = _fold(_episode_keys(player.seed, number), step)
    return player.choose(params, history, keys, _dice(player.seed, number, step))


_begin_history = jax.jit(act.begin, static_argnums=1)
_follow = jax.jit(act.follow)


def _spread(values: np.ndarray, rows: Sequence[int], size: int) -> np.ndarray:
    """Returns the values of some rows as those of all, zeros elsewhere."""
    whole = np.zeros(size, values.dtype)
    whole[rows] = values
    return whole


_fold = jax.vmap(jax.random.fold_in)


def _episode_keys(seed: int, number: Int[Array, " B"]) -> Key[Array, " B"]:
    """Returns the keys of episodes."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(jax.random.key(seed), number)


def _dice(seed: int, number: Any, step: Any) -> Key[Array, " B"]:
    """Returns the keys of exploration in steps of episodes."""
    stream = jax.random.fold_in(jax.random.key(seed), np.uint32(_EXPLORATION))
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(stream, number)
    return _fold(keys, step)


@jax.jit
def _put(whole: Any, lanes: Int[Array, " n"], begun: Any) -> Any:
    """Returns the rows of `whole`, those of `lanes` replaced."""
    return jax.tree.map(lambda all_, some: all_.at[lanes].set(some), whole, begun)


def _like(begun: Any, size: int) -> Any:
    """Returns as many rows as there are lanes, all alike."""
    return jax.tree.map(lambda x: x[np.zeros(size, np.int32)], begun)


def _groups(number: int) -> Iterator[np.ndarray]:
    """Yields 0 … number - 1 in groups of one size; the last one repeats its first."""
    for start in range(0, number, _TOGETHER):
        group = np.arange(start, start + _TOGETHER)
        yield np.where(group < number, group, start)
