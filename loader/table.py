"""Packed rows as a table: what every row has in as many bytes, and the rest of each behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from loader.packing import HEAD_BYTES
from roster.record import REGISTER_BYTES

Octets = NDArray[np.uint8]
Numbers = NDArray[np.int64]
Bools = NDArray[np.bool_]

FIXED_BYTES = HEAD_BYTES + REGISTER_BYTES
"""A row's place, header and first register: no row has less."""


class Table(msgspec.Struct, frozen=True):
    """Some rows: `fixed` in shape (n, `FIXED_BYTES`), `rests` one after the other by `sizes`."""

    fixed: Octets
    sizes: Numbers
    rests: bytes


def fixed_of(parts: Iterable[bytes]) -> Octets:
    """The fixed parts of rows as a table."""
    return np.frombuffer(bytearray().join(parts), np.uint8).reshape(-1, FIXED_BYTES)


def sizes_of(parts: Sequence[bytes] | Sequence[str]) -> Numbers:
    """How long each is."""
    return np.fromiter(map(len, parts), np.int64, len(parts))


class Packed(msgspec.Struct, frozen=True):
    """A block's rows: the partition of each, and the row in its two parts."""

    partitions: Octets
    fixed: Octets
    rests: list[bytes]

    def put(self, index: int, token: bytes, row: bytes) -> None:
        """Nothing; the row at this place is another one."""
        self.partitions[index] = token[1]
        self.fixed[index] = np.frombuffer(row, np.uint8, FIXED_BYTES)
        self.rests[index] = row[FIXED_BYTES:]

    def chosen(self, which: Bools) -> Packed:
        """Some of them only."""
        rests = [self.rests[index] for index in np.flatnonzero(which).tolist()]
        return Packed(self.partitions[which], self.fixed[which], rests)


def packed_of(rows: Sequence[tuple[bytes, bytes]]) -> Packed:
    """Rows that were packed one by one: the token and the bytes of each."""
    partitions = np.array([token[1] for token, _ in rows], np.uint8)
    fixed = fixed_of(row[:FIXED_BYTES] for _, row in rows)
    return Packed(partitions, fixed, [row[FIXED_BYTES:] for _, row in rows])
