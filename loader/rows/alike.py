"""How often one number stands in a load, and how many ID numbers end alike.

A placeholder is in very many rows, and what a spreadsheet rounds ends in zeros: neither can be
told from a good number in its own row.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from loader.columns.columns import Column
from loader.columns.numbers import CARD_DIGITS
from loader.columns.pieces import Bools, Octets
from loader.rows.packing import HASH, LIST_AT, PLACE_BYTES
from loader.rows.spill import read_spill
from loader.rows.table import Packed
from roster.keys import BUCKETS, PARTITIONS

ENTRIES_MAX = 1_000
"""Entries of one number: nobody has more."""
ENDINGS_FROM, ENDINGS_MAX = 1_000, 0.02
"""From so many rows on this part of their ID numbers may end alike (by nature one in 1,100)."""
_ENDING = 3
_ENDINGS = 11**_ENDING
_ZERO, _X = ord("0"), ord("X") - ord("0")

Counts = NDArray[np.int64]


class Alike(msgspec.Struct):
    """Rows by partition and bucket; ID numbers by list and last three digits, last their rows."""

    buckets: Counts = msgspec.field(
        default_factory=lambda: np.zeros(PARTITIONS * BUCKETS, np.int64)
    )
    endings: dict[int, Counts] = msgspec.field(default_factory=dict)

    def add(self, other: Alike) -> None:
        """Nothing; it counts for both."""
        self.buckets += other.buckets
        for code, counts in other.endings.items():
            self._ended(code, counts)

    def count(self, packed: Packed, endings: Counts) -> None:
        """Nothing; these rows are counted; `endings` as from `endings_in`."""
        places = packed.partitions * np.int64(BUCKETS)
        places += packed.fixed[:, 0] * np.int64(256) + packed.fixed[:, 1]
        self.buckets += np.bincount(places, minlength=len(self.buckets))
        for code in np.unique(packed.fixed[:, LIST_AT]).tolist():
            which = (packed.fixed[:, LIST_AT] == code) & (endings >= 0)
            if which.any():
                self._ended(code, _counted(endings[which], packed.fixed[which, 2:10]))

    def _ended(self, code: int, counts: Counts) -> None:
        self.endings[code] = self.endings.get(code, 0) + counts

    def too_many_alike(self) -> Iterator[tuple[int, int, int]]:
        """Lists in which too many ID numbers end alike: the code, how many, and of how many."""
        for code, counts in sorted(self.endings.items()):
            most, total = int(counts[:-1].max()), int(counts[:-1].sum())
            if counts[-1] >= ENDINGS_FROM and most > max(total, ENDINGS_FROM) * ENDINGS_MAX:
                yield code, most, total

    def most_entries(self, folder: Path) -> int:
        """The most entries of one number, where that may be more than `ENTRIES_MAX`; else 0."""
        full = np.flatnonzero(self.buckets > ENTRIES_MAX)
        partitions = np.unique(full // BUCKETS).tolist()
        return max((_most(read_spill(folder, each).fixed) for each in partitions), default=0)


def _counted(endings: Counts, places: Octets) -> Counts:
    """How often each occurs (once for a person, where it matters), and last of how many rows."""
    counts = np.bincount(endings, minlength=_ENDINGS)
    if counts.max() > len(endings) * ENDINGS_MAX / 2:
        _, first = np.unique(np.ascontiguousarray(places).view(np.uint64), return_index=True)
        counts = np.bincount(endings[first], minlength=_ENDINGS)
    return np.append(counts, len(endings))


def _most(rows: Octets) -> int:
    """The most entries that one person has among packed rows; doubles count once."""
    if not len(rows):
        return 0
    names = np.hstack((rows[:, :PLACE_BYTES], rows[:, LIST_AT, None], rows[:, HASH]))
    entries = np.unique(_whole(names)).view(np.uint8).reshape(-1, names.shape[1])
    return int(np.unique(_whole(entries[:, :PLACE_BYTES]), return_counts=True)[1].max())


def _whole(table: Octets) -> NDArray[np.void]:
    """Each line of a table as one value."""
    return np.ascontiguousarray(table).view(f"V{table.shape[1]}").reshape(-1)


def endings_in(numbers: Column, which: Bools) -> Counts:
    """The last three digits of those cells that are as long as an ID number; -1 for others."""
    found = np.full(len(numbers), -1, np.int64)
    chosen = np.flatnonzero(which & (numbers.sizes == CARD_DIGITS))
    if len(chosen):
        digits = numbers.chosen(chosen).windows(CARD_DIGITS - _ENDING, _ENDING) - np.uint8(_ZERO)
        digits[digits == _X] = 10
        digits[digits > 10] = 0  # noqa: PLR2004 -- another document's
        found[chosen] = digits.astype(np.int64) @ np.array((121, 11, 1))
    return found
