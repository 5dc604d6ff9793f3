"""A Bloom filter over tokens: certainly not on the roster, or ask Redis.

Tokens are keyed hashes already, so a token's own bits give the positions by double hashing
(Kirsch and Mitzenmacher 2006, doi:10.1007/11841036_42) instead of pybloom-live's hash
functions; sizing, storage and file format stay pybloom-live's. Bits 0 to 31 of a token
choose partition and bucket and are not used here.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Self

import numpy as np
from bitarray import bitarray
from pybloom_live import BloomFilter

from roster.keys import FIELD, FIELD_BYTES, PARTITION, TOKEN_BITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Octets = NDArray[np.uint8]

ERROR_RATE = 1e-4
HEADROOM = 1.25
SMALLEST_CAPACITY = 2_000

_BEGIN, _STEP = slice(FIELD.start, 10), slice(10, FIELD.stop)
"""The parts of a token that say where it begins in the filter, and how it steps."""
_FEW = 32
"""So many are asked sooner one by one."""


def capacity_for(people: int) -> int:
    """How many tokens a filter is made for, so that it grows for months before a rebuild."""
    return max(SMALLEST_CAPACITY, int(people * HEADROOM))


def halves(fields: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where tokens begin in their filters and how they step, as uint64; of uint8, shape (n, 12)."""
    wide = np.zeros((len(fields), 16), np.uint8)
    wide[:, 2:8] = fields[:, :6]
    wide[:, 10:16] = fields[:, 6:]
    both = wide.view(">u8").astype(np.uint64)
    return both[:, 0], both[:, 1]


class TokenFilter(BloomFilter):  # type: ignore[misc] # pybloom-live has no types
    """A Bloom filter that is asked with 16-byte tokens."""

    count: int
    capacity: int
    num_slices: int
    bits_per_slice: int
    bitarray: bitarray

    def __init__(self, capacity: int = SMALLEST_CAPACITY, error_rate: float = ERROR_RATE) -> None:
        """An empty filter for `capacity` tokens."""
        super().__init__(capacity, error_rate)

    def _setup(self, *geometry: float) -> None:
        """Keep the geometry; pybloom-live's hash functions are not made, ours need none."""
        error_rate, num_slices, bits_per_slice, capacity, count = geometry
        self.error_rate = error_rate
        self.num_slices = int(num_slices)
        self.bits_per_slice = int(bits_per_slice)
        self.capacity = int(capacity)
        self.num_bits = self.num_slices * self.bits_per_slice
        self.count = int(count)

    def __contains__(self, token: bytes) -> bool:
        """False: the token was never added. True: it may have been."""
        size = self.bits_per_slice
        bits = self.bitarray
        first = int.from_bytes(token[_BEGIN])
        if not bits[first % size]:  # half of all who are not there end here
            return False
        step = int.from_bytes(token[_STEP])
        for offset in range(size, self.num_bits, size):
            first += step
            if not bits[offset + first % size]:
                return False
        return True

    def add(self, token: bytes, skip_check: bool = False) -> bool:  # noqa: ARG002, FBT001, FBT002 -- the base's signature
        """Add one token; True where every bit was set before. Never refuses: see `overfull`."""
        size = self.bits_per_slice
        bits = self.bitarray
        first = int.from_bytes(token[_BEGIN])
        step = int.from_bytes(token[_STEP])
        known = True
        for offset in range(0, self.num_bits, size):
            position = offset + first % size
            known = known and bool(bits[position])
            bits[position] = 1
            first += step
        self.count += not known
        return known

    @property
    def overfull(self) -> bool:
        """Whether it holds more than it was made for, so that false hits grow."""
        return self.count > self.capacity

    @property
    def size_bytes(self) -> int:
        """The bits' size in memory."""
        return len(self.bitarray) // 8

    def positions(self, fields: np.ndarray) -> np.ndarray:
        """The bits of many tokens, shape (n, slices); `fields` is uint8 of shape (n, 12)."""
        size = np.uint64(self.bits_per_slice)
        first, step = (half[:, None] % size for half in halves(fields))
        order = np.arange(self.num_slices, dtype=np.uint64)
        places: np.ndarray = (first + order * step) % size + order * size
        return places

    def add_fields(self, fields: bytes) -> None:
        """Add many distinct tokens, given as their joined 12-byte fields."""
        table = np.frombuffer(fields, np.uint8).reshape(-1, FIELD_BYTES)
        raw = np.zeros(self.num_bits, np.uint8)
        raw[self.positions(table).ravel()] = 1
        added = bitarray(endian="little")
        added.frombytes(np.packbits(raw, bitorder="little").tobytes())
        del added[self.num_bits :]
        del self.bitarray[self.num_bits :]
        self.bitarray |= added
        self.count += len(table)

    def join_fields(self, fields: bytes) -> None:
        """Add some tokens to many, given as their joined 12-byte fields; each new one counts once.

        It costs 0.3 us a token, however large the filter is.
        """
        table = (
            np.unique(np.frombuffer(fields, f"V{FIELD_BYTES}"))
            .view(np.uint8)
            .reshape(-1, FIELD_BYTES)
        )
        places = self.positions(table)
        octets = np.frombuffer(memoryview(self.bitarray), np.uint8)
        at = places >> np.uint64(3)
        bits = np.left_shift(np.uint8(1), (places & np.uint64(7)).astype(np.uint8))
        self.count += int((octets[at] & bits == 0).any(axis=1).sum())
        np.bitwise_or.at(octets, at.ravel(), bits.ravel())

    def to_bytes(self) -> bytes:
        """Geometry and bits in pybloom-live's file format."""
        out = io.BytesIO()
        self.tofile(out)
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The filter of `to_bytes`; ValueError where the bits do not fit the geometry."""
        token_filter: Self = cls.fromfile(io.BytesIO(data))
        del token_filter.bitarray[token_filter.num_bits :]
        return token_filter


def in_filters(table: Octets, filters: Sequence[TokenFilter]) -> list[bool]:
    """Whether each token may have been added to its partition's filter; shape (n, 16)."""
    found, octets = [False] * len(table), table.tobytes()
    for row in _sifted(table, filters) if len(table) > _FEW else range(len(table)):
        token = octets[row * len(TOKEN_BITS) : (row + 1) * len(TOKEN_BITS)]
        found[row] = token in filters[token[PARTITION]]
    return found


def _sifted(table: Octets, filters: Sequence[TokenFilter]) -> list[int]:
    """The few rows that are left of many by their first bits: each ends half of the others."""
    bits_of = [each.bitarray for each in filters]
    partitions = table[:, PARTITION]
    size = np.array([each.bits_per_slice for each in filters], np.uint64)[partitions]
    place, step = halves(table[:, FIELD])
    rows, offset = np.arange(len(table)), np.zeros(len(table), np.uint64)
    for _ in range(filters[0].num_slices):
        if len(rows) <= _FEW:
            break
        pairs = zip(partitions[rows].tolist(), (place % size + offset).tolist(), strict=True)
        hit = np.array([bits_of[partition][at] for partition, at in pairs], np.bool_)
        rows, size, step = rows[hit], size[hit], step[hit]
        place, offset = place[hit] + step, offset[hit] + size
    return rows.tolist()
