"""Reads a table of runs, refuses what is wrong in it, cuts it into curves.

Every other module works on the frame of data made here, one row a run, or on the
`Curve`s cut from it: the runs that one law is fitted to.
"""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportOperatorIssue=false
# pyright: reportReturnType=false

import csv
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

REQUIRED = ("frames", "fraction", "seed", "score")
NUMBERS = (
    *("frames", "fraction", "score", "dataset_frames", "demonstration_frames"),
    *("control", "score_sd", "eval_episodes", "agent_steps", "frames_per_step"),
    *("searched_states", "learner_updates", "compute", "random_score"),
)
WORDS = ("env", "seed", "status", "curve_of", "score_kind", "design", "study", "run_id")
STATUSES = ("ok", "failed", "diverged", "interrupted")
KEY = [
    *("env", "frames", "dataset_frames", "demonstration_frames"),
    *("fraction", "control", "seed", "curve_of"),
]


class Refusal(NamedTuple):
    """A model that the design cannot identify, and why."""

    model: str
    reason: str


class Curve(NamedTuple):
    """The runs of one fraction (or one control, or a whole path) in order."""

    label: str
    fraction: float | None  # None for a path, where it changes with the budget
    control: float | None  # fraction whose updates it took
    frames: Float[np.ndarray, "N"]  # data axis: interaction, data set, demonstrations
    score: Float[np.ndarray, "N"]
    lost: Float[np.ndarray, "F"]  # frames of runs that are not ok
    checkpoints: int  # rows that belong to the learning curve of one run


def read_tables(paths: Sequence[pathlib.Path]) -> pd.DataFrame:
    """Returns the runs of all `paths`, checked, sorted, with a `data_frames` column.

        data_frames = frames + dataset_frames + demonstration_frames

    Raises:
      ValueError: naming file, row and fix, at the first thing that is wrong.
    """
    runs = pd.concat([_read(path) for path in paths], ignore_index=True)
    refuse(
        runs,
        runs.duplicated(KEY, keep="first"),
        "is a second run of the same environment, frames, fraction and seed. "
        "Remove one, or, if rows are episodes, give their mean as one row a seed",
    )
    order = ["env", "fraction", "control", "data_frames", "seed", "score"]
    return runs.sort_values(order, kind="stable", ignore_index=True)


def _read(path: pathlib.Path) -> pd.DataFrame:
    return _typed(read_cells(path, REQUIRED, "run launch/sweep.py first"), path)


