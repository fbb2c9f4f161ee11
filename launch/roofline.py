"""A lower bound of a run's time on a target: a model, not a measurement.

A network called on b rows takes at least the time of its operations at the chip's
peak, and at least the time of reading its weights and of moving the rows in and out:

    t(b) = max(b · flops / peak, (weights + b · row) / bandwidth)

A search batch is one representation and one prediction, then a dynamics and a
prediction for each simulation. An update is the K-step unroll three times (the
backward pass costs two forward passes), the optimiser's state once through memory,
and an all-reduce of n chips that sends 2 (n - 1) / n of the gradient from each.

Left out, so that real runs take longer: that peaks are not reached, activations
within a network, the tree of the search, the host, emulators, latency.

Source: Williams et al. 2009, doi 10.1145/1498765.1498785; for the ring, Patarasuk &
Yuan 2009, doi 10.1016/j.jpdc.2008.09.002.
"""

from typing import NamedTuple

from scaling import accounting, config, hardware, targets

# Reads parameters, gradient, both moments and the target network; writes all of
# them but the gradient.
_OPTIMISER_PASSES = 9
# Forward, and backward for the activations and for the weights.
_PASSES = 3


class Network(NamedTuple):
    """What one call of a network costs."""

    flops: float  # of a row
    weights: int  # bytes, as they are computed with
    row: int  # bytes of a row's input and output


class Networks(NamedTuple):
    """The costs of the three networks."""

    represent: Network
    dynamics: Network
    predict: Network
    parameters: int  # bytes of all parameters, as they are stored


class Shares(NamedTuple):
    """What falls to each chip."""

    chips: int
    model: int  # chips that a network's parameters are spread over
    groups: int  # search batches of a call
    lanes: float  # rows of those batches together, of one chip
    batch: float  # rows of the learner's batch, of one chip


class Times(NamedTuple):
    """Seconds, at least, and what follows from them."""

    search: float  # of a call
    update: float  # of one, without the all-reduce
    all_reduce: float  # of one update
    call: float
    run: float

    def chip_hours(self, chips: int) -> float:
        """Returns the run's cost."""
        return self.run * chips / 3600


def flops_per_search(networks: Networks, settings: config.Settings) -> float:
    """Returns the operations of one searched state: network calls × their own."""
    step = networks.dynamics.flops + networks.predict.flops
    root = networks.represent.flops + networks.predict.flops
    return root + settings.search.simulations * step


def flops_per_update(networks: Networks, settings: config.Settings) -> float:
    """Returns the operations of one update of the whole batch."""
    step = networks.dynamics.flops + networks.predict.flops
    root = networks.represent.flops + networks.predict.flops
    row = root + settings.learner.unroll_steps * step
    return _PASSES * settings.learner.batch_size * row


def shares(
    settings: config.Settings,
    account: accounting.Account,
    mesh: hardware.Mesh,
    groups: int,
) -> Shares:
    """Returns what falls to each chip of a mesh.

    Args:
      settings: of the run.
      account: of the run.
      mesh: with both axes given.
      groups: search batches of a call.
    """
    data = mesh.data or 1
    return Shares(
        chips=data * mesh.model,
        model=mesh.model,
        groups=groups,
        lanes=account.lanes / data,
        batch=settings.learner.batch_size / data,
    )


def times(
    networks: Networks,
    settings: config.Settings,
    account: accounting.Account,
    share: Shares,
    chip: targets.Chip,
) -> Times:
    """Returns the least time of a call's parts, of a call and of the run.

    Args:
      networks: their costs.
      settings: of the run.
      account: of the run.
      share: what falls to each chip.
      chip: its peak rates.
    """

    def least(network: Network, rows: float) -> float:
        compute = rows * network.flops / chip.flops(settings.precision)
        moved = network.weights + rows * network.row
        return max(compute, moved / chip.bandwidth) / share.model

    def unrolled(rows: float, steps: int) -> float:
        """Returns the time of a root and some steps of the model."""
        predictions = (steps + 1) * least(networks.predict, rows)
        unroll = steps * least(networks.dynamics, rows)
        return least(networks.represent, rows) + unroll + predictions

    search = share.groups * unrolled(
        share.lanes / share.groups, settings.search.simulations
    )
    stored = networks.parameters / share.model
    update = _PASSES * unrolled(share.batch, settings.learner.unroll_steps)
    update += _OPTIMISER_PASSES * stored / chip.bandwidth
    ways = share.chips // share.model
    all_reduce = 2 * (ways - 1) / ways * stored / chip.interconnect
    per_call = account.updates / account.calls
    call = search + per_call * (update + all_reduce)
    return Times(search, update, all_reduce, call, account.calls * call)
