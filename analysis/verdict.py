"""The verdict on a curve: what is known about it, and one word by a fixed rule."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from analysis import fit as fits
from analysis import inference, laws, profile, table

LACK_OF_FIT = 0.01  # statistics.md, "Verdict"
WIDEST_EXPONENT = 0.5  # half-width of the λ interval, statistics.md, "Verdict"


class Verdict(NamedTuple):
    """One word and the clause of the rule that decided it."""

    word: str
    reason: str


class Evidence(NamedTuple):
    """All that the rule of the verdict looks at."""

    budgets: int
    replicates: int  # degrees of freedom of the noise within cells
    slope: inference.Interval | None
    exponent: inference.Interval | None  # λ of the Box–Cox law
    line_lack_of_fit: inference.FTest | None
    checkpoints: int


def verdict(found: Evidence) -> Verdict:
    """Returns the word for a curve, by the fixed rule of the study.

    In this order: slope interval contains 0 → underpowered; λ interval below 0 →
    saturating, above 0 → accelerating; lack of fit of the line p < .01 → break;
    λ half-width ≥ .5 or no replicates → underpowered; else consistent, which the
    checkpoints of one run can never be.
    """
    slope, exponent = found.slope, found.exponent
    if slope is None:
        return Verdict("underpowered", "no interval for the slope")
    if slope.contains(0.0):
        return Verdict("underpowered", "the slope interval contains 0")
    if exponent is not None and exponent.high < 0:
        return Verdict("saturating", "the λ interval lies below 0")
    if exponent is not None and exponent.low > 0:
        return Verdict("accelerating", "the λ interval lies above 0")
    test = found.line_lack_of_fit
    if test is not None and test.p < LACK_OF_FIT:
        return Verdict("break", "the line lacks fit")
    return _straight(found)


def _straight(found: Evidence) -> Verdict:
    if found.budgets < laws.BOX_COX.budgets_to_fit:
        return Verdict("underpowered", "too few budgets to test the law")
    if found.replicates == 0:
        return Verdict("underpowered", "no replicates")
    if found.exponent is None:
        return Verdict("underpowered", "no interval for λ")
    if found.exponent.half_width >= WIDEST_EXPONENT:
        return Verdict("underpowered", "the λ interval is too wide")
    if found.checkpoints:
        return Verdict("underpowered", "checkpoints of one run")
    return Verdict("consistent", "nothing contradicts the line")


class Judgement(NamedTuple):
    """What is known about one curve."""

    curve: table.Curve
    fitted: dict[str, fits.LawFit]  # by name of the law
    refused: dict[str, str]  # the other laws, with the reason
    slope: inference.Interval | None  # score per decade of frames
    exponent: inference.Interval | None  # λ
    seed_deviation: float | None  # score
    verdict: Verdict

    @property
    def line(self) -> fits.LawFit | None:
        """The log-linear law, where it could be fitted."""
        return self.fitted.get(laws.LOG_LINEAR.name)


def fit_laws(
    curve: table.Curve, wanted: Sequence[laws.Law]
) -> tuple[dict[str, fits.LawFit], dict[str, str]]:
    """Returns the laws that the curve's budgets allow, and why not the others."""
    fitted, refused = {}, {}
    for law in wanted:
        try:
            fitted[law.name] = fits.fit_law(law, curve.frames, curve.score)
        except ValueError as error:
            refused[law.name] = str(error)
    return fitted, refused


def judge(curve: table.Curve) -> Judgement:
    """Fits every law that the curve's budgets allow, and applies the rule."""
    fitted, refused = fit_laws(curve, laws.LAWS)
    found = evidence(curve, fitted)
    deviation = inference.seed_deviation(curve.frames, curve.score)
    word = verdict(found)
    return Judgement(
        curve, fitted, refused, found.slope, found.exponent, deviation, word
    )


def evidence(curve: table.Curve, fitted: Mapping[str, fits.LawFit]) -> Evidence:
    """Returns what the rule looks at: the line and the Box–Cox law, where fitted."""
    line, bend = fitted.get(laws.LOG_LINEAR.name), fitted.get(laws.BOX_COX.name)
    return Evidence(
        budgets=np.unique(curve.frames).size,
        replicates=inference.replicates(curve.frames, curve.score),
        slope=_slope(line),
        exponent=profile.shape_interval(bend) if bend else None,
        line_lack_of_fit=inference.lack_of_fit(line) if line else None,
        checkpoints=curve.checkpoints,
    )


def _slope(line: fits.LawFit | None) -> inference.Interval | None:
    if line is None:
        return None
    if np.ptp(line.score) == 0:
        # Not the rounding errors of a fit to a constant.
        return inference.Interval(0.0, 0.0)
    return inference.coefficient_interval(line.linear, 1)
