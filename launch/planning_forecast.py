"""What a study will take: operations, memory, hours, chips."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from launch import (
    planning_costs,
    planning_evaluation,
    planning_networks,
    planning_targets,
    roofline,
)
from launch.study import Planned
from scaling import accounting, config, layout, targets
from scaling.envs import registry

# Parameters, those of the target network, and Adam's two moments.
_LEARNER_COPIES = 4


class Forecast(NamedTuple):
    """The runs of one cell, which differ in seed alone."""

    cell: config.Cell
    account: accounting.Account
    runs: int
    left: int  # of them, to make
    flops: float | None  # of a run; None where the environment is not known
    evaluation: float | None  # operations beside those; None as well where episodes
    # were not measured
    memory: int | None  # bytes of a run's stores and learner
    seconds: float | None  # of a run on this machine; None without calibration
    modelled: tuple[planning_targets.Modelled, ...]  # of a run, for each target

    @property
    def operations(self) -> float | None:
        """Of a run with its evaluations, where the length of episodes is known."""
        return None if self.flops is None else self.flops + (self.evaluation or 0.0)


class Study(NamedTuple):
    """Everything that is known of a study before it runs."""

    cells: tuple[Forecast, ...]
    targets: tuple[targets.Target, ...]
    prices: Mapping[str, float]
    costs: planning_costs.Costs | None
    shapes: int  # of programs that are compiled for what is left

    @property
    def hours(self) -> float | None:
        """Hours of what is left on this machine, one run after another."""
        if self.costs is None:
            return None
        runs = sum((cell.seconds or 0.0) * cell.left for cell in self.cells)
        return (runs + self.shapes * self.costs.compiling) / 3600

    @property
    def flops(self) -> float:
        """Operations of what is left, as far as they are known."""
        return sum((cell.operations or 0.0) * cell.left for cell in self.cells)

    def chip_hours(self, index: int) -> float:
        """Returns the chip-hours of what is left on a target, modelled."""
        return sum(cell.modelled[index].chip_hours * cell.left for cell in self.cells)

    def target_hours(self, index: int) -> float:
        """Returns the hours of a whole target, cells side by side, modelled."""
        longest = max(
            (cell.modelled[index].seconds / 3600 for cell in self.cells if cell.left),
            default=0.0,
        )
        return max(longest, self.chip_hours(index) / self.targets[index].chips)


def forecast(
    settings: config.Settings,
    planned: Sequence[Planned],
    done: set[str],
    wanted: Sequence[targets.Target],
    prices: Mapping[str, float],
    calibration: dict[str, Any] | None,
) -> Study:
    """Returns what a study will take.

    Args:
      settings: of the study.
      planned: all its runs.
      done: states of runs that are not made any more.
      wanted: targets to model it on.
      prices: of a chip-hour.
      calibration: a report of the benchmark, if there is one.

    Raises:
      ValueError: if targets are wanted and the environment's sizes are not known.
    """
    networks = planning_networks.networks(settings)
    if wanted and networks is None:
        raise ValueError(
            f"The sizes of {settings.env!r} are not known without making it, so "
            "--target can say nothing of it; leave it out, or ask launch/compile.py."
        )
    costs = {
        acts: planning_costs.costs(calibration, settings, networks, acts)
        for acts in sorted({each.account.environments > 0 for each in planned})
    }
    by_cell = itertools.groupby(
        sorted(planned, key=_order), key=lambda each: _order(each)[:-1]
    )
    cells = [
        _cell(settings, list(runs), done, networks, costs, wanted)
        for _, runs in by_cell
    ]
    shapes = {
        (each.account.stored_slots, each.cell.control_for)
        for each in planned
        if each.state not in done
    }
    any_costs = next(reversed(costs.values()), None)
    return Study(tuple(cells), tuple(wanted), prices, any_costs, len(shapes))


def flops(
    networks: roofline.Networks, settings: config.Settings, account: accounting.Account
) -> float:
    """Returns the operations of a run's searches and updates, as its row has them."""
    acts = account.environments > 0
    search, update = planning_networks.operations(networks, settings, acts)
    return account.searched * search + account.updates * update


def _order(each: Planned) -> tuple[float, ...]:
    cell = each.cell
    control = -1.0 if cell.control_for is None else cell.control_for
    return cell.frames, cell.fraction, cell.searches or 0, control, cell.seed


def _cell(
    settings: config.Settings,
    runs: Sequence[Planned],
    done: set[str],
    networks: roofline.Networks | None,
    costs_of: Mapping[bool, planning_costs.Costs | None],
    wanted: Sequence[targets.Target],
) -> Forecast:
    account = runs[0].account
    costs = costs_of[account.environments > 0]
    return Forecast(
        cell=runs[0].cell,
        account=account,
        runs=len(runs),
        left=sum(run.state not in done for run in runs),
        flops=networks and flops(networks, settings, account),
        evaluation=networks and planning_evaluation.flops(networks, settings),
        memory=networks and _memory(settings, account, networks),
        seconds=costs and planning_costs.run_seconds(costs, account),
        modelled=tuple(
            planning_targets.modelled(networks, settings, account, target)
            for target in wanted
            if networks is not None
        ),
    )


def _memory(
    settings: config.Settings, account: accounting.Account, networks: roofline.Networks
) -> int:
    """Returns the bytes of a run's stores, some of which may be files, and learner."""
    sizes = registry.sizes(settings.env, settings.protocol)
    assert sizes is not None  # as the networks are known
    stores = layout.store_bytes(layout.layout_for(settings, account), *sizes)
    return stores + _LEARNER_COPIES * networks.parameters
