"""TensorBoard: one event file a run, RUN/tensorboard/events.out.tfevents.<time>.<run>.

tensorboardX gives the messages and their checksum. Its writers are not used: each has
a thread, and says step and time again for every number.

A file is a function of the run's lines and of the time of its start, which it begins
with. So a run that goes on cuts its file where the journal was cut: what stays is there
byte by byte, what follows takes as many bytes as before, and a TensorBoard that looks
on never loses its place.
"""

import io
import pathlib
import struct
import time
from collections.abc import Sequence
from typing import Any

from scaling.tracking import packages
from scaling.tracking.points import Point

_PREFIX = "events.out.tfevents."
_VERSION = "brain.Event:2"  # of the format; the first record must say it
_LENGTH, _SUM = struct.Struct("<Q"), struct.Struct("<I")


class TensorBoard:
    """Keeps the points of a run as an event file.

    Args:
      directory: of the run.
    """

    def __init__(self, directory: pathlib.Path):
        self._folder, self._name = directory / "tensorboard", directory.name
        self._file: io.FileIO | None = None
        self._started = 0.0  # when the run was, in seconds since 1970

    def begin(self, points: Sequence[Point], seconds: float) -> None:
        """Writes a file of these points alone."""
        self._folder.mkdir(parents=True, exist_ok=True)
        there = sorted(self._folder.glob(f"{_PREFIX}*"))
        started = _started(there[0].read_bytes()) if there else None
        self._started = time.time() - seconds if started is None else started
        name = f"{_PREFIX}{int(self._started):010d}.{self._name}"
        path = there[0] if there else self._folder / name
        content = _head(self._started) + b"".join(map(self._record, points))
        self._file = path.open("ab", buffering=0)
        if path.read_bytes()[: len(content)] == content:
            self._file.truncate(len(content))
        else:  # torn, or never written
            self._file.truncate(0)
            self._file.write(content)

    def add(self, point: Point) -> None:
        """Appends a point; whoever looks sees it at once."""
        assert self._file is not None, "begin comes first"
        self._file.write(self._record(point))

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()

    def _record(self, point: Point) -> bytes:
        # As if the run had never been away.
        event = _messages().Event(
            wall_time=self._started + point.seconds, step=point.step
        )
        for tag, value in point.scalars.items():
            event.summary.value.add(tag=tag, simple_value=value)
        return _framed(event.SerializeToString())


def _head(started: float) -> bytes:
    """Returns the record that begins a file."""
    event = _messages().Event(wall_time=started, file_version=_VERSION)
    return _framed(event.SerializeToString())


def _started(content: bytes) -> float | None:
    """Returns the time in the record that begins a file; None if it is damaged."""
    if len(content) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack_from(content)
    data = content[_LENGTH.size + _SUM.size :][:length]
    if content[: len(_framed(data))] != _framed(data):
        return None
    return _messages().Event.FromString(data).wall_time


def _framed(data: bytes) -> bytes:
    """Returns a record as event files have it: length, checksum, data, checksum.

    Source: TensorFlow, `tensorflow/core/lib/io/record_writer.h`.
    """
    checksum = packages.load("tensorboard", ".record_writer").masked_crc32c
    length = _LENGTH.pack(len(data))
    return length + _SUM.pack(checksum(length)) + data + _SUM.pack(checksum(data))


def _messages() -> Any:
    return packages.load("tensorboard", ".proto.event_pb2")
