"""A reader of event files that shares nothing with what writes them but messages."""

import pathlib
import struct
from typing import Any, NamedTuple

from tensorboardX.proto import event_pb2


class Event(NamedTuple):
    step: int
    wall_time: float
    scalars: dict[str, float]


def crc32c(data: bytes) -> int:
    """The Castagnoli checksum, bit by bit (RFC 3720, B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF


def messages(path: pathlib.Path) -> list[Any]:
    """All messages of a file; a checksum that is wrong is an error."""
    content, found = path.read_bytes(), []
    while content:
        length, length_sum = struct.unpack("<QI", content[:12])
        data, end = content[12 : 12 + length], 12 + length
        (data_sum,) = struct.unpack("<I", content[end : end + 4])
        assert length_sum == masked(content[:8])
        assert data_sum == masked(data)
        event_class: Any = event_pb2.Event  # type: ignore[attr-defined]
        found.append(event_class.FromString(data))
        content = content[end + 4 :]
    return found


def events(folder: pathlib.Path) -> list[Event]:
    """The points of the one event file of a folder."""
    (path,) = folder.iterdir()
    version, *rest = messages(path)
    assert version.file_version == "brain.Event:2"
    return [
        Event(
            each.step,
            each.wall_time,
            {value.tag: value.simple_value for value in each.summary.value},
        )
        for each in rest
    ]
