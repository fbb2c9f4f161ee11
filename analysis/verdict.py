"""The verdict on a curve: what is known about it, and one word by a fixed rule."""

from typing import NamedTuple

import numpy as np

from analysis import fit as fits
from analysis import inference, laws, table

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


def verdict(evidence: Evidence) -> Verdict:
    """Returns the word for a curve, by the fixed rule of the study.

    In this order: slope interval contains 0 → underpowered; λ interval below 0 →
    saturating, above 0 → accelerating; lack of fit of the line p < .01 → break;
    λ half-width ≥ .5 or no replicates → underpowered; else consistent, which the
    checkpoints of one run can never be.
    """
    slope, exponent = evidence.slope, evidence.exponent
    if slope is None:
        return Verdict("underpowered", "no interval for the slope")
    if slope.contains(0.0):
        return Verdict("underpowered", "the slope interval contains 0")
    if exponent is not None and exponent.high < 0:
        return Verdict("saturating", "the λ interval lies below 0")
    if exponent is not None and exponent.low > 0:
        return Verdict("accelerating", "the λ interval lies above 0")
    test = evidence.line_lack_of_fit
    if test is not None and test.p < LACK_OF_FIT:
        return Verdict("break", "the line lacks fit")
    return _straight(evidence)


def _straight(evidence: Evidence) -> Verdict:
    if evidence.budgets < laws.BOX_COX.budgets_to_fit:
        return Verdict("underpowered", "too few budgets to test the law")
    if evidence.replicates == 0:
        return Verdict("underpowered", "no replicates")
    if evidence.exponent is None:
        return Verdict("underpowered", "no interval for λ")
    if evidence.exponent.half_width >= WIDEST_EXPONENT:
        return Verdict("underpowered", "the λ interval is too wide")
    if evidence.checkpoints:
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


def judge(curve: table.Curve) -> Judgement:
    """Fits every law that the curve's budgets allow, and applies the rule."""
    fitted, refused = {}, {}
    for law in laws.LAWS:
        try:
            fitted[law.name] = fits.fit_law(law, curve.frames, curve.score)
        except ValueError as error:
            refused[law.name] = str(error)
    line, bend = fitted.get(laws.LOG_LINEAR.name), fitted.get(laws.BOX_COX.name)
    evidence = Evidence(
        budgets=np.unique(curve.frames).size,
        replicates=inference.pure_error(curve.frames, curve.score)[1],
        slope=_slope(line),
        exponent=inference.shape_interval(bend) if bend else None,
        line_lack_of_fit=inference.lack_of_fit(line) if line else None,
        checkpoints=curve.checkpoints,
    )
    deviation = inference.seed_deviation(curve.frames, curve.score)
    slope, exponent = evidence.slope, evidence.exponent
    return Judgement(
        curve, fitted, refused, slope, exponent, deviation, verdict(evidence)
    )


def _slope(line: fits.LawFit | None) -> inference.Interval | None:
    if line is None:
        return None
    if np.ptp(line.score) == 0:
        # Not the rounding errors of a fit to a constant.
        return inference.Interval(0.0, 0.0)
    return inference.coefficient_interval(line.linear, 1)
