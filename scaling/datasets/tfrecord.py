"""TFRecord files and the `tf.Example`s in them, without TensorFlow.

A record is its length (8 bytes), the masked CRC-32C of those, the payload, and the
masked CRC-32C of the payload, all little-endian. The payload is a protocol buffer:

  Example   { 1: Features }
  Features  { 1: repeated entry { 1: key, 2: Feature } }
  Feature   { 1: BytesList or 2: FloatList or 3: Int64List }, each { 1: repeated value }

Source: TensorFlow's guide to TFRecord, `tensorflow/core/example/feature.proto`, and
the encoding guide of Protocol Buffers.
"""

import gzip
import pathlib
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from scaling import npy
from scaling.datasets.crc32c import masked

MOST_BYTES = 512 * 2**20  # of a record: 27 000 frames of 84×84 take at most 200 MB
GZIP_MAGIC = b"\x1f\x8b"
VARINT, BITS_64, LENGTH, BITS_32 = 0, 1, 2, 5  # wire types

Values = list[memoryview] | np.ndarray  # of bytes; float32; int64


class Record(NamedTuple):
    """A record and the share of its file that has been read with it."""

    payload: memoryview
    share: float


def records(path: pathlib.Path) -> Iterator[Record]:
    """Yields the records of a file, gzipped or not.

    Raises:
      ValueError: naming the file and the record that is cut off or damaged.
    """
    size = max(1, path.stat().st_size)
    with path.open("rb") as packed:
        zipped = packed.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        packed.seek(0)
        file = gzip.GzipFile(fileobj=packed) if zipped else packed
        most = min(MOST_BYTES, size * (npy.MOST_RATIO if zipped else 1))
        number = 0
        while True:
            with npy.gzip_sentences(path):
                payload = _next(file, f"{path.name}, episode {number},", most)
            if payload is None:
                return
            yield Record(payload, packed.tell() / size)
            number += 1


def _next(file: npy.Readable, named: str, most: int) -> memoryview | None:
    """Returns the next payload, None at the end of the file."""
    head = file.read(12)
    if not head:
        return None
    if len(head) < 12:
        raise ValueError(f"{named} is cut off; fetch the file again.")
    length, crc = struct.unpack("<QI", head)
    if masked(head[:8]) != crc:
        raise ValueError(
            f"{named} has a length with a wrong checksum, or the file is no TFRecord; "
            "fetch it again."
        )
    if length > most:
        raise ValueError(
            f"{named} claims {length:,} bytes, but it cannot have more than {most:,}: "
            "it is cut off or damaged; fetch the file again."
        )
    payload = file.read(length)
    tail = file.read(4)
    if len(payload) < length or len(tail) < 4:
        raise ValueError(f"{named} is cut off; fetch the file again.")
    if masked(payload) != struct.unpack("<I", tail)[0]:
        raise ValueError(f"{named} has a wrong checksum; fetch the file again.")
    return memoryview(payload)


def features(payload: memoryview) -> dict[str, Values]:
    """Returns the features of a serialised `tf.Example`, by name.

    Raises:
      ValueError: if the payload is not one.
    """
    found: dict[str, Values] = {}
    for number, example in _messages(payload):
        if number != 1:
            continue
        for _, entry in _messages(example):
            fields = dict(_messages(entry))
            name = bytes(fields.get(1, b"")).decode()
            found[name] = _values(fields.get(2, memoryview(b"")))
    return found


def _values(feature: memoryview) -> Values:
    """Returns the values of a Feature; no values where it has no list."""
    empty: Values = []
    for kind, content in _messages(feature):
        if kind == 1:
            return [value for _, value in _messages(content)]
        if kind == 2:
            packed = b"".join(bytes(v) for _, v in _scalars(content, BITS_32))
            return np.frombuffer(packed, "<f4").copy()
        if kind == 3:
            parts = [_varints(v) for _, v in _scalars(content, VARINT)]
            return np.concatenate([*parts, np.zeros(0, np.int64)])
    return empty


def _messages(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yields number and content of each length-delimited field."""
    for number, wire, content in _fields(data):
        if wire != LENGTH:
            raise ValueError(f"field {number} has the wire type {wire}")
        yield number, content


def _scalars(data: memoryview, unpacked: int) -> Iterator[tuple[int, memoryview]]:
    """Yields the bytes of repeated numbers, packed together or one by one."""
    for number, wire, content in _fields(data):
        if wire not in (LENGTH, unpacked):
            raise ValueError(f"field {number} has the wire type {wire}")
        yield number, content


def _fields(data: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Yields number, wire type and bytes of each field of a message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        start = at
        if wire == LENGTH:
            length, start = _varint(data, at)
            at = start + length
        elif wire == VARINT:
            _, at = _varint(data, at)
        elif wire in (BITS_32, BITS_64):
            at += 4 if wire == BITS_32 else 8
        else:
            raise ValueError(f"the wire type {wire}")
        if at > len(data):
            raise ValueError("a field is longer than what holds it")
        yield key >> 3, wire, data[start:at]


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Returns a number of 7 bits a byte, lowest first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("a number is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("a number has more than 10 bytes")


def _varints(data: memoryview) -> np.ndarray:
    """Returns int64 numbers written one after another."""
    raw = np.frombuffer(data, np.uint8)
    if (raw < 128).all():  # a byte each, as actions are
        return raw.astype(np.int64)
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value & (2**64 - 1))
    return np.array(values, np.uint64).astype(np.int64)
