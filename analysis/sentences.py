"""What was found, in plain English with the numbers that it rests on."""

import math
from typing import Any

from analysis import efficiency, inference, table
from analysis import verdict as verdicts

LARGEST_SHOWN = 10**9  # scores and factors beyond it are only said to be so

# What the reason of a verdict adds to the sentence about the slope.
CLAUSES = {
    "the λ interval lies below 0": (
        "but each decade changes it by less than the one before (λ = {bend}): it "
        "saturates."
    ),
    "the λ interval lies above 0": (
        "and each decade changes it by more than the one before (λ = {bend}): a "
        "straight line in log frames understates the change."
    ),
    "the line lacks fit": (
        "but the cell means leave any straight line in log frames by more than "
        "seeds explain, without a steady bend either way: do not extrapolate."
    ),
    "too few budgets to test the law": (
        "but {budgets} budgets cannot tell a line from a bend: at least 5 are needed."
    ),
    "no replicates": ("but one seed a cell leaves no measure of noise: add seeds."),
    "no interval for λ": (
        "but there is too little noise or too few runs to put limits on a bend."
    ),
    "the λ interval is too wide": (
        "but a bend is not excluded (λ = {bend}; half-width .5 or more): add seeds "
        "or budgets."
    ),
    "checkpoints of one run": (
        "but {checkpoints} rows are checkpoints of longer runs, which cannot show a "
        "law across budgets: train a run per budget."
    ),
    "nothing contradicts the line": (
        "and nothing here contradicts a straight line in log frames (λ = {bend})."
    ),
}


def conclusions(here: dict[str, Any]) -> list[str]:
    """Returns all sentences on one environment: verdicts, comparisons, notes."""
    said = [sentence(judged) for judged in here["fits"]]
    said += [multiplier_sentence(found) for found in here["multipliers"]]
    if here["equal_slopes"]:
        said.append(f"One slope for all fractions: p = {here['equal_slopes'].p:.2g}.")
    if here["refusals"]:
        models = ", ".join(refusal.model for refusal in here["refusals"])
        said.append(f"Refused ({models}): {here['refusals'][0].reason}.")
    return said + [f"Note: {flag.message}" for flag in here["flags"]]


def sentence(judged: verdicts.Judgement) -> str:
    """Returns the verdict in plain English, with the numbers it rests on."""
    where, line, slope = _where(judged.curve), judged.line, judged.slope
    if line is None:
        return f"{where} nothing is fitted. {judged.refused['log-linear']}"
    value = float(line.linear.coefficients[1])
    if slope is None:
        return (
            f"{where} the slope is {number(value)} per tenfold frames, but "
            f"{line.score.size} runs leave nothing to judge its error by: add seeds "
            "and budgets."
        )
    if slope.contains(0.0):
        return (
            f"{where} no trend can be told from noise: the slope is {number(value)} "
            f"per tenfold frames (95 % interval {interval(slope)}). Add seeds or "
            "budgets."
        )
    return f"{where} {_trend(judged, value, slope)}"


def _trend(judged: verdicts.Judgement, value: float, slope: inference.Interval) -> str:
    verb, ends = ("rises", slope) if value > 0 else ("falls", (-slope[1], -slope[0]))
    effect = effect_size(judged)
    deviations = f", {number(abs(effect))} seed standard deviations" if effect else ""
    facts = {
        "bend": interval(judged.exponent),
        "budgets": len(set(judged.curve.frames)),
        "checkpoints": judged.curve.checkpoints,
    }
    return (
        f"the score {verb} with frames, by {number(abs(value))} per tenfold (95 % "
        f"interval {number(ends[0])} to {number(ends[1])}){deviations}, "
        f"{CLAUSES[judged.verdict.reason].format(**facts)}{_poor_bend(judged)}"
    )


def _poor_bend(judged: verdicts.Judgement) -> str:
    bend = judged.fitted.get("box-cox")
    test = inference.lack_of_fit(bend) if bend else None
    bent = judged.verdict.word in ("saturating", "accelerating")
    if not bent or test is None or test.p >= verdicts.LACK_OF_FIT:
        return ""
    return f" A steady bend does not fit either (p = {test.p:.2g})."


def _where(curve: table.Curve) -> str:
    if curve.fraction is None:
        return f"Along the {curve.label},"
    return (
        f"At fraction {curve.label},"
        if curve.control is None
        else f"In the {curve.label},"
    )


def number(value: float) -> str:
    """Returns three significant digits, and all digits before the point."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if abs(value) > LARGEST_SHOWN:
        return f"{'over ' if value > 0 else 'under -'}{LARGEST_SHOWN:,}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def interval(found: inference.Interval | None) -> str:
    """Returns an interval in words."""
    return (
        "not known" if found is None else f"{number(found.low)} to {number(found.high)}"
    )


def effect_size(judged: verdicts.Judgement) -> float | None:
    """Returns the slope per decade in standard deviations between seeds."""
    if judged.line is None or not judged.seed_deviation:
        return None
    return float(judged.line.linear.coefficients[1]) / judged.seed_deviation


def multiplier_sentence(found: efficiency.Multiplier) -> str:
    """Returns what the frames of one curve are worth in another, in words."""
    base = f"fraction {found.base}" if found.base == "0" else f"the {found.base}"
    within = found.at_largest.value <= found.supported
    text = (
        f"A frame at fraction {found.of} is worth, in frames of {base}: "
        f"{factor(found.everywhere)} if the slopes are equal; "
    )
    if found.at_largest.set.kind == "bounded" and not within:
        text += f"estimated over ×{number(found.supported)}, a decade beyond its data,"
    else:
        text += factor(found.at_largest)
    text += f" at {found.largest:,.0f} frames."
    if found.equal_slopes and found.equal_slopes.p < 0.05:
        p = f"{found.equal_slopes.p:.2g}"
        text += f" The slopes differ (p = {p}), so no one factor holds."
    return text


def factor(ratio: efficiency.Ratio) -> str:
    """Returns a factor and its Fieller set in words."""
    if ratio.set.kind != "bounded":
        return "not identified (too little slope to divide by)"
    low, high = number(ratio.set.low), number(ratio.set.high)
    return f"×{number(ratio.value)} (95 % set {low} to {high})"
