"""The checksum of TFRecords against its definition and RFC 3720's values."""

import hypothesis
import hypothesis.strategies as st
import pytest
import recorded

from scaling.datasets import crc32c

RFC_3720 = [
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(reversed(range(32))), 0x113FDB5C),
    (b"123456789", 0xE3069283),
    (b"", 0),
]


@pytest.mark.parametrize(("data", "crc"), RFC_3720)
def test_published_values(data, crc):
    assert crc32c.crc32c(data) == crc


@hypothesis.settings(max_examples=40)
@hypothesis.given(st.integers(0, 4 * crc32c.BLOCK), st.binary(min_size=1, max_size=9))
def test_blocks_and_rest_agree_with_the_definition(length, pattern):
    data = (pattern * length)[:length]
    assert crc32c.crc32c(data) == recorded.crc32c(data)
    assert crc32c.masked(memoryview(data)) == recorded.masked(data)


def test_a_bit_anywhere_changes_it():
    data = bytearray(3 * crc32c.BLOCK + 5)
    whole = crc32c.crc32c(bytes(data))
    for place in (0, crc32c.BLOCK, 3 * crc32c.BLOCK, len(data) - 1):
        data[place] ^= 4
        assert crc32c.crc32c(bytes(data)) != whole
        data[place] ^= 4
