"""A lower bound of a run's time on a target: a model, not a measurement.

A network called on b rows takes at least the time of its operations at the chip's
peak, and at least the time of reading its weights and of moving the rows in and out:

    t(b) = max(b · flops / peak, (weights + b · row) / bandwidth)

A search batch is one representation and one prediction, then a dynamics and a
prediction for each simulation. An update is the K-step unroll three times (the
backward pass costs two forward passes), K + 1 values of the target network where it
bootstraps, the optimiser's state once through memory, and an all-reduce of n chips that
sends 2 (n - 1) / n of the gradient from each. A run is its calls; evaluation is apart.

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


def flops_per_look(networks: Networks, steps: int) -> float:
    """Returns the operations of a root and some model steps: calls × their own."""
    step = networks.dynamics.flops + networks.predict.flops
    root = networks.represent.flops + networks.predict.flops
    return root + steps * step


def flops_per_search(networks: Networks, settings: config.Settings) -> float:
    """Returns the operations of one searched state: network calls × their own."""
    return flops_per_look(networks, settings.search.simulations)


def flops_per_update(networks: Networks, settings: config.Settings) -> float:
    """Returns the operations of one update of the whole batch."""
    row = _PASSES * flops_per_look(networks, settings.learner.unroll_steps)
    row += _bootstraps(settings) * flops_per_look(networks, 0)
    return settings.learner.batch_size * row


def _bootstraps(settings: config.Settings) -> int:
    """Returns the values that the target network gives to a sample."""
    learner = settings.learner
    return (learner.bootstrap == "target_network") * (learner.unroll_steps + 1)


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

    def unrolled(rows: float, steps: int) -> float:
        whole = seconds_of_look(networks, rows, steps, settings.precision, chip)
        return whole / share.model

    search = share.groups * unrolled(
        share.lanes / share.groups, settings.search.simulations
    )
    stored = networks.parameters / share.model
    update = _PASSES * unrolled(share.batch, settings.learner.unroll_steps)
    update += _bootstraps(settings) * unrolled(share.batch, 0)
    update += _OPTIMISER_PASSES * stored / chip.bandwidth
    ways = share.chips // share.model
    all_reduce = 2 * (ways - 1) / ways * stored / chip.interconnect
    per_call = account.updates / account.calls
    call = search + per_call * (update + all_reduce)
    return Times(search, update, all_reduce, call, account.calls * call)


def seconds_of_look(
    networks: Networks, rows: float, steps: int, precision: str, chip: targets.Chip
) -> float:
    """Returns the least time of a root and some model steps, on one chip.

    Args:
      networks: their costs.
      rows: of the batch.
      steps: of the model, each with a prediction.
      precision: of `--precision`.
      chip: its peak rates.
    """

    def least(network: Network) -> float:
        compute = rows * network.flops / chip.flops(precision)
        moved = network.weights + rows * network.row
        return max(compute, moved / chip.bandwidth)

    predictions = (steps + 1) * least(networks.predict)
    unroll = steps * least(networks.dynamics)
    return least(networks.represent) + unroll + predictions
