"""Search and learner alone: what their functions make of random inputs.

Rows are spread over the devices, as in a run. The search is measured beside a bare
`mctx` call with the same network and batch on one device, written here as mctx's own
examples write it.
"""

# mctx annotates its arrays with chex types that a type checker cannot see through.
# pyright: reportCallIssue=false, reportArgumentType=false

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from launch import measure, roofline
from scaling import config, hardware, lowering, sharding
from scaling.agent import model as models
from scaling.learner import loss, targets, update
from scaling.search import mcts

# A new network's heads are zero, which makes every tree the same and shallow.
_NOISE = 0.02


class Agent(NamedTuple):
    """A network with parameters, and what its calls cost."""

    settings: config.Settings
    spec: Any  # of the environment
    model: models.Model
    params: Any
    costs: roofline.Networks


def make_agent(settings: config.Settings) -> Agent:
    """Returns the network of the settings with random parameters, heads included."""
    import jax

    spec = lowering.specification(settings)
    model = models.make_model(spec, settings)
    params = model.init(jax.random.key(0))
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    noisy = [
        leaf + _NOISE * jax.random.normal(key, leaf.shape, leaf.dtype)
        for leaf, key in zip(leaves, keys, strict=True)
    ]
    return Agent(settings, spec, model, tree.unflatten(noisy), networks(settings))


def networks(settings: config.Settings) -> roofline.Networks:
    """Returns what one call of each network costs."""
    costs = lowering.costs(settings)
    return roofline.Networks(
        represent=roofline.Network(*costs.represent),
        dynamics=roofline.Network(*costs.dynamics),
        predict=roofline.Network(*costs.predict),
        parameters=costs.parameters,
    )


def history(agent: Agent, rows: int) -> Any:
    """Returns random histories [rows] of what the network sees."""
    import jax
    import jax.numpy as jnp

    from scaling import types

    spec, protocol = agent.spec, agent.settings.protocol
    shape = (rows, protocol.stack, *spec.observation_shape)
    noise = jax.random.uniform(jax.random.key(2), shape, maxval=spec.observation_scale)
    past = jnp.zeros((rows, protocol.past_actions), jnp.int32)
    return types.History(noise.astype(spec.observation_dtype), past)


