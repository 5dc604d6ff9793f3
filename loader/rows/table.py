"""Packed rows as a table: what every row has in as many bytes, and the rest of each behind it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from loader.columns.pieces import Bools, Numbers, Octets, Pieces, woven
from loader.rows.packing import HEAD_BYTES
from roster.records.record import REGISTER_BYTES

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


class Packed(msgspec.Struct, frozen=True):
    """Rows in two parts, with the partition of each."""

    partitions: Octets
    fixed: Octets
    rests: Pieces

    def chosen(self, which: Bools | Numbers) -> Packed:
        """Some of them only, or in another order."""
        return Packed(self.partitions[which], self.fixed[which], self.rests.chosen(which))

    def table(self) -> Table:
        """The rows alone."""
        joined = woven([self.rests])
        return Table(self.fixed, joined.sizes, bytes(joined.source))
