"""Scores of a network: whole episodes, every one counted, no noise at the root."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from scaling import config, types
from scaling.agent import act
from scaling.agent import model as models
from scaling.envs import autoreset, interface
from scaling.search import mcts

# Episodes that run side by side; an episode's outcome does not depend on it.
LANES = 64
# Returns whose spread is below this share of their mean come from one path.
_DETERMINISTIC = 0.02

Evaluate = Callable[[types.Params, int, int], Float[np.ndarray, " n"]]
Policy = Callable[[types.Params, types.History, Array], Array]


class Playing(NamedTuple):
    """B episodes under way."""

    env_state: types.EnvState
    history: types.History
    total: Float[Array, " B"]  # return so far
    ended: Any  # [B] bool
    step: Any  # [] steps so far


def greedy_policy(model: models.Model, settings: config.Settings) -> Policy:
    """Returns the policy of evaluation: the best action of the policy target."""
    search = mcts.make_greedy_search(model, settings.search, settings.learner.discount)

    def policy(params: types.Params, history: types.History, keys: Array) -> Array:
        return search(params, history, keys, jnp.ones(())).best_action

    return policy


def random_policy(num_actions: int) -> Policy:
    """Returns the uniformly random policy."""

    def policy(params: types.Params, history: types.History, keys: Array) -> Array:
        del params, history
        return jax.vmap(lambda key: jax.random.randint(key, (), 0, num_actions))(keys)

    return policy


def on_device(
    env: interface.DeviceEnvironment,
    policy: Policy,
    protocol: config.Protocol,
    lanes: int = LANES,
) -> Evaluate:
    """Returns a function (params, seed, episodes) → returns [episodes].

    One compiled loop plays up to `lanes` episodes until all of them have ended.
    """

    @jax.jit
    def play(params: types.Params, keys: Key[Array, " B"], counted: Array) -> Array:
        env_state, observation = env.reset(keys)
        start = Playing(
            env_state,
            act.begin(observation, protocol),
            jnp.zeros(keys.shape[0]),
            ~counted,
            jnp.zeros((), jnp.int32),
        )

        def step(playing: Playing) -> Playing:
            fold = jax.vmap(jax.random.fold_in, in_axes=(0, None))
            # Reset and step keys of the environment are its own; ours are apart.
            action = policy(params, playing.history, fold(fold(keys, 1), playing.step))
            env_state, moved = env.step(playing.env_state, action)
            return Playing(
                env_state,
                act.follow(playing.history, action, moved.observation),
                playing.total + jnp.where(playing.ended, 0.0, moved.reward),
                playing.ended | moved.terminated | moved.truncated,
                playing.step + 1,
            )

        return jax.lax.while_loop(lambda p: ~p.ended.all(), step, start).total

    def evaluate(
        params: types.Params, seed: int, episodes: int
    ) -> Float[np.ndarray, " n"]:
        key, returns = jax.random.key(seed), []
        for first in range(0, episodes, lanes):
            number = jnp.arange(first, first + lanes)
            keys = jax.vmap(lambda n: jax.random.fold_in(key, n))(number)
            returns.append(np.asarray(play(params, keys, number < episodes)))
        return np.concatenate(returns)[:episodes]

    return evaluate


def on_host(
    env: interface.HostEnvironment, policy: Policy, protocol: config.Protocol
) -> Evaluate:
    """Returns a function (params, seed, episodes) → returns [episodes].

    A row that ends its episode begins the next one; every episode that was begun
    is counted, so long episodes are not under-represented.
    """

    @jax.jit
    def choose(params, history, key, number, step):
        fold = jax.vmap(jax.random.fold_in, in_axes=(None, 0))
        keys = jax.vmap(jax.random.fold_in)(fold(key, number), step)
        return policy(params, history, keys)

    follow = jax.jit(act.follow)
    restart = jax.jit(_restart)

    def evaluate(
        params: types.Params, seed: int, episodes: int
    ) -> Float[np.ndarray, " n"]:
        rows = min(env.size, episodes)
        every = list(range(rows))
        number = np.arange(rows)  # the episode each row plays
        step = np.zeros(rows, np.int32)
        seeds = [autoreset.episode_seed(seed, 0, n) for n in every]
        history = act.begin(env.reset(every, seeds), protocol)
        key, returns = jax.random.key(seed), np.zeros(episodes)
        active = np.ones(rows, bool)
        while active.any():
            action = np.asarray(choose(params, history, key, number, step))
            live = [int(row) for row in np.flatnonzero(active)]
            moved = env.step(live, action[live])
            observation = np.array(history.observations[:, -1])
            observation[live] = moved.observation
            history = follow(history, action, observation)
            returns[number[live]] += moved.reward
            step[live] += 1
            ended = np.zeros(rows, bool)
            ended[live] = moved.terminated | moved.truncated
            for row in np.flatnonzero(ended):
                following = number.max() + 1
                active[row] = following < episodes
                if active[row]:
                    number[row], step[row] = following, 0
                    seeds = [autoreset.episode_seed(seed, 0, int(following))]
                    observation[row] = env.reset([int(row)], seeds)[0]
            history = restart(history, ended, observation)
        return returns

    return evaluate


def _restart(history: types.History, ended: Array, observation: Array) -> types.History:
    """Returns the histories with those of ended rows begun anew."""
    observations, actions = history
    mask = ended.reshape(-1, *(1,) * (observations.ndim - 1))
    fresh = jnp.zeros_like(observations).at[:, -1].set(observation)
    return types.History(
        jnp.where(mask, fresh, observations), jnp.where(ended[:, None], -1, actions)
    )


def summary(returns: Float[np.ndarray, " n"]) -> dict[str, Any]:
    """Returns the score columns of a result row, and a note where one is due."""
    mean, sd = float(np.mean(returns)), float(np.std(returns, ddof=1))
    note = ""
    if len(returns) > 1 and sd < _DETERMINISTIC * abs(mean):
        note = (
            f"the {len(returns)} episodes differ by less than 2 % of their mean: "
            "one path, not many episodes"
        )
    return {
        "score": mean,
        "score_sd": sd,
        "eval_episodes": len(returns),
        "note": note,
    }
