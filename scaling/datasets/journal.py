"""What a writer that was interrupted has done: a line for the header and each chunk.

A line is whole or it does not count: the one being written when the process ended is
dropped, and with it the files of its chunk.
"""

import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from scaling import results
from scaling.datasets import manifest, manifest_file

NAME = "journal.jsonl"
FILE_COLUMN = manifest.Index._fields.index("file")

Row = list[Any]  # an episode's columns of the index, its largest reward behind them


def begin(part: pathlib.Path, header: manifest.Header) -> None:
    """Writes the first line."""
    line = {"header": manifest_file.header_to_json(header)}
    results.write_atomically(part / NAME, json.dumps(line) + "\n")


def add(part: pathlib.Path, chunk: manifest.Chunk, rows: Sequence[Row]) -> None:
    """Writes the line of a chunk whose files are on the disk."""
    line = {"files": {f: file._asdict() for f, file in chunk.items()}, "rows": rows}
    with (part / NAME).open("a") as file:
        file.write(json.dumps(line, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def recover(
    part: pathlib.Path, header: manifest.Header
) -> tuple[manifest.Header, list[manifest.Chunk], list[Row]]:
    """Returns header, chunks and rows of an interrupted writer, or of a new one.

    Raises:
      ValueError: if `header` is not what was begun, or a chunk is damaged.
    """
    path = part / NAME
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    whole = [json.loads(line) for line in lines if line.endswith(b"\n")]
    if not whole:
        begin(part, header)
        return header, [], []
    if len(whole) < len(lines):
        results.write_atomically(path, b"".join(lines[: len(whole)]).decode())
    chunks: list[manifest.Chunk] = [
        {f: manifest.ChunkFile(**file) for f, file in line["files"].items()}
        for line in whole[1:]
    ]
    rows = [row for line in whole[1:] for row in line["rows"]]
    consumed = max((row[FILE_COLUMN] for row in rows), default=-1) + 1
    _check_header(part, whole[0]["header"], header, consumed)
    _check_sizes(part, chunks)
    _remove_others(part, len(chunks))
    command = whole[0]["header"]["provenance"].get("command")
    return header.with_command(command), chunks, rows


def _check_header(
    part: pathlib.Path, begun: dict[str, Any], header: manifest.Header, consumed: int
) -> None:
    """Refuses to go on with another source or other flags; commands may be worded new.

    Args:
      part: where the store grows.
      begun: header that the store was begun with, as JSON.
      header: the one it is to go on with.
      consumed: source files that its episodes came from. The sizes of later ones may
        differ: a damaged file is fetched again.
    """
    command = begun["provenance"].get("command")
    now = manifest_file.header_to_json(header.with_command(command))
    for each in (begun, now := json.loads(json.dumps(now))):
        for source in each["sources"][consumed:]:
            del source["bytes"]
    differing = [key for key in now if now[key] != begun.get(key)]
    if differing:
        raise ValueError(
            f"{part} was begun from another source or with other flags "
            f"({', '.join(differing)}); delete it, or name another --out."
        )


def _check_sizes(part: pathlib.Path, chunks: Sequence[manifest.Chunk]) -> None:
    for number, chunk in enumerate(chunks):
        for field, file in chunk.items():
            path = part / manifest.chunk_name(number, field)
            if not path.exists() or path.stat().st_size != file.bytes:
                raise ValueError(
                    f"{path} of the interrupted import is damaged; delete {part}."
                )


def _remove_others(part: pathlib.Path, chunks: int) -> None:
    """Deletes what was half-written, so that the finished store holds nothing else."""
    known = {
        manifest.chunk_name(number, field)
        for number in range(chunks)
        for field in manifest.FIELDS
    }
    for path in part.glob("*.npy"):
        if path.name not in known:
            path.unlink()
    for path in part.glob(f".{manifest_file.NAME}.*"):
        path.unlink()
