"""What was measured, as plain values: the JSON file, and the planner's calibration.

    schema        version of this form
    machine       what decides on speed here; a calibration is of one machine
    load          processes that wanted a core, before and after
    peak          the float32 matrix product
    workloads     name → settings, operations, and the figures of each part

Operations are closed formulas: calls of each network × those of one call.
"""

import datetime
import importlib.metadata
import json
import pathlib
from typing import Any

from launch import benchmark_workloads, planning_networks, roofline
from scaling import config, hardware, results

SCHEMA = 1
PARTS = (
    "search",
    "learner",
    "environment",
    "iteration",
    "evaluation",
    "checkpoint",
    "run",
    "precision",
)
# What must be alike for figures of two days to be of one machine.
_IDENTITY = ("devices", "processor", "cores", "cores_of_machine")


def begin(machine: dict[str, Any], load: float, peak: dict[str, Any]) -> dict[str, Any]:
    """Returns a report without any workload yet."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {
        "schema": SCHEMA,
        "code_version": importlib.metadata.version("scaling-unplugged"),
        "taken": now,
        "machine": machine,
        "load": {"before": load, "after": load},
        "peak": peak,
        "workloads": {},
    }


def of_workload(
    workload: benchmark_workloads.Workload, networks: roofline.Networks
) -> dict[str, Any]:
    """Returns what is known of a workload before anything is measured."""
    settings = workload.settings
    search, update = planning_networks.operations(networks, settings, acts=True)
    return {
        "note": workload.note,
        "settings": config.as_dict(settings),
        "operations": {
            "represent": networks.represent.flops,
            "dynamics": networks.dynamics.flops,
            "predict": networks.predict.flops,
            "searched_state": search,
            "update": update,
        },
        "parameter_bytes": networks.parameters,
    }


def with_rates(
    values: dict[str, Any], operations: dict[str, float], peak: float
) -> dict[str, Any]:
    """Returns a part's figures with operations, their rate and its share of the peak.

    Args:
      values: of a search, of an update or of a call; others are returned as they are.
      operations: of the workload.
      peak: FLOP/s.
    """
    if "call_s" in values:
        searched = values["searched_of_a_call"] * operations["searched_state"]
        updating = values["updates_of_a_call"] * operations["update"]
        rate = (searched + updating) / values["call_s"]
        values = {**values, "flops": searched + updating, "flops_per_s": rate}
    if "flops_per_s" not in values:
        return values
    return {**values, "share_of_peak": values["flops_per_s"] / peak}


def default_file() -> pathlib.Path:
    """Returns where the calibration of this machine is kept, in the user's cache."""
    return hardware.cache_root() / "calibration.json"


def write(path: pathlib.Path, report: dict[str, Any]) -> None:
    """Writes a report as JSON.

    Raises:
      ValueError: if the file cannot be written.
    """
    try:
        results.write_atomically(path, json.dumps(report, indent=1) + "\n")
    except OSError as error:
        raise ValueError(
            f"{path} cannot be written ({error.strerror}); choose another file."
        ) from error


def read(path: pathlib.Path) -> dict[str, Any] | None:
    """Returns a report, or None where there is none.

    Raises:
      ValueError: if the file is damaged, or of another version.
    """
    try:
        report = json.loads(path.read_text())
        schema = report["schema"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is no report of launch/benchmark.py ({error!r}); delete it and "
            "run the benchmark again."
        ) from error
    if schema != SCHEMA:
        raise ValueError(
            f"{path} has schema {schema!r}, and this version reads {SCHEMA}; delete it "
            "and run the benchmark again."
        )
    return report


def merged(old: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    """Returns the new report with what the old one has beside it.

    Parts that were not measured again are kept, if machine and settings are the same.
    """
    if old is None or not same_machine(old["machine"], new["machine"]):
        return new
    kept = dict(old["workloads"])
    for name, values in new["workloads"].items():
        before = kept.get(name, {})
        same = before.get("settings") == values["settings"]
        kept[name] = {**(before if same else {}), **values}
    return {**new, "workloads": kept}


def same_machine(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tells whether two reports are of one machine."""
    return all(one.get(name) == other.get(name) for name in _IDENTITY)
