"""jumanji's games as a device environment.

What this adds to the library's own step: sticky actions, random starts, and the
time limit as a truncation. jumanji emits a time limit as a termination, so each
game is made with a limit that it never reaches, and the steps are counted here.
Everything random in a row comes from the key of its reset.

`import jumanji` initialises the XLA backend, so it happens in the constructor.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from scaling import config, types
from scaling.envs import boards, interface, pictures

NO_ACTION = -1  # `previous` before an episode's first action


class State(NamedTuple):
    """B running games."""

    game: Any  # jumanji's own state, a leading axis B on every leaf
    key: Any  # [B] the episode's key; step t uses fold_in(key, t)
    previous: Int[Array, " B"]  # the action executed last, or NO_ACTION
    steps: Int[Array, " B"]  # agent steps of this episode, random starts not counted


class JumanjiEnvironment:
    """A batch of one jumanji game; see `interface.DeviceEnvironment`.

    Invalid actions do what the game does with them: in PacMan the player stays.
    PacMan's actions are 0 up, 1 left, 2 down, 3 right, 4 none.
    """

    spec: types.EnvSpec

    def __init__(self, name: str, protocol: config.Protocol) -> None:
        """Makes the game called `name`, such as `PacMan-v1`.

        Raises:
          ValueError: if the game has not one discrete action and one reward, or
            its observation is neither planes, nor an image, nor a vector.
        """
        self._game, time_limit = _make(name, protocol.random_start)
        self._limit = min(protocol.max_frames, time_limit)
        self._num_actions = _num_actions(name, self._game)
        self._random_start = protocol.random_start
        self._execute = _execution(protocol.sticky or 0.0)
        self._read = _reader(name, protocol)
        self._board = (
            jax.jit(boards.PLANES[name].planes) if name in boards.PLANES else None
        )
        self._dtypes = _state_dtypes(self._game)
        observation = jax.eval_shape(self._begin, jax.random.key(0))[1]
        self.spec = types.EnvSpec(
            name=f"jumanji:{name}",
            num_actions=self._num_actions,
            observation_shape=observation.shape,
            observation_dtype=observation.dtype,
            observation_scale=1.0,
            frames_per_step=1,
        )

    def reset(self, keys: Any) -> tuple[State, Array]:
        """Returns states and first observations [B, ...] of `keys` [B]."""
        return jax.vmap(self._begin)(keys)

    def step(
        self, state: State, action: Int[Array, " B"]
    ) -> tuple[State, interface.Transition]:
        """Returns the states and transitions after `action`."""
        return jax.vmap(self._advance)(state, action)

    def render(self, state: State, row: int) -> pictures.Picture | None:
        """Returns the whole board of a row, whatever the view; None without planes.

        The states of these games have all the fields that their planes are made of.
        """
        if self._board is None:
            return None
        game = jax.tree.map(lambda leaf: leaf[row], state.game)
        return pictures.board(np.asarray(self._board(game)))

    def _begin(self, key: Any) -> tuple[State, Array]:
        """Returns one row's first state and observation."""
        game_key, start_key, key = jax.random.split(key, 3)
        game, timestep = self._game.reset(_raw(game_key))
        first = (self._cast(game), timestep.observation, jnp.int32(NO_ACTION))
        if self._random_start:
            first = self._wander(start_key, first)
        game, observation, previous = first
        return State(game, key, previous, jnp.int32(0)), self._read(observation)

    def _wander(self, key: Any, first: tuple) -> tuple:
        """Returns where 0 to `random_start` uniformly random steps lead.

        An episode must not begin at its end: a step that would end the game puts
        it back to its first position, and the remaining steps go on from there.
        """
        count_key, key = jax.random.split(key)
        count = jax.random.randint(count_key, (), 0, self._random_start + 1)

        def wander_once(t: Array, now: tuple) -> tuple:
            action_key = jax.random.fold_in(key, t)
            action = jax.random.randint(
                action_key, (), 0, self._num_actions, dtype=jnp.int32
            )
            game, timestep = self._game.step(now[0], action)
            moved = (self._cast(game), _cast(timestep.observation, start[1]), action)
            return _where(timestep.last(), start, moved)

        start = _strong(first)
        return jax.lax.fori_loop(0, count, wander_once, start)

    def _advance(
        self, state: State, action: Int[Array, ""]
    ) -> tuple[State, interface.Transition]:
        """Returns one row's next state and transition."""
        key = jax.random.fold_in(state.key, state.steps)
        executed = self._execute(key, state.previous, action)
        game, timestep = self._game.step(state.game, executed)
        steps = state.steps + 1
        terminated = timestep.last() & (timestep.discount == 0)
        truncated = (timestep.last() | (steps >= self._limit)) & ~terminated
        return State(
            self._cast(game), state.key, executed, steps
        ), interface.Transition(
            observation=self._read(timestep.observation),
            reward=jnp.asarray(timestep.reward, jnp.float32),
            terminated=terminated,
            truncated=truncated,
        )

    def _cast(self, game: Any) -> Any:
        """Returns the game's state with the types that its step gives it."""
        return _cast(game, self._dtypes)


def _make(name: str, random_start: int) -> tuple[Any, int]:
    """Returns the game, its own time limit out of reach, and that limit."""
    from jumanji import registration  # initialises the XLA backend

    game: Any = registration.make(name)
    limit = getattr(game, "time_limit", None)
    if limit is None:
        return game, 2**31 - 1
    return registration.make(name, time_limit=limit + random_start + 1), int(limit)


def _num_actions(name: str, game: Any) -> int:
    """Returns the number of actions; refuses anything but one discrete action."""
    actions: Any = game.action_spec
    if not isinstance(getattr(actions, "num_values", None), int):
        raise ValueError(
            f"jumanji:{name} takes {actions}, but only one discrete action is "
            "supported; choose another game or wrap it (docs/extending.md)."
        )
    return int(actions.num_values)


def _reader(name: str, protocol: config.Protocol) -> Callable[[Any], Array]:
    """Returns the function from the game's observation to one array."""
    if name in boards.PLANES:
        return boards.board_reader(boards.PLANES[name], protocol)
    return boards.image_or_vector


def _execution(sticky: float) -> Callable[[Any, Array, Array], Array]:
    """Returns (key, previous, chosen action) -> the action that is executed."""
    if sticky == 0:
        return lambda key, previous, action: jnp.asarray(action, jnp.int32)

    def repeat_sometimes(key: Any, previous: Array, action: Array) -> Array:
        repeated = jax.random.bernoulli(key, sticky) & (previous != NO_ACTION)
        return jnp.where(repeated, previous, action).astype(jnp.int32)

    return repeat_sometimes


def _state_dtypes(game: Any) -> Any:
    """Returns the shapes and types of the game's state after a step."""

    def one_step(key: Any) -> Any:
        return game.step(game.reset(key)[0], jnp.int32(0))[0]

    return jax.eval_shape(one_step, jax.random.PRNGKey(0))


def _raw(key: Any) -> Array:
    """Returns the key as jumanji wants it: two uint32."""
    return jax.random.key_data(key)


def _cast(tree: Any, like: Any) -> Any:
    """Returns the leaves with the types of those of a like tree."""
    return jax.tree.map(lambda leaf, to: jnp.asarray(leaf, to.dtype), tree, like)


def _strong(tree: Any) -> Any:
    """Returns the leaves with strong types, as a loop's carry needs them."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.asarray(leaf).dtype), tree)


def _where(condition: Bool[Array, ""], yes: Any, no: Any) -> Any:
    """Returns one tree or the other."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
