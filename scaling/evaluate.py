"""Scores of a network: whole episodes, every one counted, no noise at the root."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from scaling import config, peers, types
from scaling.agent import act, judgement
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


def policy_head(model: models.Model) -> Policy:
    """Returns the policy that samples the policy head; it searches nothing."""

    def policy(params: types.Params, history: types.History, keys: Array) -> Array:
        judged = judgement.judge(model, params, history)
        return judgement.sampled_action(judged, keys)

    return policy


def best_value(model: models.Model, settings: config.Settings) -> Policy:
    """Returns the policy that takes the action of the highest value.

    It asks the model for one step of every action, or the head of action values.
    """
    discount = settings.learner.discount

    def policy(params: types.Params, history: types.History, keys: Array) -> Array:
        del keys
        judged = judgement.judge(model, params, history)
        values = judgement.action_values(model, params, judged, discount)
        return judgement.best_action(values)

    return policy


def policy_for(
    action: config.Action, model: models.Model, settings: config.Settings
) -> Policy:
    """Returns the policy that selects actions in one way, without exploration.

    Raises:
      ValueError: if it must search and there is no model.
    """
    if action == "policy":
        return policy_head(model)
    make = {"mcts": greedy_policy, "value": best_value}[action]
    return make(model, settings)


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
    moves = moves_on_device(env, policy, protocol)

    @jax.jit
    def play(params: types.Params, keys: Key[Array, " B"], counted: Array) -> Array:
        step = functools.partial(moves.step, params, keys)
        start = moves.begin(keys, counted)
        return jax.lax.while_loop(lambda p: ~p.ended.all(), step, start).total

    def evaluate(
        params: types.Params, seed: int, episodes: int
    ) -> Float[np.ndarray, " n"]:
        returns = [
            np.asarray(play(params, *rows_of(seed, first, lanes, episodes)))
            for first in range(0, episodes, lanes)
        ]
        return np.concatenate(returns)[:episodes]

    return evaluate


class Moves(NamedTuple):
    """What B episodes on the device are made of, before `jit`."""

    begin: Callable[..., Playing]  # (keys [B], counted [B] bool)
    step: Callable[..., Playing]  # (params, keys [B], playing)


def moves_on_device(
    env: interface.DeviceEnvironment, policy: Policy, protocol: config.Protocol
) -> Moves:
    """Returns how evaluation episodes begin, and how they go on by one step."""
    fold = jax.vmap(jax.random.fold_in, in_axes=(0, None))

    # An episode's key is the parent of two: the environment's and the policy's.
    def begin(keys: Key[Array, " B"], counted: Array) -> Playing:
        env_state, observation = env.reset(fold(keys, 0))
        return Playing(
            env_state,
            act.begin(observation, protocol),
            jnp.zeros(keys.shape[0]),
            ~counted,
            jnp.zeros((), jnp.int32),
        )

    def step(params: types.Params, keys: Key[Array, " B"], playing: Playing) -> Playing:
        action = policy(params, playing.history, fold(fold(keys, 1), playing.step))
        env_state, moved = env.step(playing.env_state, action)
        return Playing(
            env_state,
            act.follow(playing.history, action, moved.observation),
            playing.total + jnp.where(playing.ended, 0.0, moved.reward),
            playing.ended | moved.terminated | moved.truncated,
            playing.step + 1,
        )

    return Moves(begin, step)


def rows_of(
    seed: int, first: int, lanes: int, episodes: int
) -> tuple[Key[Array, " B"], Array]:
    """Returns keys of `lanes` episodes from `first` on, and which of them count."""
    key, number = jax.random.key(seed), jnp.arange(first, first + lanes)
    keys = jax.vmap(lambda n: jax.random.fold_in(key, n))(number)
    return keys, number < episodes


def on_host(
    env: interface.HostEnvironment, policy: Policy, protocol: config.Protocol
) -> Evaluate:
    """Returns a function (params, seed, episodes) → returns [episodes].

    A row that ends its episode begins the next one; every episode that was begun
    is counted, so long episodes are not under-represented.
    """

    def evaluate(
        params: types.Params, seed: int, episodes: int
    ) -> Float[np.ndarray, " n"]:
        returns = np.zeros(episodes)
        for turn in turns_on_host(env, policy, protocol, params, seed, episodes):
            returns[turn.number] += turn.reward
            peers.group().mark("the evaluation")
        return returns

    return evaluate


class Turn(NamedTuple):
    """One step of the rows under way; those that ended have not begun again.

    The first one is the beginning: no reward, nothing ended.
    """

    number: np.ndarray  # [rows] the episodes
    observation: np.ndarray  # [rows, ...]
    reward: np.ndarray  # [rows]
    ended: np.ndarray  # [rows] bool


def turns_on_host(
    env: interface.HostEnvironment,
    policy: Policy,
    protocol: config.Protocol,
    params: types.Params,
    seed: int,
    episodes: int,
) -> Iterator[Turn]:
    """Plays `episodes` whole episodes; yields after the beginning and each step."""
    rows = min(env.size, episodes)
    every = list(range(rows))
    number = np.arange(rows)  # the episode each row plays
    step = np.zeros(rows, np.int32)
    first = env.reset(every, [autoreset.episode_seed(seed, 0, n) for n in every])
    yield Turn(number.copy(), first, np.zeros(rows), np.zeros(rows, bool))
    history, key = act.begin(first, protocol), jax.random.key(seed)
    active = np.ones(rows, bool)
    while active.any():
        action = np.asarray(_choose(policy, params, history, key, number, step))
        live = np.flatnonzero(active)
        moved = env.step(live.tolist(), action[live])
        ended = np.zeros(rows, bool)
        ended[live] = moved.terminated | moved.truncated
        yield Turn(number[live], moved.observation, moved.reward, ended[live])
        observation = np.array(history.observations[:, -1])
        observation[live] = moved.observation
        history = _follow(history, jnp.asarray(action), jnp.asarray(observation))
        step[live] += 1
        for row in np.flatnonzero(ended).tolist():
            following = int(number.max()) + 1
            active[row] = following < episodes
            if active[row]:
                number[row], step[row] = following, 0
                seeds = [autoreset.episode_seed(seed, 0, following)]
                observation[row] = env.reset([row], seeds)[0]
        history = _restart(history, ended, observation)


@functools.partial(jax.jit, static_argnums=0)
def _choose(
    policy: Policy,
    params: types.Params,
    history: types.History,
    key: Any,
    number: Any,
    step: Any,
) -> Array:
    """Returns the actions of step `step` [B] of the episodes `number` [B]."""
    fold = jax.vmap(jax.random.fold_in, in_axes=(None, 0))
    keys = jax.vmap(jax.random.fold_in)(fold(key, number), step)
    return policy(params, history, keys)


_follow = jax.jit(act.follow)


@jax.jit
def _restart(history: types.History, ended: Any, observation: Any) -> types.History:
    """Returns the histories with those of ended rows begun anew."""
    observations, actions = history
    mask = ended.reshape(-1, *(1,) * (observations.ndim - 1))
    fresh = jnp.zeros_like(observations).at[:, -1].set(observation)
    return types.History(
        jnp.where(mask, fresh, observations), jnp.where(ended[:, None], -1, actions)
    )


def summary(returns: Float[np.ndarray, " n"]) -> dict[str, Any]:
    """Returns the score columns of a result row, and a note where one is due."""
    mean = float(np.mean(returns))
    sd = float(np.std(returns, ddof=1)) if len(returns) > 1 else 0.0
    note = ""
    if sd <= _DETERMINISTIC * abs(mean):
        note = (
            f"the spread of {len(returns)} episodes is under 2 % of their mean: "
            "one path, not many episodes"
        )
    return {
        "score": mean,
        "score_sd": sd,
        "eval_episodes": len(returns),
        "note": note,
    }
