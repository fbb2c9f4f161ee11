"""Plain .npy and .npz files, opened only after their headers are found to be true.

A header is a claim: it is compared with the size of the file before anything is
allocated, and a type that could hold Python objects (a pickle) is refused.
"""

import contextlib
import gzip
import math
import pathlib
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped

MAGIC = b"\x93NUMPY\x01\x00"
HEADER_STEP = 64  # bytes that a header is filled up to, as the format asks
MOST_RATIO = 1032  # of deflate, bytes out for a byte in (zlib's technical notes)
# What NumPy's parser raises for bytes that are no header.
NO_HEADER = (ValueError, TypeError, SyntaxError, tokenize.TokenError, RecursionError)

# What zipfile raises for bytes that are no archive, or one with a password.
NO_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    UnicodeDecodeError,
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those of NumPy


@runtime_checkable
class Readable(Protocol):
    """A file that is read from its beginning."""

    def read(self, size: int = -1, /) -> bytes:
        """Returns up to `size` bytes."""
        ...


class NpyHeader(NamedTuple):
    """What a .npy file claims to hold."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of the first axis."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize


def header_bytes(shape: tuple[int, ...], dtype: np.dtype) -> bytes:
    """Returns the header of a .npy file, the same under every version of NumPy.

    Source: NumPy's NEP 1, format version 1.0.
    """
    rows = ", ".join(str(int(n)) for n in shape) + ("," if len(shape) == 1 else "")
    text = f"{{'descr': '{dtype.str}', 'fortran_order': False, 'shape': ({rows}), }}"
    room = -(len(MAGIC) + 2 + len(text) + 1) % HEADER_STEP
    length = len(text) + room + 1
    return MAGIC + length.to_bytes(2, "little") + f"{text}{' ' * room}\n".encode()


def read_header(file: Readable, path: pathlib.Path) -> NpyHeader:
    """Returns the header at the start of `file`; the data follow in it.

    Raises:
      ValueError: if it is no .npy file of version 1 (whose header has a bounded
        length), has objects in it, or is in Fortran order.
    """
    try:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"version {version} is not 1.0")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    except NO_HEADER as error:
        reason = " ".join(str(error).split())[:120]
        raise ValueError(
            f"{path} is not a plain .npy file ({reason}); nothing else is read."
        ) from None
    if dtype.hasobject or fortran or dtype.kind not in "buif":
        raise ValueError(
            f"{path} holds {dtype} of shape {shape}, but only numbers in C order and "
            "no pickled objects are read."
        )
    return NpyHeader(shape, dtype)


def memory_map(path: pathlib.Path) -> Shaped[np.ndarray, "..."]:
    """Returns the array of a .npy file, read-only and not loaded.

    Raises:
      ValueError: if the header is not plain or claims another size than the file's.
    """
    with path.open("rb") as file:
        header = read_header(file, path)
        offset = file.tell()
    if not header.shape:
        raise ValueError(f"{path} holds one number instead of rows.")
    claimed = offset + header.shape[0] * header.row_bytes
    if claimed != path.stat().st_size:
        raise ValueError(
            f"{path} has {path.stat().st_size:,} bytes, but its header claims "
            f"{claimed:,}; it is damaged."
        )
    if not header.shape[0] * header.row_bytes:
        return np.empty(header.shape, header.dtype)  # nothing to map
    return np.memmap(path, header.dtype, "r", offset, header.shape)


class GzippedRows:
    """The rows of a gzipped .npy file, first to last, a block at a time.

    Attributes:
      header: shape and type.
      left: rows that have not been read.

    Raises:
      ValueError: from every method, if the file is damaged or holds another number
        of bytes than its header claims.
    """

    def __init__(self, path: pathlib.Path):
        """Reads the header and holds it against the size of the file."""
        self._path = path
        self._file = gzip.open(path, "rb")  # noqa: SIM115  (closed by `close`)
        try:
            with gzip_sentences(path):
                self.header = read_header(self._file, path)
            self._check_size()
        except BaseException:
            self.close()
            raise
        self.left = self.header.shape[0]

    def _check_size(self) -> None:
        if not self.header.shape:
            raise ValueError(f"{self._path} holds one number instead of rows.")
        claimed = self.header.shape[0] * self.header.row_bytes
        possible = MOST_RATIO * self._path.stat().st_size
        if claimed > possible:
            raise ValueError(
                f"{self._path} has {self._path.stat().st_size:,} bytes, which cannot "
                f"unpack to the {claimed:,} that its header claims; it is damaged."
            )

    def read(self, rows: int) -> Shaped[np.ndarray, "N ..."]:
        """Returns the next `rows` rows, which must be there."""
        data = self._exactly(rows * self.header.row_bytes)
        self.left -= rows
        if not self.left:
            self._check_end()
        return np.frombuffer(data, self.header.dtype).reshape(
            rows, *self.header.shape[1:]
        )

    def skip(self, rows: int, block: int = 1024) -> None:
        """Goes past the next `rows` rows."""
        for size in _blocks(rows, block):
            self.read(size)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _exactly(self, count: int) -> bytes:
        with gzip_sentences(self._path):
            data = self._file.read(count)
        if len(data) != count:
            raise ValueError(
                f"{self._path} ends too early, with {self.left:,} rows still to "
                "come; fetch it again."
            )
        return data

    def _check_end(self) -> None:
        """Reads past the last row, where gzip's own checksum is compared."""
        with gzip_sentences(self._path):
            more = self._file.read(1)
        if more:
            raise ValueError(
                f"{self._path} unpacks to more than its header claims; it is damaged."
            )


