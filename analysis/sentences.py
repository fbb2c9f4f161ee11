"""What was found, in plain English with the numbers that it rests on."""

import math

import numpy as np

from analysis import across as together
from analysis import atari57, efficiency, fieller, inference, reach, study, table
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
    "no replicates": (
        "but one seed a cell, or seeds that agree exactly, leave no measure of "
        "noise: add seeds."
    ),
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


def conclusions(here: study.Environment) -> list[str]:
    """Returns all sentences on one environment: verdicts, comparisons, notes."""
    said = [sentence(judged) for judged in here.fits]
    said += [advice for finding in here.findings for advice in seeds_advice(finding)]
    said += [multiplier_sentence(found) for found in here.multipliers]
    if here.equal_slopes:
        said.append(f"One slope for all fractions: p = {here.equal_slopes.p:.2g}.")
    said += [crossover_sentence(found) for found in here.crossovers]
    return said + refusal_sentences(here) + notes(here)


def refusal_sentences(here: study.Environment) -> list[str]:
    """Returns what the design cannot identify, one sentence a reason."""
    reasons: dict[str, list[str]] = {}
    for refusal in here.refusals:
        reasons.setdefault(refusal.reason, []).append(refusal.model)
    return [
        f"Refused ({', '.join(models)}): {reason.rstrip('.')}."
        for reason, models in reasons.items()
    ]


def notes(here: study.Environment) -> list[str]:
    """Returns what is doubtful about the runs."""
    return [f"Note: {flag.message}" for flag in here.flags]


def seeds_advice(finding: study.Finding) -> list[str]:
    """Returns what would mend an `underpowered` verdict that seeds can mend."""
    judged, where = finding.judged, _where(finding.judged.curve)
    if judged.verdict.reason == "the λ interval is too wide":
        seeds = finding.seeds_for_exponent
        return [f"{where} about {seeds} seeds a budget would do."] if seeds else []
    if judged.verdict.reason == "the slope interval contains 0":
        seeds, now = finding.seeds_to_see_slope, _most_seeds(judged.curve)
        enough = "no number of seeds in reach"
        if seeds:
            enough = f"about {max(seeds, now + 1)} seeds a budget"
        return [f"{where} {enough} would tell this slope from 0 four times in five."]
    return []


def _most_seeds(curve: table.Curve) -> int:
    return int(np.unique(curve.frames, return_counts=True)[1].max())


def crossover_sentence(found: reach.Crossover) -> str:
    """Returns where two lines meet, in words."""
    who = f"The lines of {found.first} and {found.second}"
    if found.frames.set.kind != "bounded":
        return f"{who} have no crossover that the data identify."
    low, high = number(found.frames.set.low), number(found.frames.set.high)
    text = f"{who} cross at {number(found.frames.value)} frames (95 % set {low} to "
    return f"{text}{high}){'' if found.within else ', outside their budgets'}."


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


def factor(ratio: fieller.Ratio) -> str:
    """Returns a factor and its Fieller set in words."""
    if ratio.set.kind != "bounded":
        return "not identified (too little slope to divide by)"
    low, high = number(ratio.set.low), number(ratio.set.high)
    return f"×{number(ratio.value)} (95 % set {low} to {high})"


def across_sentences(whole: together.Across) -> list[str]:
    """Returns what was taken into the aggregates, what was not, and the best."""
    said = [f"Left out of the aggregates: {reason}" for reason in whole.left_out]
    if len(whole.environments) < 2:
        return [*said, "Fewer than two environments can be normalised: no aggregates."]
    if not whole.levels:
        return [*said, "No budget is common to all environments: no aggregates."]
    last = [level for level in whole.levels if level.frames == max(whole.budgets)]
    best = max(last, key=lambda level: level.iqm.value)
    low, high = (number(end) for end in best.iqm.interval)
    said.append(
        f"Over {len(whole.environments)} environments at {best.frames:,.0f} frames, "
        f"fraction {best.fraction:g} has the highest interquartile mean, "
        f"{number(best.iqm.value)} (95 % interval {low} to {high}; 1 is the reference)."
    )
    return said


def published_aggregates() -> list[str]:
    """Returns the paper's medians over 57 games, to compare with."""
    points = ", ".join(
        f"{median / 100:.3g} at {frames / 1e6:,.0f} M frames with fraction {fraction:g}"
        for frames, fraction, median, _ in atari57.PUBLISHED_AGGREGATES
    )
    return [
        "Published (MuZero Unplugged, median over 57 Atari games of human-normalised "
        f"scores): {points}."
    ]
