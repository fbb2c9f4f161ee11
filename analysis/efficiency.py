"""What a fraction buys: cells, ratios to fraction 0, and the data multiplier."""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportArgumentType=false, reportCallIssue=false

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from analysis import fit as fits
from analysis import inference, laws, table

DECADES_BEYOND = 1.0  # of extrapolation, statistics.md, "Lint the study"


class FiellerSet(NamedTuple):
    """The values of a ratio that the data do not reject.

    `bounded`: between low and high. `two rays`: up to low and from high on, so not
    identified. `everything`: no value is rejected; low and high mean nothing.
    """

    kind: str
    low: float
    high: float


class Ratio(NamedTuple):
    """A ratio of two estimates: its value and its Fieller set."""

    value: float
    set: FiellerSet


class Multiplier(NamedTuple):
    """How many times the frames one curve is worth in another.

    Values are factors on frames. `everywhere` holds at all budgets, and only if
    the slopes are equal; `at_largest` asks how many frames the base's own line
    needs for the score that the other curve's line has at the largest budget.
    """

    of: str
    base: str
    everywhere: Ratio
    at_largest: Ratio
    largest: float  # frames at which `at_largest` is meant
    equal_slopes: inference.FTest | None
    supported: float  # largest factor read within a decade of the base's data


def cells(runs: pd.DataFrame) -> pd.DataFrame:
    """Returns one row a cell of an environment, failed runs counted.

    `low`, `high` are the 95 % t interval of the mean over seeds. Ratios compare a
    cell with the cell of equal frames at fraction 0, and with its control; they
    are empty where the score there is not positive, since they mean nothing then.
    """
    keys = ["env", "fraction", "control", "data_frames"]
    rows = [
        {**dict(zip(keys, key, strict=True)), **_cell(part)}
        for key, part in runs.groupby(keys, dropna=False)
    ]
    found = pd.DataFrame(rows).rename(columns={"data_frames": "frames"})
    order = ["control", "fraction", "frames"]
    found = found.sort_values(order, na_position="first", ignore_index=True)
    plain = found[(found["fraction"] == 0) & found["control"].isna()]
    controls = found[found["control"].notna()]
    base = plain.set_index("frames")
    twin = controls.set_index(["frames", "control"])
    for name in ("mean", "median"):
        zero = found["frames"].map(base[name])
        found[f"{name}_ratio_to_fraction_0"] = _ratio(found[name], zero)
        pairs = pd.MultiIndex.from_frame(found[["frames", "fraction"]])
        own = pd.Series(twin[name].reindex(pairs).to_numpy(float), index=found.index)
        own = own.where(found["control"].isna())
        found[f"{name}_ratio_to_control"] = _ratio(found[name], own)
    return found


def _ratio(value: pd.Series, base: pd.Series) -> pd.Series:
    return value / base.where(base > 0)


def _cell(part: pd.DataFrame) -> dict[str, float]:
    score = part.loc[part["status"] == "ok", "score"]
    runs, mean, deviation = len(score), score.mean(), score.std(ddof=1)
    half = np.nan
    if runs > 1:
        quantile = stats.t.ppf((1 + inference.LEVEL) / 2, runs - 1)
        half = float(quantile * deviation / np.sqrt(runs))
    return {
        "runs": runs,
        "not_ok": len(part) - runs,
        "mean": mean,
        "median": score.median(),
        "sd": deviation,
        "low": mean - half,
        "high": mean + half,
    }


def fieller(
    ratio: tuple[float, float], covariance: np.ndarray, degrees: int
) -> FiellerSet:
    """Returns the 95 % Fieller set of numerator / denominator.

        {θ : (ν − θ δ)² ≤ t² (V_νν − 2 θ V_νδ + θ² V_δδ)}

    Source: Fieller 1954, "Some problems in interval estimation".

    Args:
      ratio: the estimates (ν, δ).
      covariance: their 2 × 2 covariance.
      degrees: degrees of freedom of the t quantile.
    """
    numerator, denominator = ratio
    t2 = float(stats.t.ppf((1 + inference.LEVEL) / 2, degrees)) ** 2
    square = denominator**2 - t2 * covariance[1, 1]
    middle = numerator * denominator - t2 * covariance[0, 1]
    constant = numerator**2 - t2 * covariance[0, 0]
    discriminant = middle**2 - square * constant
    if square == 0 or (square < 0 and discriminant <= 0):
        return FiellerSet("everything", -np.inf, np.inf)
    root = float(np.sqrt(max(discriminant, 0.0)))
    low, high = sorted([(middle - root) / square, (middle + root) / square])
    return FiellerSet("bounded" if square > 0 else "two rays", low, high)


