"""What an ablation found, in plain English with the numbers that it rests on."""

from collections.abc import Sequence

from analysis import (
    ablation_across,
    ablation_cells,
    ablation_comparisons,
    ablation_differences,
    ablation_paper,
    drawing,
    inference,
    offline_sentences,
    sentences,
)

SMALLEST_P = 0.0001
ALPHA = 1 - inference.LEVEL
VERDICTS = {
    True: "{way}: 0 is excluded",
    False: "undecided: 0 is not excluded",
}
NO_INTERVAL = {
    "one seed": "undecided: one seed leaves nothing to judge an error by",
    "no spread": "undecided: all seeds agree exactly (a bound of the score, or copies "
    "of one run), which leaves no spread to make an interval of",
}
ORDERS = {
    ablation_comparisons.HOLDS: "its order holds",
    ablation_comparisons.FAILS: "its order does not hold here",
    ablation_comparisons.UNDECIDED: "its order is undecided here",
}


def task(which: ablation_cells.Task) -> str:
    """Returns environment, data set, size and fraction of a table."""
    parts = (which.env, which.dataset, *size(which))
    return ", ".join(part for part in parts if part)


def size(which: ablation_cells.Task) -> list[str]:
    """Returns frames and fraction of a table, as far as they tell something."""
    parts = []
    if which.frames:
        parts.append(f"{drawing.count_label(which.frames)} frames")
    if which.fraction < 1:
        parts.append(f"fraction {which.fraction:g}")
    return parts


def column(which: ablation_cells.Column) -> str:
    """Returns how a column was trained: Reanalyse, unroll 5."""
    return f"{target(which.target)}, unroll {which.unroll}"


def target(name: str) -> str:
    """Returns the name of a training target."""
    return offline_sentences.TARGETS[name]


def action(name: str) -> str:
    """Returns the name of an action selection."""
    return offline_sentences.ACTIONS[name]


def comparison(which: ablation_comparisons.Comparison) -> str:
    """Returns what is compared with what, all else equal."""
    (one, first), (other, second) = which.first, which.second
    if which.kind == "unroll":
        same = f"{target(one.target)}, {action(first)}"
        return f"unroll {one.unroll} against {other.unroll} ({same})"
    if which.kind == "action":
        return f"{action(first)} against {action(second)} ({column(one)})"
    same = f"unroll {one.unroll}, {action(first)}"
    return f"{target(one.target)} against {target(other.target)} ({same})"


def sentence(found: ablation_comparisons.Found, normalised: bool) -> str:
    """Returns a difference, what it decides, and what the paper has."""
    unit = "" if normalised else " points of return"
    head = capital(comparison(found.comparison))
    value = f"{head}: {signed(found.difference.value)}{unit}"
    return f"{value}{_facts(found)}, {verdict(found)}{_paper(found)}."


def _facts(found: ablation_comparisons.Found) -> str:
    difference = found.difference
    if difference.interval is None or difference.p is None or found.holm is None:
        return ""
    kind = ablation_comparisons.TESTS[found.comparison.kind]
    low, high = map(signed, difference.interval)
    return (
        f" (95 % {kind} t interval {low} to {high}, p {p_value(difference.p)}, "
        f"Holm-adjusted {p_value(found.holm)}; {seeds(difference)})"
    )


def verdict(found: ablation_comparisons.Found) -> str:
    """Returns what the interval of a difference decides."""
    excludes = ablation_comparisons.excludes_0(found.difference)
    if excludes is None:
        return NO_INTERVAL[found.difference.reason]
    way = "better" if found.difference.value > 0 else "worse"
    return VERDICTS[excludes].format(way=way)


def _paper(found: ablation_comparisons.Found) -> str:
    if found.published is None:
        return "; the paper has no such pair"
    first, second = found.published
    near = " (a near tie)" if ablation_paper.near_tie(first, second) else ""
    pair = f"{first:g} against {second:g}{near}"
    return f"; the paper has {pair}: {ORDERS[found.agreement]}"


def seeds(difference: ablation_differences.Difference) -> str:
    """Returns how many seeds a difference rests on."""
    counts = sorted(set(difference.seeds))
    if len(difference.seeds) == 1:
        return f"{counts[0]} pairs"
    each = " and ".join(map(str, difference.seeds))
    if len(difference.seeds) > 2:
        each = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{each} seeds"


def signed(value: float) -> str:
    """Returns a number with its sign."""
    text = sentences.number(abs(value))
    return f"{'-' if value < 0 else '+'}{text}" if value else "0"


def p_value(p: float) -> str:
    """Returns a p value to two digits, or that it is below a ten-thousandth."""
    return f"<{SMALLEST_P:g}" if p < SMALLEST_P else f"{p:.2g}"


def capital(text: str) -> str:
    """Returns a text whose first letter is a capital."""
    return text[:1].upper() + text[1:]


def multiplicity(found: Sequence[ablation_comparisons.Found]) -> str:
    """Returns how many comparisons there were, and what chance alone would do."""
    tested = [each for each in found if each.difference.interval is not None]
    excluded = [f for f in tested if ablation_comparisons.excludes_0(f.difference)]
    after = [each for each in tested if each.holm is not None and each.holm < ALPHA]
    return (
        f"Differences looked at: {len(found)}, with an interval: {len(tested)}. "
        f"Intervals that exclude 0: {len(excluded)}, where chance alone would make "
        f"about {ALPHA * len(tested):.1f} if nothing differed; after Holm's correction "
        f"for all {len(tested)}: {len(after)}."
    )


def over_sentence(over: ablation_across.Over) -> str:
    """Returns a difference over environments, with how many agree in direction."""
    said = sentence(over.found, normalised=True).removesuffix(".")
    above = sum(value > 0 for value in over.values)
    return f"{said}; above 0 on {above} of {len(over.values)} data sets."


def over_what(overs: Sequence[ablation_across.Over]) -> str:
    """Returns what means over environments are of, and what their intervals say."""
    tasks = {task for over in overs for task in over.tasks}
    envs = sorted({task.env for task in tasks})
    return (
        f"Means of the normalised differences over {len(tasks)} data sets of "
        f"{len(envs)} environments ({', '.join(envs)}), all weighing alike. The "
        "intervals are over seeds, of these environments and of no others."
    )
