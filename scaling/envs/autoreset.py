"""Same-step autoreset, one meaning for device and host environments.

When a step ends a row's episode, the row begins its next one in the same call: the
`Outcome` holds the new episode's first observation to act on and, apart from it,
the true last observation of the old one.

Every episode has a name, (row, number), and everything random in it follows from
that: on the device its key is fold_in(the row's key, number), on the host its seed
is drawn from SeedSequence((base seed, row, number)).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from scaling import types
from scaling.envs import interface

# Rows that begin together. A reset may be as dear as many steps (random starts),
# and few rows end in any one step. PacMan with random starts on 2 cores, in thousand
# steps a second with 2, 4, 8, 16: 46, 38, 30, 14 at 16 rows; 41, 51, 44, 41 at 128.
RESET_ROWS = 4


class Rows(NamedTuple):
    """B environments that reset themselves: what `step` carries along."""

    state: types.EnvState  # the environment's own, a leading axis B on every leaf
    key: Any  # [B] the row's key, never changed
    episode: Int[Array, " B"]  # number of the row's episode, from 0


def reset(env: interface.DeviceEnvironment, keys: Any) -> tuple[Rows, Array]:
    """Returns the rows at their first episodes and the observations [B, ...].

    Args:
      env: a device environment.
      keys: one key a row, [B].
    """
    episode = jnp.zeros(keys.shape[0], jnp.int32)
    state, observation = env.reset(_episode_keys(keys, episode))
    return Rows(state, keys, episode), observation


def step(
    env: interface.DeviceEnvironment, rows: Rows, action: Int[Array, " B"]
) -> tuple[Rows, types.Outcome]:
    """Steps every row; those whose episode ended begin their next one.

    Resets cost nothing in a step that ends no episode. Call it on a batch, not
    under `vmap`, which would turn that into a reset of every row at every step.
    """
    state, transition = env.step(rows.state, action)
    ended = transition.terminated | transition.truncated
    rows, observation = _begin_again(
        env, rows._replace(state=state), transition.observation, ended
    )
    return rows, _outcome(transition, observation, jnp.float32)


def _begin_again(
    env: interface.DeviceEnvironment, rows: Rows, observation: Array, ended: Any
) -> tuple[Rows, Array]:
    """Resets the ended rows, `RESET_ROWS` at a time until none is left."""
    size = min(RESET_ROWS, ended.shape[0])

    def some_ended(carry: tuple) -> Bool[Array, ""]:
        return carry[2].any()

    def reset_some(carry: tuple) -> tuple[Rows, Array, Array]:
        rows, observation, ended = carry
        (chosen,) = jnp.nonzero(ended, size=size, fill_value=ended.shape[0])
        # Spare places repeat the first ended row: they do the same work again.
        chosen = jnp.where(chosen == ended.shape[0], chosen[0], chosen)
        episode = rows.episode[chosen] + 1
        state, first = env.reset(_episode_keys(rows.key[chosen], episode))
        put = lambda whole, part: whole.at[chosen].set(part)  # noqa: E731
        rows = Rows(
            jax.tree.map(put, rows.state, state), rows.key, put(rows.episode, episode)
        )
        return rows, put(observation, first), put(ended, False)

    rows, observation, _ = jax.lax.while_loop(
        some_ended, reset_some, (rows, observation, ended)
    )
    return rows, observation


def _episode_keys(keys: Any, episode: Int[Array, " B"]) -> Any:
    return jax.vmap(jax.random.fold_in)(keys, episode)


def _outcome(
    transition: interface.Transition, observation: Any, float32: Any
) -> types.Outcome:
    terminated = transition.terminated
    return types.Outcome(
        observation=observation,
        last_observation=transition.observation,
        reward=transition.reward,
        discount=(~terminated).astype(float32),
        terminated=terminated,
        truncated=transition.truncated & ~terminated,
    )


class HostRows:
    """A host environment whose rows reset themselves; NumPy in, NumPy out.

    Safe to step from several threads at once for disjoint rows.
    """

    def __init__(self, env: interface.HostEnvironment, base_seed: int) -> None:
        """Wraps `env`; `base_seed` ≥ 0 and the row name every episode's seed."""
        self.env = env
        self.base_seed = base_seed
        self.episode = np.full(env.size, -1, np.int64)  # [size], -1 before the first

    def reset(self, rows: Sequence[int]) -> np.ndarray:
        """Begins the next episode in each of `rows`; returns observations."""
        rows = [int(row) for row in rows]
        self.episode[rows] += 1
        seeds = [episode_seed(self.base_seed, r, int(self.episode[r])) for r in rows]
        return self.env.reset(rows, seeds)

    def step(self, rows: Sequence[int], action: np.ndarray) -> types.Outcome:
        """Steps `rows` with `action` [rows]; resets those whose episode ended."""
        transition = self.env.step(rows, action)
        observation = transition.observation
        ended = np.flatnonzero(transition.terminated | transition.truncated)
        if ended.size:
            observation = observation.copy()
            observation[ended] = self.reset([rows[i] for i in ended.tolist()])
        return _outcome(transition, observation, np.float32)


def episode_seed(base_seed: int, row: int, episode: int) -> int:
    """Returns the seed of an episode, in [0, 2^31): what every emulator accepts."""
    sequence = np.random.SeedSequence((base_seed, row, episode))
    return int(sequence.generate_state(1)[0] >> 1)
