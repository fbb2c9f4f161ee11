"""How far bfloat16 is from float32: networks, gradients and searches of one network.

The parameters are float32 in both. Errors are norms, ‖x − y‖ / ‖y‖ with y in float32.
"""

import dataclasses
from typing import Any, NamedTuple

from launch import benchmark_networks, benchmark_workloads
from scaling import sharding


class Found(NamedTuple):
    """What a precision makes of the same parameters and inputs."""

    predictions: Any  # of every state of the unrolled batch
    rewards: Any  # logits
    gradient: Any
    searched: Any


def measure_precision(workload: benchmark_workloads.Workload) -> list[dict[str, Any]]:
    """Returns the errors of bfloat16 on the workload's first batch and its lanes."""
    import jax.numpy as jnp

    plain, short = (_found(workload, precision) for precision in ("f32", "bf16"))
    policies = short.searched.policy - plain.searched.policy
    same = short.searched.action == plain.searched.action
    error = _error
    return [
        {
            "precision": "bf16",
            "batch": workload.batches[0],
            "lanes": workload.lanes,
            "policy_logits": error(
                short.predictions.policy_logits, plain.predictions.policy_logits
            ),
            "value_logits": error(
                short.predictions.value_logits, plain.predictions.value_logits
            ),
            "reward_logits": error(short.rewards, plain.rewards),
            "gradient": error(short.gradient, plain.gradient),
            "searched_value": error(short.searched.value, plain.searched.value),
            # Total variation, as target drift is logged.
            "searched_policy": float(jnp.abs(policies).sum(axis=-1).mean() / 2),
            "same_action": float(same.mean()),
        }
    ]


def _found(workload: benchmark_workloads.Workload, precision: Any) -> Found:
    import jax
    import jax.numpy as jnp

    from scaling.learner import loss
    from scaling.search import mcts

    settings = dataclasses.replace(workload.settings, precision=precision)
    with sharding.precision(precision):
        agent = benchmark_networks.make_agent(settings)
        model, params = agent.model, agent.params
        batch = benchmark_networks.random_batch(agent, workload.batches[0])
        search = mcts.make_search(model, settings.search, settings.learner.discount)

        def learn(params: Any) -> Any:
            return loss.loss(params, batch, model, settings.learner)[0]

        def look(params: Any, history: Any, keys: Any) -> Any:
            return search(params, history, keys, jnp.ones(()))

        unroll = jax.jit(loss.unroll, static_argnums=0)
        predictions, rewards = unroll(model, params, batch.history, batch.action)
        seen = benchmark_networks.history(agent, workload.lanes)
        keys = jax.random.split(jax.random.key(3), workload.lanes)
        return Found(
            predictions=predictions,
            rewards=rewards,
            gradient=jax.jit(jax.grad(learn))(params),
            searched=jax.jit(look)(params, seen, keys),
        )


def _error(found: Any, reference: Any) -> float:
    import optax

    apart = optax.tree.norm(optax.tree.sub(found, reference))
    return float(apart / optax.tree.norm(reference))
