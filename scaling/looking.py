"""What the lanes of a call ask the network: a search, or one call of it.

A look selects the action of a fresh state and makes the targets of a fresh or a stored
one. No search is compiled where neither acting nor the target needs one.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float, Int, Key

from scaling import config, selection, types
from scaling.agent import judgement
from scaling.agent import model as models
from scaling.search import mcts

Look = Callable[..., types.Searched]
"""(parameters, history [B], keys [B], temperature []) → `types.Searched`"""

_EXPLORATION = 2**32 - 1  # folded into a row's key, which selects its action


class _Seen(NamedTuple):
    """What was found of B states; () for what the run does not need."""

    judged: judgement.Judged
    action_values: Any  # [B, A]
    searched: Any  # `types.Searched`


def make(model: models.Model, settings: config.Settings, acts: bool) -> Look:
    """Returns the look of a run.

    Args:
      model: the networks.
      settings: of the run.
      acts: whether environments are stepped, so that actions matter.

    Raises:
      ValueError: if it must search and there is no model.
    """
    needs, discount = selection.needs(settings, acts), settings.learner.discount
    search: Callable = _no_search
    if needs.search:
        search = mcts.make_search(model, settings.search, discount)
    learns = _LEARNT[settings.learner.target]
    acting = settings.acting.action if acts else "policy"
    epsilon = settings.acting.epsilon if acts else 0.0

    def look(
        params: types.Params,
        history: types.History,
        keys: Key[Array, " B"],
        temperature: Float[Array, ""],
    ) -> types.Searched:
        judged = judgement.judge(model, params, history)
        values = ()
        if needs.action_values:
            values = judgement.action_values(model, params, judged, discount)
        seen = _Seen(judged, values, search(params, history, keys, temperature))
        action = _SELECTED[acting](seen, keys)
        if epsilon:
            dice = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, _EXPLORATION)
            actions = judged.prediction.policy_logits.shape[-1]
            action = judgement.explore(dice, action, epsilon, actions)
        return learns(model, settings, seen)._replace(action=action)

    return look


def _no_search(*arguments: Any) -> tuple[()]:
    del arguments
    return ()


def _searched(
    model: models.Model, settings: config.Settings, seen: _Seen
) -> types.Searched:
    """Returns what the search found."""
    del model, settings
    return seen.searched


def _judged(
    model: models.Model, settings: config.Settings, seen: _Seen
) -> types.Searched:
    """Returns what the network says; the policy is its own."""
    del settings
    prediction = seen.judged.prediction
    policy = jax.nn.softmax(prediction.policy_logits)
    best = judgement.best_action(policy)
    value = judgement.state_value(model, prediction)
    return types.Searched(action=best, best_action=best, policy=policy, value=value)


def _weighted(
    model: models.Model, settings: config.Settings, seen: _Seen
) -> types.Searched:
    """Returns what the network says; in the policy's place are the actions' weights."""
    weights = judgement.crr_weights(
        seen.judged.prediction.policy_logits,
        seen.action_values,
        settings.learner.crr,
        settings.value.scale,
    )
    return _judged(model, settings, seen)._replace(policy=weights)


# What is learnt, before the action that was taken is known, by `--learner.target`.
_LEARNT: dict[str, Callable[..., types.Searched]] = {
    "reanalyse": _searched,
    "supervised": _judged,
    "crr": _weighted,
}


def _of_search(seen: _Seen, keys: Key[Array, " B"]) -> Int[Array, " B"]:
    del keys
    return seen.searched.action


def _of_policy(seen: _Seen, keys: Key[Array, " B"]) -> Int[Array, " B"]:
    return judgement.sampled_action(seen.judged, keys)


def _of_values(seen: _Seen, keys: Key[Array, " B"]) -> Int[Array, " B"]:
    del keys
    return judgement.best_action(seen.action_values)


# How the action is selected, by `--acting.action`.
_SELECTED: dict[str, Callable[[_Seen, Array], Array]] = {
    "mcts": _of_search,
    "policy": _of_policy,
    "value": _of_values,
}


def policy_target(
    searched: types.Searched, action: Int[Array, " L"], target: str
) -> Float[Array, "L A"]:
    """Returns what the policy head is to learn of steps whose action is known.

    Args:
      searched: what the look found.
      action: that was taken, now or when the step was stored.
      target: of `--learner.target`.
    """
    policy = searched.policy
    if target == "reanalyse":
        return policy
    logged = jax.nn.one_hot(action, policy.shape[-1], dtype=policy.dtype)
    return logged * policy if target == "crr" else logged
