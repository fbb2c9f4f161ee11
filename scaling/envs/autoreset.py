"""Same-step autoreset, one meaning for device and host environments.

When a step ends a row's episode, the row begins its next one in the same call: the
`Outcome` holds the new episode's first observation to act on and, apart from it,
the true last observation of the old one.

Every episode has a name, (row, number), and everything random in it follows from
that: on the device its key is fold_in(the row's key, number), on the host its seed
is drawn from SeedSequence((base seed, row, number)).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from scaling import types
from scaling.envs import interface, records

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


class Restored(NamedTuple):
    """What became of the rows of a process when they were restored."""

    exact: Bool[np.ndarray, " B"]  # goes on exactly where it was saved
    observation: np.ndarray  # [B, ...] first of a new episode; zeros where exact


class HostRows:
    """A host environment whose rows reset themselves; NumPy in, NumPy out.

    Safe to step from several threads at once for disjoint rows. Row i of this
    process has the global number `first_row` + i, by which its episodes are named:
    the same row plays the same episodes in whatever process it lives.
    """

    def __init__(
        self, env: interface.HostEnvironment, base_seed: int, first_row: int = 0
    ) -> None:
        """Wraps `env`; `base_seed` ≥ 0 and the row name every episode's seed."""
        self.env = env
        self.base_seed = base_seed
        self.first_row = first_row
        self.episode = np.full(env.size, -1, np.int64)  # [size], -1 before the first

    def reset(self, rows: Sequence[int]) -> np.ndarray:
        """Begins the next episode in each of `rows`; returns observations."""
        rows = [int(row) for row in rows]
        self.episode[rows] += 1
        seeds = [
            episode_seed(self.base_seed, self.first_row + r, int(self.episode[r]))
            for r in rows
        ]
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

    def save(self) -> dict[str, np.ndarray]:
        """Returns every row's episode number and record, named by global numbers.

        The names are `row3/episode` and, of an environment that is
        `interface.Restorable`, `row3/env/…`; what processes saved can be put
        together in one mapping. Between steps only.
        """
        begun = np.flatnonzero(self.episode >= 0).tolist()
        saved: dict[str, np.ndarray] = {}
        for row, episode in enumerate(self.episode):
            records.put(saved, self.first_row + row, {"episode": np.array(episode)})
        if begun and isinstance(self.env, interface.Restorable):
            for row, record in zip(begun, self.env.save(begun), strict=True):
                named = {f"env/{name}": array for name, array in record.items()}
                records.put(saved, self.first_row + row, named)
        return saved

    def restore(self, saved: Mapping[str, np.ndarray]) -> Restored:
        """Puts every row back; one that cannot go on begins its next episode.

        Args:
          saved: what `save` returned for these rows, and any others; in a run with
            the same `base_seed` and the same environment.

        Raises:
          ValueError: naming the row, if it is missing or its record is malformed.
        """
        numbers = range(self.first_row, self.first_row + self.env.size)
        found = records.take(saved, numbers)
        self.episode[:] = [
            _saved_episode(row, record) for row, record in enumerate(found)
        ]
        exact = self._restore_exactly(found)
        observation = np.zeros(
            (self.env.size, *self.env.spec.observation_shape),
            self.env.spec.observation_dtype,
        )
        if not exact.all():
            others = np.flatnonzero(~exact)
            observation[others] = self.reset(others.tolist())
        return Restored(exact, observation)

    def _restore_exactly(
        self, found: Sequence[Mapping[str, np.ndarray]]
    ) -> Bool[np.ndarray, " B"]:
        """Returns which rows the environment took up where they were."""
        exact = np.zeros(self.env.size, np.bool_)
        kept = [
            {name[4:]: array for name, array in row.items() if name.startswith("env/")}
            for row in found
        ]
        rows = [row for row, record in enumerate(kept) if record]
        if rows and isinstance(self.env, interface.Restorable):
            exact[rows] = self.env.restore(rows, [kept[row] for row in rows])
        return exact


def _saved_episode(row: int, record: Mapping[str, np.ndarray]) -> int:
    """Returns the number of the episode that the row was in, checked."""
    number = {name: array for name, array in record.items() if "/" not in name}
    records.check(row, number, {"episode": records.Field(np.int64, ())})
    episode = int(number["episode"])
    if not -1 <= episode < 2**62:
        raise records.damaged(row, f"its episode number is {episode}")
    return episode


def episode_seed(base_seed: int, row: int, episode: int) -> int:
    """Returns the seed of an episode, in [0, 2^31): what every emulator accepts."""
    sequence = np.random.SeedSequence((base_seed, row, episode))
    return int(sequence.generate_state(1)[0] >> 1)
