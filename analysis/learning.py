"""Learning curves: rows with `curve_of`, or the metrics that runs left behind."""

# pandas says of most of its methods that they may return a Series or a DataFrame.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportReturnType=false, reportCallIssue=false

import json
import pathlib
from typing import Any

import pandas as pd

COLUMNS = ["run", "fraction", "frames", "score"]
MOST_RUNS = 400
MOST_POINTS = 200  # of one run


def curves(runs: pd.DataFrame) -> pd.DataFrame:
    """Returns the points of the learning curves of one environment.

    Rows that name a run in `curve_of` are points; for other rows the file
    runs/RUN_ID/metrics.jsonl beside the table is read, where there is one.
    """
    plain = runs[runs["control"].isna()]
    points = plain[(plain["curve_of"] != "") & (plain["status"] == "ok")]
    if len(points):
        found = points.rename(columns={"curve_of": "run", "data_frames": "x"})
        return found.assign(frames=found["x"])[COLUMNS].reset_index(drop=True)
    whole = plain[(plain["run_id"] != "") & (plain["status"] == "ok")]
    rows = [
        point
        for row in whole.head(MOST_RUNS).to_dict("records")
        for point in _metrics(row)
    ]
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def _metrics(row: dict[Any, Any]) -> list[dict[str, Any]]:
    table = pathlib.Path(str(row["where"]).rsplit(":", 1)[0])
    path = table.parent / "runs" / row["run_id"] / "metrics.jsonl"
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines() if line]
    except (OSError, ValueError):
        return []  # not there, or cut off by a crash: no fit depends on it
    points = [
        {
            **{"run": row["run_id"], "fraction": row["fraction"]},
            **{"frames": line["frames"], "score": line["episode_return"]},
        }
        for line in lines
        if line.get("kind") == "train" and line.get("episode_return") is not None
    ]
    return points[:: max(1, len(points) // MOST_POINTS)]
