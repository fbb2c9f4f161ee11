"""What a finished run leaves that no interruption may change, and how it differs."""

import json
import pathlib
import re
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from scaling import results, snapshots

EXCLUDED = {
    "wall_clock_s": "a clock's",
    "attempts": "how often the run was started, which is what was done to it",
    "resumes": "how often it went on from a checkpoint, likewise",
}
"""Columns of the row that are not compared, and why. (`seconds` of a line of the
metrics and the checkpoint's position in that file are a clock's too.)"""
_CLOCKED = {"journal_bytes", "journal_seconds", "tables"}  # tables: of calls of saving
KEPT = 2  # checkpoints that stay, the default of --keep-checkpoints


def differences(
    ours: dict[str, bytes], theirs: dict[str, bytes], most: int = 5
) -> list[str]:
    """Returns a sentence for each thing that differs between two runs.

    Args:
      ours: contents of a run, by name.
      theirs: what they should be.
      most: sentences of each kind (row, metrics, …) that are worth reading.
    """
    found: dict[str, list[str]] = {}
    for name in [*theirs, *sorted(ours.keys() - theirs.keys())]:
        if sentence := _difference(name, ours.get(name), theirs.get(name)):
            found.setdefault(re.split(r"\W", name)[0], []).append(sentence)
    return [each for kind in found.values() for each in kind[:most]]


def _difference(name: str, ours: bytes | None, theirs: bytes | None) -> str | None:
    if ours == theirs:
        return None
    if ours is None or theirs is None:
        return f"{name} is {'missing' if ours is None else 'not in the unbroken run'}"
    if max(len(ours), len(theirs)) <= 80:
        return f"{name} is {ours!r} instead of {theirs!r}"
    at = [i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b]
    first = at[0] if at else min(len(ours), len(theirs))
    return (
        f"{name} differs from byte {first} of {len(theirs)} on, in {len(at)} of them, "
        f"and has {len(ours)}"
    )


def contents(run_directory: pathlib.Path) -> dict[str, bytes]:
    """Returns all of a finished run that must not depend on interruptions, by name."""
    row = results.read_row(run_directory) or {}
    found = {
        f"result.json, {column}": json.dumps(value).encode()
        for column, value in row.items()
        if column not in EXCLUDED
    }
    lines = (run_directory / "metrics.jsonl").read_text().splitlines()
    for number, line in enumerate(map(json.loads, lines), 1):
        line.pop("seconds", None)
        found[f"metrics.jsonl, line {number}"] = json.dumps(line).encode()
    found |= _of_arrays("params", _saved_by_orbax(run_directory / "params"))
    return found | _of_checkpoint(run_directory / "checkpoints")


def _of_checkpoint(root: pathlib.Path) -> dict[str, bytes]:
    """Returns the newest checkpoint's parts; chunks without the call in their names."""
    newest, skipped = snapshots.Store(root, KEPT).newest()
    found = {f"skipped: {sentence}": b"" for sentence in skipped}
    if newest is None:
        return found
    meta = {k: v for k, v in newest.meta.items() if k not in _CLOCKED}
    found["checkpoint, meta"] = json.dumps([newest.call, meta]).encode()
    manifest = json.loads((newest.directory / "manifest.json").read_text())
    for name in json.loads(manifest["body"])["files"]:
        file = (root if name.startswith("chunks/") else newest.directory) / name
        if name.startswith("chunks/"):
            found[f"checkpoint, {name.rpartition('-')[0]}"] = file.read_bytes()
        elif name.endswith(".npz"):
            with np.load(file, allow_pickle=False) as arrays:
                found |= _of_arrays(f"checkpoint, {name}", dict(arrays))
        elif not name.startswith("whole/"):
            found[f"checkpoint, {name}"] = file.read_bytes()
    whole = _saved_by_orbax(newest.directory / "whole")
    return found | _of_arrays("checkpoint, whole", whole)


def _of_arrays(name: str, tree: Any) -> dict[str, bytes]:
    """Returns each array's type, shape and numbers."""
    return {
        f"{name}{jax.tree_util.keystr(path)}": (
            f"{array.dtype} {array.shape} ".encode() + array.tobytes()
        )
        for path, array in jax.tree_util.tree_leaves_with_path(tree)
    }


def _saved_by_orbax(directory: pathlib.Path) -> Any:
    """Returns a saved tree as NumPy arrays, whatever device it was saved from."""
    shapes: Any = ocp.metadata(str(directory.resolve())).metadata
    like = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
    return ocp.load(str(directory.resolve()), like)