def arrays_of(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns the arrays of an .npz file by name.

    Raises:
      ValueError: if it is damaged, an array's header is not plain, or it claims
        another size than the file holds.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            return {
                member.filename.removesuffix(".npy"): _member(archive, member, path)
                for member in members
            }
    except NO_ARCHIVE as error:
        raise ValueError(f"{path} is not a whole .npz file ({error}).") from error


def _member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: pathlib.Path
) -> np.ndarray:
    if member.compress_type not in _METHODS:
        raise ValueError(f"{path} is packed in a way that NumPy does not use.")
    if member.file_size > MOST_RATIO * path.stat().st_size:
        raise ValueError(
            f"{path} has {path.stat().st_size:,} bytes, which cannot unpack to the "
            f"{member.file_size:,} that it claims for {member.filename}."
        )
    with archive.open(member) as file:
        header = read_header(file, path)
        claimed = math.prod(header.shape) * header.dtype.itemsize
        if file.tell() + claimed != member.file_size:
            raise ValueError(
                f"{path} claims {claimed:,} bytes for {member.filename} and has "
                f"{member.file_size - file.tell():,}; it is damaged."
            )
        data = file.read(claimed)  # the archive compares its own checksum here
    if len(data) != claimed:
        raise ValueError(f"{path} ends too early in {member.filename}.")
    return np.frombuffer(bytearray(data), header.dtype).reshape(header.shape)


def gzipped_integer(path: pathlib.Path) -> int:
    """Returns the one integer of a gzipped .npy file, which is not negative.

    Raises:
      ValueError: if the file is damaged or holds anything else.
    """
    with gzip_sentences(path), gzip.open(path, "rb") as file:
        header = read_header(file, path)
        data = file.read(header.dtype.itemsize)
    if header.shape or header.dtype.kind not in "iu" or not data:
        raise ValueError(f"{path} does not hold one integer.")
    value = int(np.frombuffer(data, header.dtype)[0])
    if value < 0:
        raise ValueError(f"{path} holds {value}, which cannot be a count.")
    return value


def _blocks(rows: int, block: int) -> Iterator[int]:
    for start in range(0, rows, block):
        yield min(block, rows - start)


@contextlib.contextmanager
def gzip_sentences(path: pathlib.Path) -> Iterator[None]:
    """Turns what zlib and gzip raise for a damaged file into a sentence."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(
            f"{path} is not a whole gzip file ({error}); fetch it again."
        ) from error
