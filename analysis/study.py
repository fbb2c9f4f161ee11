"""Everything that is found in one environment, from its runs alone."""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis import (
    atari57,
    cells,
    choice,
    efficiency,
    inference,
    lint,
    normalise,
    power,
    profile,
    reach,
    robust,
    surfaces,
    table,
)
from analysis import fit as fits
from analysis import verdict as verdicts

MOST_PROFILED_CURVES = 30  # of a study; profiles of two shapes take a second each


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What the user may ask of the analysis of an environment."""

    targets: tuple[float, ...] = ()
    """Scores to ask the frames for (default: quarters of the range of means)."""
    differences: tuple[float, ...] = power.DIFFERENCES
    """Differences of slope, as shares, to plan seeds for."""
    references: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """What counts as a normalised score of 1, by environment."""
    seed: int = 0
    """Seed of every bootstrap."""
    profiled: bool = True
    """Whether laws of two shapes get profile intervals (slow) or their tangent's."""


def without_profiles(options: Options) -> Options:
    """Returns the options with the quick intervals of laws of two shapes."""
    return dataclasses.replace(options, profiled=False)


class Finding(NamedTuple):
    """A curve's judgement, its parameters by law, and the seeds it needs."""

    judged: verdicts.Judgement
    parameters: dict[str, dict[str, profile.Parameter]]  # by law and name
    needs: list[power.Need]
    seeds_to_see_slope: int | None
    seeds_for_exponent: int | None  # for a λ interval narrow enough for `consistent`


class Environment(NamedTuple):
    """What was found in one environment."""

    env: str
    design: str
    runs: int
    statuses: dict[str, int]
    frames_per_step: float
    axis: str
    flags: list[lint.Flag]
    refusals: list[table.Refusal]
    findings: list[Finding]
    cells: pd.DataFrame
    equal_slopes: inference.FTest | None
    multipliers: list[efficiency.Multiplier]
    crossovers: list[reach.Crossover]
    frames_to_score: list[reach.FramesToScore]
    best_per_budget: list[choice.Best]
    best_per_compute: list[choice.Best]
    compute: str | None  # column that measures it
    surfaces: list[surfaces.SurfaceFit]
    robust: robust.RobustFit | None  # two-variable power law, Huber on log score
    scale: normalise.Scale | str  # or why there is none
    published: atari57.Game | None

    @property
    def fits(self) -> list[verdicts.Judgement]:
        """The judgements alone."""
        return [finding.judged for finding in self.findings]


def analyse(runs: pd.DataFrame, options: Options) -> Environment:
    """Returns what the runs of one environment say."""
    curves = table.curves(runs)
    findings = [find(curve, options) for curve in curves]
    lines = [
        (f.judged.curve, f.judged.line)
        for f in findings
        if f.judged.curve.control is None and f.judged.line
    ]
    steps = runs["frames_per_step"].dropna().unique()
    pairs, refused = _surfaces(runs)
    factorial = table.design(runs) == "factorial"
    return Environment(
        env=str(runs["env"].iloc[0]),
        design=table.design(runs),
        runs=len(runs),
        statuses=runs["status"].value_counts().sort_index().to_dict(),
        frames_per_step=float(steps[0]) if len(steps) == 1 else 1.0,
        axis=_axis(runs),
        flags=lint.lint(runs),
        refusals=table.refusals(runs) + refused,
        findings=findings,
        cells=cells.cells(runs),
        equal_slopes=inference.equal_slopes(
            [line for _, line in lines] if factorial else []
        ),
        multipliers=efficiency.multipliers(curves),
        crossovers=reach.crossovers(lines),
        frames_to_score=_reached(lines, options.targets or reach.targets(curves)),
        best_per_budget=choice.per_budget(runs, options.seed) if factorial else [],
        best_per_compute=choice.per_compute(runs, options.seed) if factorial else [],
        compute=choice.compute_column(runs),
        surfaces=pairs,
        robust=_robust(pairs),
        scale=normalise.scale(runs, options.references),
        published=atari57.game(str(runs["env"].iloc[0])),
    )


def _axis(runs: pd.DataFrame) -> str:
    stored = max(runs["data_frames"] - runs["frames"]) > 0
    extra = ", data sets and demonstrations included" if stored else ""
    return f"frames{extra} (log scale)"


def find(curve: table.Curve, options: Options) -> Finding:
    """Returns what is found on one curve."""
    judged = verdicts.judge(curve)
    parameters = profile.parameters if options.profiled else profile.tangent_parameters
    found = {name: parameters(fit) for name, fit in judged.fitted.items()}
    needs, visible, plan = [], None, planned(judged)
    if plan is not None:
        visible = power.seeds_to_see_slope(plan)
        needs = [power.seeds_needed(plan, d) for d in options.differences]
    return Finding(judged, found, needs, visible, _seeds_for_exponent(judged))


def planned(judged: verdicts.Judgement) -> power.Study | None:
    """Returns what to plan more seeds by: budgets, slope, deviation of a run.

    The deviation is the one that gives the slope the HC3 error it has,

        σ = √(V_bb n Σ(x − x̄)²)

    so that noise that grows with the budget, and a bend, cost the seeds they cost.
    None where the slope has no error.
    """
    line = judged.line
    if line is None or line.linear.covariance is None:
        return None
    budgets = np.unique(judged.curve.frames)
    seeds = judged.curve.frames.size / budgets.size
    variance = float(line.linear.covariance[1, 1]) * seeds * power.spread(budgets)
    if variance <= 0:
        return None
    slope = float(line.linear.coefficients[1])
    return power.Study(budgets, slope, float(np.sqrt(variance)))


def _seeds_for_exponent(judged: verdicts.Judgement) -> int | None:
    exponent, frames = judged.exponent, judged.curve.frames
    if exponent is None or not np.isfinite(exponent.half_width):
        return None
    seeds = frames.size / np.unique(frames).size
    return power.seeds_for_exponent(
        exponent.half_width, seeds, verdicts.WIDEST_EXPONENT
    )


def _reached(
    lines: list[tuple[table.Curve, fits.LawFit]], targets: tuple[float, ...] | list
) -> list[reach.FramesToScore]:
    found = [reach.frames_to_score(*pair, score) for score in targets for pair in lines]
    return [each for each in found if each is not None]


def _surfaces(
    runs: pd.DataFrame,
) -> tuple[list[surfaces.SurfaceFit], list[table.Refusal]]:
    plain = runs[(runs["status"] == "ok") & runs["control"].isna()]
    pairs = plain[["data_frames", "searched_states"]].to_numpy(float)
    found, refused = [], []
    reason = surfaces.not_identified(pairs)
    if reason is not None:
        return [], [table.Refusal(law.name, reason) for law in surfaces.SURFACES]
    for law in surfaces.SURFACES:
        try:
            fitted = surfaces.fit_surface(law, pairs, plain["score"].to_numpy(float))
            found.append(fitted)
        except ValueError as error:
            refused.append(table.Refusal(law.name, str(error)))
    return found, refused


def _robust(found: list[surfaces.SurfaceFit]) -> robust.RobustFit | None:
    power_laws = [fit for fit in found if fit.law is surfaces.POWER]
    if not power_laws or power_laws[0].score.min() <= 0:
        return None
    fit = power_laws[0]
    return robust.fit_robust(
        robust.Problem(fit.law, fit.x / np.array(fit.references), fit.score)
    )
