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


def gathered(source: Octets, starts: Numbers, sizes: Numbers) -> Octets:
    """The pieces at these places, one after the other."""
    ends = np.cumsum(sizes)
    places = np.repeat(starts - ends + sizes, sizes)
    places += np.arange(len(places))
    return source.take(places)


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
    """Rows with the partition of each; their rests are at `starts` in some bytes."""

    partitions: Octets
    fixed: Octets
    rests: bytes
    starts: Numbers
    sizes: Numbers

    def chosen(self, which: Bools | Numbers) -> Packed:
        """Some of them only, or in another order."""
        return Packed(
            self.partitions[which],
            self.fixed[which],
            self.rests,
            self.starts[which],
            self.sizes[which],
        )

    def table(self) -> Table:
        """The rows alone."""
        octets = np.frombuffer(self.rests, np.uint8)
        rests = gathered(octets, self.starts, self.sizes).tobytes()
        return Table(self.fixed, self.sizes, rests)


def packed_of(rows: Sequence[tuple[bytes, bytes]]) -> Packed:
    """Rows that were packed one by one: the token and the bytes of each."""
    partitions = np.array([token[1] for token, _ in rows], np.uint8)
    fixed = fixed_of(row[:FIXED_BYTES] for _, row in rows)
    rests = [row[FIXED_BYTES:] for _, row in rows]
    sizes = sizes_of(rests)
    return Packed(partitions, fixed, b"".join(rests), np.cumsum(sizes) - sizes, sizes)
