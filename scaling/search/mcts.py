"""Batched Monte Carlo tree search: lanes of mctx, with the backup of `backup`."""

# mctx annotates its arrays with chex types that a type checker cannot see through.
# pyright: reportCallIssue=false, reportArgumentType=false, reportReturnType=false

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import mctx
from jaxtyping import Array, Float, Key

from scaling import config, types
from scaling.agent import model as models
from scaling.search import backup

SearchFunction = Callable[..., types.Searched]


def make_search(
    model: models.Model, settings: config.Search, discount: float
) -> SearchFunction:
    """Returns the search for acting and for reanalysis, with exploration noise.

    The function takes (parameters, history [B], keys [B], temperature []) and
    returns `types.Searched`. Each row has its own key and its own tree, so the
    answer does not depend on how rows are batched or spread over devices.

    Args:
      model: what is searched.
      settings: simulations, constants, noise.
      discount: γ per agent step.

    Raises:
      ValueError: if there is no model.
    """
    one_row = {"muzero": _muzero_row, "gumbel": _gumbel_row}[settings.policy]
    return _make(model, discount, one_row, settings)


def make_greedy_search(
    model: models.Model, settings: config.Search, discount: float
) -> SearchFunction:
    """Returns the search of evaluation: the same with no noise at the root."""
    one_row = {"muzero": _muzero_row, "gumbel": _greedy_gumbel_row}[settings.policy]
    quiet = dataclasses.replace(settings, dirichlet_fraction=0.0)
    return _make(model, discount, one_row, quiet)


def _make(
    model: models.Model, discount: float, one_row: Callable, settings: config.Search
) -> SearchFunction:
    expand = _recurrent_function(model, discount)

    def search(
        params: types.Params,
        history: types.History,
        keys: Key[Array, " B"],
        temperature: Float[Array, ""],
    ) -> types.Searched:
        # The root is evaluated in one batch, outside of the map over rows.
        roots = _roots(model, params, history)
        with backup.without_copies():
            return jax.vmap(one_row, in_axes=(None, 0, 0, None, None, None))(
                params, roots, keys, temperature, expand, settings
            )

    return search


def _roots(
    model: models.Model, params: types.Params, history: types.History
) -> mctx.RootFnOutput:
    """Returns the roots [B, 1, ...]: mctx sees each row as a batch of one."""
    hidden = model.represent(params, history)
    prediction = model.predict(params, hidden)
    roots = mctx.RootFnOutput(
        prior_logits=prediction.policy_logits,
        value=model.decode(prediction.value_logits),
        embedding=hidden,
    )
    return jax.tree.map(lambda x: x[:, None], roots)


def _recurrent_function(model: models.Model, discount: float) -> Callable:
    dynamics = models.dynamics_of(model)

    def expand(params, key, action, hidden):
        del key  # the model is deterministic
        following = dynamics(params, hidden, action)
        prediction = model.predict(params, following)
        output = mctx.RecurrentFnOutput(
            reward=model.decode(model.reward(params, following)),
            discount=jnp.full(action.shape, discount),
            prior_logits=prediction.policy_logits,
            value=model.decode(prediction.value_logits),
        )
        return output, following

    return expand


def _muzero_row(params, root, key, temperature, expand, settings) -> types.Searched:
    """pUCT: visit counts are the target, and give the action by temperature."""
    output = mctx.muzero_policy(
        params,
        key,
        root,
        expand,
        num_simulations=settings.simulations,
        dirichlet_fraction=settings.dirichlet_fraction,
        dirichlet_alpha=settings.dirichlet_alpha,
        pb_c_init=settings.pb_c_init,
        pb_c_base=settings.pb_c_base,
        temperature=temperature,
    )
    return _searched(output)


def _gumbel_row(params, root, key, temperature, expand, settings) -> types.Searched:
    """Sequential halving over actions drawn without replacement by Gumbel noise."""
    del temperature  # the improved policy needs none
    return _searched(_gumbel(params, root, key, expand, settings, 1.0))


def _greedy_gumbel_row(
    params, root, key, temperature, expand, settings
) -> types.Searched:
    del temperature
    return _searched(_gumbel(params, root, key, expand, settings, 0.0))


def _gumbel(params, root, key, expand, settings, scale) -> mctx.PolicyOutput:
    return mctx.gumbel_muzero_policy(
        params,
        key,
        root,
        expand,
        num_simulations=settings.simulations,
        max_num_considered_actions=settings.max_considered_actions,
        gumbel_scale=scale,
    )


def _searched(output: mctx.PolicyOutput) -> types.Searched:
    """Returns the result of a batch of one without its batch axis."""
    first = jax.tree.map(lambda x: x[0], output)
    weights = first.action_weights
    return types.Searched(
        action=first.action,
        best_action=jnp.argmax(weights).astype(first.action.dtype),
        policy=weights,
        value=first.search_tree.node_values[first.search_tree.ROOT_INDEX],
    )