def searches(agent: Agent, rows: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Returns the project's search of `rows` roots, and the bare one on one device."""
    import jax
    import jax.numpy as jnp

    settings, seen = agent.settings, history(agent, rows)
    mesh = sharding.make_mesh(hardware.ALL_DEVICES, rows)
    specs = (sharding.WHOLE, sharding.ROWS, sharding.ROWS, sharding.WHOLE)
    search = mcts.make_search(agent.model, settings.search, settings.learner.discount)
    ours = sharding.program(search, mesh, specs, sharding.ROWS)
    bare = jax.jit(functools.partial(_bare, agent=agent._replace(params=None)))
    key = jax.random.key(3)
    given = (agent.params, seen, jax.random.split(key, rows), jnp.ones(()))
    spread = jax.device_put(given, sharding.shardings(mesh, specs))
    return lambda: ours(*spread), lambda: bare(agent.params, seen, key)


def _bare(params: Any, seen: Any, key: Any, *, agent: Agent) -> Any:
    """Returns actions, policies and root values of one call of mctx for all rows."""
    import jax.numpy as jnp
    import mctx

    from scaling.agent import model as models

    model, settings = agent.model, agent.settings
    dynamics = models.dynamics_of(model)

    def expand(params: Any, key: Any, action: Any, hidden: Any) -> Any:
        del key  # the model is deterministic
        following = dynamics(params, hidden, action)
        found = model.predict(params, following)
        output = mctx.RecurrentFnOutput(
            reward=model.decode(model.reward(params, following)),
            discount=jnp.full(action.shape, settings.learner.discount),
            prior_logits=found.policy_logits,
            value=model.decode(found.value_logits),
        )
        return output, following

    hidden = model.represent(params, seen)
    found = model.predict(params, hidden)
    root = mctx.RootFnOutput(
        prior_logits=found.policy_logits,
        value=model.decode(found.value_logits),
        embedding=hidden,
    )
    output = _policy(settings.search)(params, key, root, expand)
    return output.action, output.action_weights, output.search_tree.node_values[:, 0]


def _policy(settings: config.Search) -> Callable[..., Any]:
    """Returns mctx's policy with the constants of the settings."""
    import mctx

    if settings.policy == "gumbel":
        return functools.partial(
            mctx.gumbel_muzero_policy,
            num_simulations=settings.simulations,
            max_num_considered_actions=settings.max_considered_actions,
        )
    return functools.partial(
        mctx.muzero_policy,
        num_simulations=settings.simulations,
        dirichlet_fraction=settings.dirichlet_fraction,
        dirichlet_alpha=settings.dirichlet_alpha,
        pb_c_init=settings.pb_c_init,
        pb_c_base=settings.pb_c_base,
    )


def measure_search(agent: Agent, rows: int, effort: measure.Effort) -> dict[str, Any]:
    """Returns the figures of a search of `rows` roots, and of a bare call of mctx."""
    ours, bare = measure.time_together(searches(agent, rows), effort)
    simulations = agent.settings.search.simulations
    operations = rows * roofline.flops_per_search(agent.costs, agent.settings)
    return {
        "lanes": rows,
        "simulations": simulations,
        "searched_states_per_s": rows / ours.median,
        "simulations_per_s": rows * simulations / ours.median,
        "flops": operations,
        "flops_per_s": operations / ours.median,
        "bare_mctx_simulations_per_s": rows * simulations / bare.median,
        "bare_mctx": bare.as_values(),
        "time_of_bare_mctx": measure.ratio(ours, bare),
        **ours.as_values(),
    }


def measure_learner(agent: Agent, rows: int, effort: measure.Effort) -> dict[str, Any]:
    """Returns the figures of an update of a batch of `rows` samples."""
    timing = measure.time_one(updates(agent, rows), effort)
    settings = agent.settings
    batch_of_settings = roofline.flops_per_update(agent.costs, settings)
    operations = batch_of_settings * rows / settings.learner.batch_size
    return {
        "batch": rows,
        "updates_per_s": 1 / timing.median,
        "samples_per_s": rows / timing.median,
        "flops": operations,
        "flops_per_s": operations / timing.median,
        **timing.as_values(),
    }


def updates(agent: Agent, rows: int) -> Callable[[], Any]:
    """Returns a function that makes one update more with each call."""
    import jax
    import jax.numpy as jnp

    known = {"model": agent.model, "settings": agent.settings.learner}
    mesh = sharding.make_mesh(hardware.ALL_DEVICES, rows)
    function = functools.partial(update.update, mean=sharding.mean(mesh), **known)
    specs = (sharding.WHOLE, sharding.ROWS, sharding.WHOLE)
    # The learner's memory is given away and taken back, as in a run.
    step = sharding.program(function, mesh, specs, sharding.WHOLE, donate=(0,))
    new = update.initial(jax.random.key(4), **known)
    given = (new, random_batch(agent, rows), jnp.zeros(()))
    now, batch, progress = jax.device_put(given, sharding.shardings(mesh, specs))

    def once() -> Any:
        nonlocal now
        now, metrics = step(now, batch, progress)
        return metrics

    return once


def random_batch(agent: Agent, rows: int) -> loss.Batch:
    """Returns a batch of random histories, actions and targets."""
    import jax
    import jax.numpy as jnp

    steps, actions = agent.settings.learner.unroll_steps, agent.spec.num_actions
    key = jax.random.key(5)
    logits = jax.random.normal(key, (rows, steps + 1, actions))
    ones = jnp.ones((rows, steps + 1))
    goal = targets.Targets(
        value=jax.random.normal(key, ones.shape),
        policy=jax.nn.softmax(logits),
        reward=jax.random.normal(key, (rows, steps)),
        value_mask=ones,
        policy_mask=ones,
        reward_mask=ones[:, 1:],
    )
    action = jax.random.randint(key, (rows, steps), 0, actions)
    return loss.Batch(history(agent, rows), action, goal, jnp.ones(rows))
