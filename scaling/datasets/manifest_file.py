"""manifest.json, written the same for the same store and read with suspicion.

Nothing in a manifest is believed before it is checked: names of chunk files follow
from their numbers and are never taken from it, rows follow from lengths and must
agree, and types are those of numbers.
"""

import dataclasses
import json
import math
import pathlib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from scaling import npy
from scaling.datasets.manifest import (
    FIELDS,
    INDEX_DTYPES,
    Chunk,
    ChunkFile,
    Header,
    Index,
    Manifest,
    Recording,
    SourceFile,
    chunk_name,
    rows_of_chunks,
    statistics,
)

NAME = "manifest.json"
FORMAT = "scaling-unplugged episodes"
VERSION = 1
MOST_BYTES = 2**30  # of a manifest; 100 000 episodes take 10 MB
MOST_STEPS = 2**40  # of an episode, so that sums do not overflow


def to_json(manifest: Manifest) -> str:
    """Returns the text of manifest.json: the same for the same store."""
    header, index = manifest.header, manifest.index
    content = {
        "format": FORMAT,
        "version": VERSION,
        **header_to_json(header),
        "statistics": statistics(index, header.protocol.frame_skip)._asdict(),
        "chunks": [
            {chunk_name(number, field): file._asdict() for field, file in chunk.items()}
            for number, chunk in enumerate(manifest.chunks)
        ],
        "episodes": {name: column.tolist() for name, column in index._asdict().items()},
    }
    lines = (
        f" {json.dumps(key)}: {json.dumps(value, allow_nan=False)}"
        for key, value in content.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def header_to_json(header: Header) -> dict[str, Any]:
    """Returns the header as JSON has it."""
    return {
        "observation": {
            "shape": list(header.observation_shape),
            "dtype": header.observation_dtype,
        },
        "protocol": dataclasses.asdict(header.protocol),
        "action_map": {str(key): value for key, value in header.action_map.items()},
        "provenance": header.provenance,
        "sources": [source._asdict() for source in header.sources],
        "chunk_bytes": header.chunk_bytes,
    }


def read(path: pathlib.Path) -> Manifest:
    """Returns the manifest in `path`, every part of it checked.

    Raises:
      ValueError: naming the file and what is wrong in it.
    """
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(
            f"{path} has {path.stat().st_size:,} bytes, more than any manifest; "
            "import the data set again."
        )
    try:
        content = json.loads(path.read_bytes())
        return _manifest(content)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(
            f"{path} is damaged ({' '.join(str(error).split())[:200]}); import the "
            "data set again."
        ) from error


def _manifest(content: dict[str, Any]) -> Manifest:
    if content["format"] != FORMAT or content["version"] != VERSION:
        raise ValueError(
            f"format {content['format']!r}, version {content['version']!r} instead of "
            f"{FORMAT!r}, {VERSION}"
        )
    header = header_from_json(content)
    chunks = [_chunk(number, files) for number, files in enumerate(content["chunks"])]
    index = index_from_json(content["episodes"])
    _check_index(header, chunks, index)
    return Manifest(header, chunks, index)


def header_from_json(content: Mapping[str, Any]) -> Header:
    """Returns the header that `header_to_json` gave.

    Raises:
      ValueError, KeyError, TypeError: if it is not one.
    """
    observation, protocol = content["observation"], content["protocol"]
    expect(isinstance(content["provenance"], dict), "provenance")
    expect(set(protocol) == {f.name for f in dataclasses.fields(Recording)}, "protocol")
    for name, kind in typing.get_type_hints(Recording).items():
        expect(_is_a(protocol[name], kind), f"protocol.{name} {protocol[name]!r}")
    header = Header(
        observation_shape=tuple(_count(n) for n in observation["shape"]),
        observation_dtype=checked_dtype(observation["dtype"]),
        protocol=Recording(**protocol),
        action_map={int(k): _count(v) for k, v in content["action_map"].items()},
        provenance=content["provenance"],
        sources=tuple(
            SourceFile(str(s["name"]), _count(s["bytes"])) for s in content["sources"]
        ),
        chunk_bytes=_count(content["chunk_bytes"]),
    )
    expect(header.protocol.num_actions > 0, "protocol.num_actions")
    expect(header.protocol.frame_skip > 0, "protocol.frame_skip")
    return header


def checked_dtype(name: str) -> str:
    """Returns `name` if it is a number's type; anything else could hold objects.

    Raises:
      ValueError: if it is not a little-endian number or Boolean.
    """
    dtype = np.dtype(str(name))
    expect(dtype.kind in "buif" and dtype.str[0] in "<|", f"the type {name!r}")
    return dtype.str


def index_from_json(content: Mapping[str, Any]) -> Index:
    """Returns the index in `content`, by the names of its columns.

    Raises:
      ValueError, KeyError, TypeError: if it is not one.
    """
    columns = []
    for name, dtype in zip(Index._fields, INDEX_DTYPES, strict=True):
        column = np.array(content[name])
        kind = np.dtype(dtype).kind
        expect(column.ndim == 1 and column.dtype.kind == kind, f"the column {name}")
        columns.append(column.astype(dtype))
    expect(len({len(column) for column in columns}) == 1, "columns of one length")
    return Index(*columns)


def _check_index(header: Header, chunks: Sequence[Chunk], index: Index) -> None:
    """Refuses an index whose rows do not fill the chunks one after the other."""
    expect(len(index.length) > 0, "no episodes")
    fits = (index.length > 0) & (index.length < MOST_STEPS)
    expect(bool(fits.all()), "the length of an episode")
    expect(bool(np.isfinite(index.returns).all()), "a return that is not finite")
    follows = np.diff(index.chunk, prepend=0)
    expect(bool(((follows == 0) | (follows == 1)).all()), "the order of chunks")
    expect(int(index.chunk[-1]) == len(chunks) - 1, "the number of chunks")
    observed = index.length + index.last_observation
    _check_rows(index.chunk, index.length, index.step_row)
    _check_rows(index.chunk, observed, index.observation_row)
    for field, rows in rows_of_chunks(index).items():
        for chunk, count in zip(chunks, rows, strict=True):
            exact = _file_bytes(header, field, count)
            expect(chunk[field].bytes == exact, f"the sizes of {field}")


def _file_bytes(header: Header, field: str, rows: int) -> int:
    """Returns the size of a chunk's file with so many rows."""
    shape, dtype = (rows, *header.row_shape(field)), header.dtype(field)
    return len(npy.header_bytes(shape, dtype)) + math.prod(shape) * dtype.itemsize


def _check_rows(chunk: np.ndarray, rows: np.ndarray, given: np.ndarray) -> None:
    """Refuses first rows that do not follow from the rows of the episodes before."""
    before = np.cumsum(rows) - rows
    first = before[np.searchsorted(chunk, chunk)]  # of the episode's chunk
    expect(bool((given == before - first).all()), "the rows of episodes")


def _chunk(number: int, files: Mapping[str, Any]) -> Chunk:
    """Returns a chunk's files; refuses names other than the ones that it must have."""
    names = {field: chunk_name(number, field) for field in FIELDS}
    expect(set(files) == set(names.values()), f"the files {sorted(files)}")
    return {
        field: ChunkFile(_count(files[name]["bytes"]), str(files[name]["sha256"]))
        for field, name in names.items()
    }


def _count(value: Any) -> int:
    expect(isinstance(value, int) and not isinstance(value, bool), f"{value!r}")
    expect(value >= 0, f"{value!r}")
    return value


def _is_a(value: Any, kind: Any) -> bool:
    """Returns whether a JSON value is of a type as `Recording` is annotated."""
    if typing.get_origin(kind) is Literal:
        return value in typing.get_args(kind)
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return any(_is_a(value, each) for each in typing.get_args(kind))
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def expect(condition: bool, what: str) -> None:
    """Raises a ValueError that names what is wrong, for a sentence around it."""
    if not condition:
        raise ValueError(f"wrong: {what}")
