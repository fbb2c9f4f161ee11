"""The cells of a study: mean, median and spread, and ratios to what they beat."""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportArgumentType=false, reportCallIssue=false

import pandas as pd

from analysis import inference


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
    half = inference.mean_half_width(score.to_numpy(float))
    return {
        "runs": runs,
        "not_ok": len(part) - runs,
        "mean": mean,
        "median": score.median(),
        "sd": deviation,
        "low": mean - half,
        "high": mean + half,
    }
