"""Checkpoints on disk: written whole or not at all, checked before they are used.

    ROOT/<call>/manifest.json   what the checkpoint consists of, with sha256 and sizes
    ROOT/<call>/…               files of its own
    ROOT/chunks/…               parts of stores; a checkpoint names those it needs,
                                so what was written before is not written again

A checkpoint is a folder that is renamed into place when all of it is on the disk.
All processes of a run write into one ROOT, on a disk that they share.
"""

import hashlib
import json
import os
import pathlib
import shutil
from typing import Any, NamedTuple

from scaling import peers

SCHEMA = 1
_BLOCK = 1 << 20


class Snapshot(NamedTuple):
    """A whole checkpoint."""

    call: int
    directory: pathlib.Path
    meta: dict[str, Any]


class Store:
    """The checkpoints of one run.

    Args:
      root: their folder.
      keep: how many of the newest are kept.
    """

    def __init__(self, root: pathlib.Path, keep: int):
        self.root, self.chunks, self._keep = root, root / "chunks", keep
        self._described: dict[str, dict[str, Any]] = {}  # chunks: they never change

    def newest(self) -> tuple[Snapshot | None, list[str]]:
        """Returns the newest whole checkpoint, and a sentence for each one skipped."""
        skipped = []
        for directory in sorted(self._committed(), reverse=True):
            try:
                return Snapshot(
                    int(directory.name), directory, self._read(directory)
                ), skipped
            except ValueError as error:
                skipped.append(f"The checkpoint of call {int(directory.name)} {error}")
        return None, skipped

    def begin(self, call: int) -> pathlib.Path:
        """Returns an empty folder for the files of the checkpoint of `call`."""
        group, directory = peers.group(), self._unfinished(call)
        again = [name for name in self._described if name.endswith(f"-{call:012d}.bin")]
        for name in again:  # a run that went on from an older one comes by again
            del self._described[name]
        if group.first:
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
            self.chunks.mkdir(exist_ok=True)
        group.barrier()
        return directory

    def commit(
        self, call: int, files: list[pathlib.Path], meta: dict[str, Any]
    ) -> Snapshot:
        """Makes the checkpoint one that counts; returns it.

        Args:
          call: its number.
          files: all that this process needs to restore it.
          meta: of the checkpoint, plain JSON; that of the first process counts.
        """
        group, directory = peers.group(), self._unfinished(call)
        listed = {}
        for file in files:
            is_own = directory in file.parents
            within = str(file.relative_to(directory if is_own else self.root))
            listed[within] = self._described.get(within) or _last(file)
            if not is_own:
                self._described[within] = listed[within]
        _write(directory / f"files-{group.number}.json", json.dumps(listed))
        group.barrier()
        final = self.root / f"{call:012d}"
        if group.first:
            parts = sorted(directory.glob("files-*.json"))
            everything = {
                k: v for part in parts for k, v in json.loads(part.read_text()).items()
            }
            body = {"schema": SCHEMA, "call": call, "meta": meta, "files": everything}
            text = json.dumps(body, sort_keys=True)
            digest = hashlib.sha256(text.encode()).hexdigest()
            _write(
                directory / "manifest.json",
                json.dumps({"sha256": digest, "body": text}),
            )
            shutil.rmtree(final, ignore_errors=True)
            directory.rename(final)
            sync(self.chunks)
            sync(self.root)
            self._forget(call)
        group.barrier()
        return Snapshot(call, final, meta)

    def clear(self) -> None:
        """Deletes all checkpoints."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _unfinished(self, call: int) -> pathlib.Path:
        return self.root / f".{call:012d}.unfinished"

    def _committed(self) -> list[pathlib.Path]:
        if not self.root.is_dir():
            return []
        return [path for path in self.root.iterdir() if path.name.isdigit()]

    def _read(self, directory: pathlib.Path) -> dict[str, Any]:
        """Returns the meta of a checkpoint after all its files have been checked.

        Raises:
          ValueError: saying what is wrong with it.
        """
        body = _manifest(directory / "manifest.json")
        for name, expected in body["files"].items():
            file = self._locate(directory, name)
            if not file.is_file():
                raise ValueError(f"lacks {name}.")
            if file.stat().st_size != expected["size"] or describe(file) != expected:
                raise ValueError(f"is damaged: {name} is not what was written.")
        chunks = {k: v for k, v in body["files"].items() if k.startswith("chunks/")}
        self._described |= chunks
        return body["meta"]

    def _locate(self, directory: pathlib.Path, name: str) -> pathlib.Path:
        """Returns the file of a manifest's entry, which cannot lead elsewhere."""
        parts = pathlib.PurePosixPath(name).parts
        if not parts or ".." in parts or parts[0] == "/":
            raise ValueError(f"names a file outside of its folder ({name}).")
        return (self.root if parts[0] == "chunks" else directory).joinpath(*parts)

    def _forget(self, call: int) -> None:
        """Deletes all but the newest checkpoints, and chunks that none needs.

        Those beyond `call` are damaged or of another run: they were skipped.
        """
        there = sorted(self._committed(), reverse=True)
        newest = [path for path in there if int(path.name) <= call][: self._keep]
        for old in set(there) - set(newest):
            shutil.rmtree(old, ignore_errors=True)
        for unfinished in self.root.glob(".*.unfinished"):
            shutil.rmtree(unfinished, ignore_errors=True)
        needed = set()
        for kept in newest:
            try:
                needed |= set(_manifest(kept / "manifest.json")["files"])
            except ValueError:  # damaged: it will be skipped, and goes in its turn
                continue
        for chunk in self.chunks.iterdir():
            if (name := f"chunks/{chunk.name}") not in needed:
                chunk.unlink(missing_ok=True)
                self._described.pop(name, None)


def _last(file: pathlib.Path) -> dict[str, Any]:
    """Returns size and sha256 of a file that is on the disk from now on."""
    sync(file)
    return describe(file)


def describe(file: pathlib.Path) -> dict[str, Any]:
    """Returns size and sha256 of a file."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK):
            digest.update(block)
    return {"size": file.stat().st_size, "sha256": digest.hexdigest()}


def write_bytes(file: pathlib.Path, *parts: Any) -> None:
    """Writes buffers one after another, on the disk when it returns."""
    with file.open("wb") as opened:
        for part in parts:
            opened.write(part)
        opened.flush()
        os.fsync(opened.fileno())


def _write(file: pathlib.Path, text: str) -> None:
    write_bytes(file, text.encode())


def sync(path: pathlib.Path) -> None:
    """Makes a file's content, or a folder's entries, last."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _manifest(file: pathlib.Path) -> dict[str, Any]:
    """Returns a manifest's content after its own checksum has been checked."""
    try:
        sealed = json.loads(file.read_text())
        text = sealed["body"]
        if hashlib.sha256(text.encode()).hexdigest() != sealed["sha256"]:
            raise ValueError("has a damaged manifest.")
        body = json.loads(text)
        if body["schema"] != SCHEMA:
            raise ValueError(f"was written by another version ({body['schema']}).")
        return body
    except (
        OSError,
        UnicodeDecodeError,
        KeyError,
        TypeError,
        json.JSONDecodeError,
    ) as error:
        raise ValueError(f"has no readable manifest ({error!r}).") from error
