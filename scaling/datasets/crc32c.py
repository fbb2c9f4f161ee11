"""CRC-32C (Castagnoli), as TFRecord files have it, without a compiled package.

A checksum byte by byte takes Python about 0.1 s a megabyte. It is linear over GF(2),
so a message is cut into blocks whose registers NumPy advances side by side and which
are then joined: the register after block B is shift(register before) XOR that of B.

Source: RFC 3720, appendix B.4 (polynomial and test values); the masking is that of
TensorFlow's `tensorflow/core/lib/hash/crc32c.h`.
"""

import functools

import numpy as np
from jaxtyping import UInt32

POLYNOMIAL = 0x82F63B78  # reflected
BLOCK = 1024  # bytes of a block
MASK_DELTA = 0xA282EAD8
_ALL = 0xFFFFFFFF


def crc32c(data: bytes | memoryview) -> int:
    """Returns the CRC-32C of `data`."""
    blocks, rest = divmod(len(data), BLOCK)
    register = _ALL
    if blocks:
        columns = np.frombuffer(data, np.uint8, blocks * BLOCK).reshape(blocks, BLOCK)
        for block in _registers(np.ascontiguousarray(columns.T)).tolist():
            register = _shift(register) ^ block
    for byte in bytes(data[len(data) - rest :]):
        register = _TABLE[(register ^ byte) & 255] ^ (register >> 8)
    return register ^ _ALL


def masked(data: bytes | memoryview) -> int:
    """Returns the checksum as TFRecord stores it, rotated and with a constant."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + MASK_DELTA) & _ALL


def _registers(columns: np.ndarray) -> UInt32[np.ndarray, " N"]:
    """Returns the registers after N blocks [bytes, N], each begun at zero."""
    table = np.array(_TABLE, np.uint32)
    register = np.zeros(columns.shape[1], np.uint32)
    for byte in columns:
        register = table[(register ^ byte) & 255] ^ (register >> 8)
    return register


def _shift(register: int) -> int:
    """Returns the register after a block of zero bytes."""
    low, second, third, high = _shift_tables()
    return (
        low[register & 255]
        ^ second[register >> 8 & 255]
        ^ third[register >> 16 & 255]
        ^ high[register >> 24]
    )


@functools.cache
def _shift_tables() -> tuple[list[int], ...]:
    """Returns what a block of zeros makes of each value of each byte of a register."""
    table = np.array(_TABLE, np.uint32)
    values = np.arange(256, dtype=np.uint32)
    register = np.concatenate([values << (8 * byte) for byte in range(4)])
    for _ in range(BLOCK):
        register = table[register & 255] ^ (register >> 8)
    return tuple(part.tolist() for part in register.reshape(4, 256))


def _table_entry(byte: int) -> int:
    register = byte
    for _ in range(8):
        register = (register >> 1) ^ (POLYNOMIAL if register & 1 else 0)
    return register


_TABLE = [_table_entry(byte) for byte in range(256)]
