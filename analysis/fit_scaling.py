"""Fits score = a + b log10(frames) to the runs of a study, and says what it can.

`python analysis/fit_scaling.py` reads results/results.csv, prints for every
environment and fraction the slope per decade of frames with its 95 % interval and
a verdict, and writes fit.json, cells.csv and figures/score_vs_frames.png and .svg.
"""

import contextlib
import dataclasses
import json
import math
import pathlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if not __package__:
    # As a script, the folder of this file comes first on the path, where the
    # package `analysis` is not found unless it was installed.
    sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

if TYPE_CHECKING:
    import pandas as pd

    from analysis import efficiency, inference, plots, table
    from analysis import fit as fits

# pandas, scipy and matplotlib are imported where they are used: --help is instant.

SCHEMA = "scaling-unplugged/fit"
SCHEMA_VERSION = 1
DIGITS = 10  # of numbers in fit.json; later ones differ between machines
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What to read and where to write."""

    results: pathlib.Path = pathlib.Path("results")
    """Directory of a study; its results.csv is read."""
    table: tuple[pathlib.Path, ...] = ()
    """Tables to read instead: CSV files with at least the columns frames, fraction,
    seed and score (env, status, control, curve_of and others are used if there)."""
    out: pathlib.Path | None = None
    """Directory to write to (default: that of the results or of the first table)."""


def sources(settings: Settings) -> tuple[pathlib.Path, ...]:
    """Returns the tables to read."""
    return settings.table or (settings.results / "results.csv",)


def output_directory(settings: Settings) -> pathlib.Path:
    """Returns where to write.

    Raises:
      ValueError: if a file is in the way.
    """
    out = settings.out or sources(settings)[0].parent
    blocked = [path for path in (out, *out.parents) if path.is_file()]
    if blocked:
        raise ValueError(f"{blocked[0]} is a file; give --out a directory.")
    return out


def analyse_environment(runs: "pd.DataFrame") -> dict[str, Any]:
    """Returns design, judgements, comparisons and flags of one environment."""
    from analysis import efficiency, inference, table

    curves = table.curves(runs)
    judged = [inference.judge(curve) for curve in curves]
    lines = [j.line for j in judged if j.curve.control is None and j.line]
    steps = runs["frames_per_step"].dropna().unique()
    return {
        "env": str(runs["env"].iloc[0]),
        "design": table.design(runs),
        "runs": len(runs),
        "statuses": runs["status"].value_counts().sort_index().to_dict(),
        "frames_per_step": float(steps[0]) if len(steps) == 1 else 1.0,
        "axis": _axis(runs),
        "flags": table.lint(runs),
        "refusals": table.refusals(runs),
        "fits": judged,
        "equal_slopes": inference.equal_slopes(lines),
        "multipliers": efficiency.multipliers(curves),
    }


def _axis(runs: "pd.DataFrame") -> str:
    stored = max(runs["data_frames"] - runs["frames"]) > 0
    extra = ", data sets and demonstrations included" if stored else ""
    return f"frames{extra} (log scale)"


def sentence(judged: "inference.Judgement") -> str:
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


def _trend(
    judged: "inference.Judgement", value: float, slope: "inference.Interval"
) -> str:
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


def _poor_bend(judged: "inference.Judgement") -> str:
    from analysis import inference

    bend = judged.fitted.get("box-cox")
    test = inference.lack_of_fit(bend) if bend else None
    bent = judged.verdict.word in ("saturating", "accelerating")
    if not bent or test is None or test.p >= inference.LACK_OF_FIT:
        return ""
    return f" A steady bend does not fit either (p = {test.p:.2g})."


def _where(curve: "table.Curve") -> str:
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


def interval(found: "inference.Interval | None") -> str:
    """Returns an interval in words."""
    return (
        "not known" if found is None else f"{number(found.low)} to {number(found.high)}"
    )


def effect_size(judged: "inference.Judgement") -> float | None:
    """Returns the slope per decade in standard deviations between seeds."""
    if judged.line is None or not judged.seed_deviation:
        return None
    return float(judged.line.linear.coefficients[1]) / judged.seed_deviation


def multiplier_sentence(found: "efficiency.Multiplier") -> str:
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


def factor(ratio: "efficiency.Ratio") -> str:
    """Returns a factor and its Fieller set in words."""
    if ratio.set.kind != "bounded":
        return "not identified (too little slope to divide by)"
    low, high = number(ratio.set.low), number(ratio.set.high)
    return f"×{number(ratio.value)} (95 % set {low} to {high})"


def fit_record(judged: "inference.Judgement") -> dict[str, Any]:
    """Returns one element of `fits`: the verdict first, the checks beside it."""
    from analysis import inference

    curve, line = judged.curve, judged.line
    bend, curved = judged.fitted.get("box-cox"), judged.fitted.get("quadratic")
    return {
        "curve": curve.label,
        "fraction": curve.fraction,
        "control": curve.control,
        "verdict": judged.verdict.word,
        "reason": judged.verdict.reason,
        "sentence": sentence(judged),
        "runs": curve.frames.size,
        "not_ok": curve.lost.size,
        "checkpoints": curve.checkpoints,
        "seeds_per_budget": _seeds_per_budget(curve.frames),
        "slope_per_decade": line and line.linear.coefficients[1],
        "slope_interval": judged.slope,
        "slope_p": line and inference.coefficient_p(line.linear, 1),
        "seed_sd": judged.seed_deviation,
        "effect_size": effect_size(judged),
        "lambda": bend and bend.shapes[0],
        "lambda_interval": judged.exponent,
        "curvature_p": curved and inference.coefficient_p(curved.linear, 2),
        "residual_pattern": line and inference.residual_pattern(line),
        "laws": [law_record(fit) for fit in judged.fitted.values()],
        "refused": judged.refused,
    }


def law_record(fit: "fits.LawFit") -> dict[str, Any]:
    """Returns one element of `laws`: the fit and how well it extrapolates."""
    from analysis import fit as fits
    from analysis import inference, laws

    coefficients = fit.linear.coefficients
    return {
        "law": fit.law.name,
        "equation": fit.law.equation,
        "formula": laws.formula(fit.law, coefficients, fit.shapes, fit.reference),
        "reference_frames": fit.reference,
        "coefficients": dict(zip(fit.law.coefficients, coefficients, strict=True)),
        "shapes": dict(zip(fit.law.shapes, fit.shapes, strict=True)),
        "status": fit.status,
        "agreement": fit.agreement,
        "lack_of_fit": inference.lack_of_fit(fit),
        "aicc": fits.akaike_corrected(fit),
        "held_out_largest": inference.held_out_largest(fit.law, fit.frames, fit.score),
    }


def as_json(found: list[dict[str, Any]], settings: Settings) -> str:
    """Returns fit.json: numbers to ten digits, null for what is not known."""
    record = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "data_axis": "frames + dataset_frames + demonstration_frames",
        "level": 0.95,
        "tables": [str(path) for path in sources(settings)],
        "environments": [
            {**here, "fits": [fit_record(judged) for judged in here["fits"]]}
            for here in found
        ],
    }
    return json.dumps(_plain(record), indent=1, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):  # a NamedTuple
        value = value._asdict()
    if hasattr(value, "item") or hasattr(value, "tolist"):  # numpy
        value = value.tolist()
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def panel(here: dict[str, Any], cells: "pd.DataFrame") -> "plots.Panel":
    """Returns what the figure shows of one environment."""
    from analysis import plots

    drawn = [plots.DrawnCurve(j.curve, j.line, _legend(j)) for j in here["fits"]]
    caption = {
        "factorial": "at equal frames, with 1/(1−f) times the search",
        "path": "along a path: the fraction changes with the budget",
    }[here["design"]]
    return plots.Panel(
        here["env"], tuple(drawn), cells, here["frames_per_step"], here["axis"], caption
    )


def _legend(judged: "inference.Judgement") -> str:
    if judged.line is None:
        return "not fitted"
    slope = f"{judged.line.linear.coefficients[1]:+.3g}"
    return f"{slope} ({interval(judged.slope)}), {judged.verdict.word}"


def show(here: dict[str, Any], cells: "pd.DataFrame") -> None:
    """Prints what was found in one environment."""
    from rich import console, table

    width = None if sys.stdout.isatty() else 120  # a pipe has no width to keep to
    out = console.Console(width=width, markup=False, highlight=False)
    counts = ", ".join(f"{n} {status}" for status, n in here["statuses"].items())
    out.print(f"\n{here['env']}: {here['design']} design, runs: {counts}")
    for title, heads, rows in (
        ("Slopes", SLOPE_HEADS, [_slope_row(judged) for judged in here["fits"]]),
        ("Cells", CELL_HEADS, [_cell_row(row) for row in cells.to_dict("records")]),
    ):
        drawn = table.Table(title=title, title_justify="left", box=None, pad_edge=False)
        for index, head in enumerate(heads):
            drawn.add_column(head, justify="right" if index else "left")
        for row in rows:
            drawn.add_row(*row)
        out.print(drawn, "")
    sentences = [sentence(judged) for judged in here["fits"]]
    sentences += [multiplier_sentence(found) for found in here["multipliers"]]
    if here["equal_slopes"]:
        sentences.append(
            f"One slope for all fractions: p = {here['equal_slopes'].p:.2g}."
        )
    if here["refusals"]:
        models = ", ".join(refusal.model for refusal in here["refusals"])
        sentences.append(f"Refused ({models}): {here['refusals'][0].reason}.")
    sentences += [f"Note: {flag.message}" for flag in here["flags"]]
    for text in sentences:
        out.print(f"- {text}", soft_wrap=True)


SLOPE_HEADS = ("fraction", "per decade", "95 % interval", "in seed sd", "λ interval")
SLOPE_HEADS += ("runs", "lost", "budgets", "seeds", "verdict")
CELL_HEADS = ("fraction", "frames", "runs", "lost", "mean", "median", "sd")
CELL_HEADS += ("mean / f=0", "median / f=0", "median / control")


def _slope_row(judged: "inference.Judgement") -> list[str]:
    curve, line, effect = judged.curve, judged.line, effect_size(judged)
    counts = list(_seeds_per_budget(curve.frames).values()) or [0]
    few, many = min(counts), max(counts)
    return [
        curve.label,
        number(line.linear.coefficients[1]) if line else "",
        interval(judged.slope),
        number(effect) if effect else "",
        interval(judged.exponent),
        str(curve.frames.size),
        str(curve.lost.size),
        str(len(_seeds_per_budget(curve.frames))),
        str(few) if few == many else f"{few} to {many}",
        judged.verdict.word,
    ]


def _cell_row(cell: dict[str, Any]) -> list[str]:
    control = cell["control"]
    label = (
        f"{cell['fraction']:g}" if math.isnan(control) else f"control for {control:g}"
    )
    names = ("mean", "median", "sd", "mean_ratio_to_fraction_0")
    names += ("median_ratio_to_fraction_0", "median_ratio_to_control")
    values = ["" if math.isnan(cell[name]) else number(cell[name]) for name in names]
    counts = (f"{cell['frames']:,.0f}", str(cell["runs"]), str(cell["not_ok"]))
    return [label, *counts, *values]


def _seeds_per_budget(frames: Any) -> dict[str, int]:
    return {
        f"{budget:.0f}": int((frames == budget).sum()) for budget in sorted(set(frames))
    }


def contents(
    found: list[dict[str, Any]], cells: "list[pd.DataFrame]", settings: Settings
) -> dict[str, bytes]:
    """Returns what to write, by name below the output directory."""
    import pandas as pd

    from analysis import plots

    pairs = zip(found, cells, strict=True)
    figure = plots.score_against_frames([panel(here, part) for here, part in pairs])
    table = pd.concat(cells).to_csv(index=False, float_format=f"%.{DIGITS}g")
    return {
        "fit.json": as_json(found, settings).encode(),
        "cells.csv": table.encode(),
        "figures/score_vs_frames.png": plots.saved(figure, "png"),
        "figures/score_vs_frames.svg": plots.saved(figure, "svg"),
    }


def write(out: pathlib.Path, files: dict[str, bytes]) -> None:
    """Writes every file, each in one step.

    Raises:
      ValueError: if the directory cannot be written to.
    """
    for name, content in files.items():
        path = out / name
        part = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content)
            part.replace(path)
        except OSError as error:
            raise ValueError(
                f"{path} cannot be written ({error.strerror}); name another "
                "directory with --out."
            ) from error


@contextlib.contextmanager
def status_2() -> Iterator[None]:
    """Turns what is wrong with the user's files into one sentence and status 2."""
    try:
        yield
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def main(settings: Settings) -> None:
    """Reads, analyses, writes and prints."""
    from analysis import efficiency, table

    with status_2():
        out = output_directory(settings)
        runs = table.read_tables(sources(settings))
    parts = [part for _, part in runs.groupby("env")]
    found = [analyse_environment(part) for part in parts]
    cells = [efficiency.cells(part) for part in parts]
    files = contents(found, cells, settings)
    with status_2():
        write(out, files)
    for here, part in zip(found, cells, strict=True):
        show(here, part)
    print("\nwrote " + ", ".join(str(out / name) for name in files))


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Settings, description=__doc__))