def data_multiplier(of: table.Curve, base: table.Curve) -> Multiplier | None:
    """Returns how many times the frames `of` is worth, read on `base`.

        everywhere: 10^((a_f − a_0) / b)         with one slope b for both
        at_largest: 10^((a_f + b_f x − a_0 − b_0 x) / b_0)   at x = log10(largest)

    Returns:
      None where a curve has too few budgets or runs for a line with an error.
    """
    try:
        lines = [
            fits.fit_law(laws.LOG_LINEAR, curve.frames, curve.score)
            for curve in (of, base)
        ]
    except ValueError:
        return None
    everywhere = _common_slope(of, base)
    largest = float(min(of.frames.max(), base.frames.max()))
    at_largest = _horizontal(lines[0], lines[1], largest)
    if everywhere is None or at_largest is None:
        return None
    return Multiplier(
        of.label,
        base.label,
        everywhere,
        at_largest,
        largest,
        inference.equal_slopes(lines),
        10**DECADES_BEYOND * float(base.frames.max()) / largest,
    )


def _common_slope(of: table.Curve, base: table.Curve) -> Ratio | None:
    frames = np.concatenate([of.frames, base.frames])
    score = np.concatenate([of.score, base.score])
    member = np.repeat([1.0, 0.0], [of.frames.size, base.frames.size])
    log_n = np.log10(frames / laws.geometric_mean_of_budgets(frames))
    linear = fits.ordinary_least_squares(
        np.column_stack([member, log_n, np.ones(frames.size)]), score
    )
    if linear.covariance is None:
        return None
    pair = (float(linear.coefficients[0]), float(linear.coefficients[1]))
    return _factor(pair, linear.covariance[:2, :2], linear.degrees)


def _horizontal(of: fits.LawFit, base: fits.LawFit, frames: float) -> Ratio | None:
    first, second = of.linear.covariance, base.linear.covariance
    if first is None or second is None:
        return None
    at = np.array([1.0, np.log10(frames / of.reference)])
    there = np.array([1.0, np.log10(frames / base.reference)])
    gap = float(at @ of.linear.coefficients - there @ base.linear.coefficients)
    across = -float(there @ second[:, 1])
    covariance = np.array(
        [[at @ first @ at + there @ second @ there, across], [across, second[1, 1]]]
    )
    pair = (gap, float(base.linear.coefficients[1]))
    return _factor(pair, covariance, of.linear.degrees + base.linear.degrees)


def _factor(pair: tuple[float, float], covariance: np.ndarray, degrees: int) -> Ratio:
    # Ratios are decades; factors on frames are their powers of ten. Beyond what a
    # float holds they become 0 or infinite, which is what they mean.
    limits = fieller(pair, covariance, degrees)
    value = pair[0] / pair[1] if pair[1] else np.copysign(np.inf, pair[0])
    with np.errstate(over="ignore", under="ignore"):
        factor, low, high = np.power(10.0, [value, limits.low, limits.high])
    return Ratio(float(factor), FiellerSet(limits.kind, float(low), float(high)))


def multipliers(curves: Sequence[table.Curve]) -> list[Multiplier]:
    """Returns the multiplier of each fraction on fraction 0 and on its control."""
    plain = [c for c in curves if c.fraction == 0 and c.control is None]
    found = []
    for curve in curves:
        if not curve.fraction:  # a path, or fraction 0 itself
            continue
        controls = [c for c in curves if c.control == curve.fraction]
        found += [data_multiplier(curve, base) for base in plain + controls]
    return [multiplier for multiplier in found if multiplier is not None]