def read_cells(
    path: pathlib.Path, required: Sequence[str], how_to: str
) -> pd.DataFrame:
    """Returns the cells of a CSV table as text, without spaces around them.

    Args:
      path: the file.
      required: columns it must have.
      how_to: what makes such a table, for a user who has none.

    Raises:
      ValueError: if there is no such file, or it is no such table.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file) if any(map(str.strip, line))]
    except FileNotFoundError:
        raise ValueError(
            f"There is no table {path}; {how_to}, or name one with --results DIR or "
            "--table FILE.csv."
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{path} cannot be read as a CSV table ({error}); save it as UTF-8 CSV."
        ) from error
    header = [name.strip() for name in lines[0]] if lines else []
    missing = [name for name in required if name not in header]
    if missing:
        raise ValueError(
            f"{path} has no column {', '.join(missing)} in its row 1; a table needs "
            f"{', '.join(required)}."
        )
    if len(lines) == 1:
        raise ValueError(f"{path} has a header but no runs; add a row for each run.")
    for number, line in enumerate(lines, 1):
        if len(line) != len(header):
            raise ValueError(
                f"{path}, row {number} has {len(line)} values for {len(header)} "
                "columns; add or remove commas."
            )
    raw = pd.DataFrame(lines[1:], columns=pd.Index(header), dtype=str)
    return raw.apply(lambda column: column.str.strip())


def _typed(raw: pd.DataFrame, path: pathlib.Path) -> pd.DataFrame:
    if "compute" not in raw and "flops" in raw:
        raw = raw.rename(columns={"flops": "compute"})
    runs = pd.DataFrame({name: raw.get(name, "") for name in WORDS}, index=raw.index)
    runs["where"] = [f"{path}:{number}" for number in range(2, len(raw) + 2)]
    for name in NUMBERS:
        text = raw.get(name, pd.Series("", index=raw.index, dtype=str))
        runs[name] = pd.to_numeric(text, errors="coerce").astype(float)
        given = (text != "") & ~np.isfinite(runs[name])
        if name == "score":
            given &= runs["status"].isin(["", "ok"])  # a lost run has none
        refuse(
            runs,
            given,
            f"has a value of {name} that is no finite number; correct it",
            text,
        )
    runs["status"] = runs["status"].replace("", "ok")
    runs["env"] = runs["env"].replace("", "table")
    _validate(runs)
    extra = runs[["dataset_frames", "demonstration_frames"]].fillna(0.0)
    runs[["dataset_frames", "demonstration_frames"]] = extra
    runs["data_frames"] = runs["frames"] + extra.sum(axis=1)
    refuse(
        runs,
        runs["data_frames"] <= 0,
        "learned from 0 frames; give a positive budget",
        runs["frames"],
    )
    return runs


def _validate(runs: pd.DataFrame) -> None:
    known = ", ".join(STATUSES)
    for name in ("frames", "fraction"):
        refuse(runs, runs[name].isna(), f"has no {name}; fill it in or remove the row")
    refuse(runs, runs["seed"] == "", "has no seed; number the runs of each cell")
    refuse(
        runs,
        ~runs["status"].isin(STATUSES),
        f"has an unknown status; use one of {known}",
        runs["status"],
    )
    refuse(
        runs,
        (runs["status"] == "ok") & runs["score"].isna(),
        "is ok but has no score; fill it in or set its status to failed",
    )
    for name in ("frames", "dataset_frames", "demonstration_frames"):
        refuse(
            runs, runs[name] < 0, f"has negative {name}; frames are counts", runs[name]
        )
    for name in ("fraction", "control"):
        outside = (runs[name] < 0) | (runs[name] > 1)
        refuse(runs, outside, f"has a {name} outside [0, 1]; give a share", runs[name])
    refuse(
        runs,
        runs["control"].notna() & (runs["fraction"] != 0),
        "is a control but its fraction is not 0; empty one of the two",
        runs["fraction"],
    )


def refuse(
    runs: pd.DataFrame, bad: pd.Series, what: str, values: pd.Series | None = None
) -> None:
    """Raises a ValueError on the first bad row, with its value; none is no error."""
    if not bad.any():
        return
    first = int(np.flatnonzero(bad)[0])
    file, row = str(runs["where"].iloc[first]).rsplit(":", 1)
    value = "" if values is None else f" (got {_shown(values.iloc[first])})"
    others = int(bad.sum()) - 1
    more = f" {others} more rows like it." if others else ""
    raise ValueError(f"{file}, row {row} {what}{value}.{more}")


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)


def design(runs: pd.DataFrame) -> str:
    """Returns `path` or `factorial`, from the grid itself, for one environment.

    On a path every budget has one fraction and every fraction one budget, so a
    slope at fixed fraction is not in the data, whatever the table says it is.
    """
    plain = runs[runs["control"].isna()]
    cells = plain[["data_frames", "fraction"]].drop_duplicates()
    single = not (
        cells["fraction"].duplicated() | cells["data_frames"].duplicated()
    ).any()
    return "path" if len(cells) > 1 and single else "factorial"


def refusals(runs: pd.DataFrame) -> list[Refusal]:
    """Returns what the design of one environment cannot identify, by name."""
    if design(runs) == "factorial":
        return []
    fractions = np.unique(runs.loc[runs["control"].isna(), "fraction"])
    models = [f"slope at fraction {fraction:g}" for fraction in fractions]
    models += ["data multiplier", "equality of slopes"]
    reason = (
        "on a path design the fraction changes with the budget, so one curve is "
        "identified and no effect of a fraction is; run a factorial design"
    )
    return [Refusal(model, reason) for model in models]


def curves(runs: pd.DataFrame) -> list[Curve]:
    """Returns the curves of one environment that its design can identify."""
    if design(runs) == "path":
        parts = {
            "path": runs["control"].isna(),
            "control path": runs["control"].notna(),
        }
        return [
            _curve(runs[mask], label, None, None)
            for label, mask in parts.items()
            if mask.any()
        ]
    found = []
    for control, part in runs.groupby("control", dropna=False):
        for fraction, rows in part.groupby("fraction"):
            found.append(_factorial_curve(rows, float(fraction), float(control)))
    return sorted(found, key=lambda c: (c.control is not None, c.fraction, c.control))


def _factorial_curve(rows: pd.DataFrame, fraction: float, control: float) -> Curve:
    if np.isnan(control):
        return _curve(rows, f"{fraction:g}", fraction, None)
    return _curve(rows, f"control for {control:g}", fraction, control)


def _curve(
    rows: pd.DataFrame, label: str, fraction: float | None, control: float | None
) -> Curve:
    fine = rows[rows["status"] == "ok"]
    return Curve(
        label,
        fraction,
        control,
        fine["data_frames"].to_numpy(float),
        fine["score"].to_numpy(float),
        rows.loc[rows["status"] != "ok", "data_frames"].to_numpy(float),
        int((fine["curve_of"] != "").sum()),
    )
