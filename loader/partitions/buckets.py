"""A partition's packed rows as the buckets that the merge takes: grouped, without duplicates.

Nearly everybody's rows are plain and alike. Their records are put together for the whole
partition at once: a table says which bytes come from where, in the order of the output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from itertools import compress, pairwise
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from loader.columns.columns import Bools, Numbers, Octets, Pieces, pieces_of, put, rows_of, words_at
from loader.partitions.unusual import Counts, count, distinct, record_of, stored_of
from loader.rows.packed_rows import (
    CONTENT_SIZE,
    DIGEST,
    FIXED_BYTES,
    HEAD_BYTES,
    LIST_AT,
    LISTED,
    PLACE_BYTES,
    PRESENT_AT,
    PROVENANCE_SIZE_AT,
    PackedRows,
)
from roster.keys import BUCKETS
from roster.records.entry import RESTRICTING_BELOW, State
from roster.records.meta import Field, ListField
from roster.records.record import COUNT, HEADER, REGISTER_BYTES, WITHOUT_REVISION
from roster.storage.snapshots import PLAIN, PLAIN_WITHOUT_REVISION

_PLAIN_PRESENT = {LISTED: PLAIN, LISTED | WITHOUT_REVISION: PLAIN_WITHOUT_REVISION}
_NUMBER_BYTES = 2
_HEAD, _REGISTER = slice(PLACE_BYTES, HEAD_BYTES), slice(HEAD_BYTES, FIXED_BYTES)
_BEGIN = np.dtype([("field", "u1", 12), ("kind", "u1"), ("size", ">u4")])
"""What stands before a record."""
_ENTRY_BYTES, _U16 = FIXED_BYTES - PLACE_BYTES, 0xFFFF


class RowTotals(msgspec.Struct):
    """What a partition's rows amount to; `fields` are those of people who are on a list.

    `digests` are by list; `duplicates` were left out.
    """

    fields: bytes = b""
    digests: dict[int, int] = msgspec.field(default_factory=dict)
    people: int = 0
    duplicates: int = 0


class NewBuckets(NamedTuple):
    """The people of some buckets, as they are to be stored where Redis has nothing of them.

    `starts` are the first of each bucket. `write` puts all records, of these sizes, at places of
    an array.
    """

    numbers: Numbers
    starts: Numbers
    fields: Octets
    sizes: Numbers
    write: Callable[[Octets, Numbers], None]


class People:
    """The people of a partition: their rows, sorted, and which of them are plain and alike."""

    def __init__(self, packed: PackedRows, provenance: bytes) -> None:
        """The rows of a spill; plain ones have this provenance."""
        self._provenance = provenance
        self._rests = bytes(packed.rests.source)
        packed = packed.chosen(_order(packed.fixed))
        self._fixed = fixed = packed.fixed
        self._starts, self._sizes = packed.rests.starts, packed.rests.sizes
        high, low = words_at(fixed, 0), words_at(fixed, 8)
        new = np.ones(len(fixed) + 1, np.bool_)
        new[1:-1] = (high[1:] != high[:-1]) | (low[1:] >> 16 != low[:-1] >> 16)
        self._new = new[:-1]
        bounds = np.flatnonzero(new)
        self._first, self._counts = bounds[:-1], np.diff(bounds)
        self._lists = fixed[:, LIST_AT]
        self._numbers = fixed[:, 0].astype(np.int64) << 8 | fixed[:, 1]
        self._kinds = self._judged()
        self._contents = words_at(fixed, CONTENT_SIZE.stop - 8).astype(np.int64) & _U16
        self.lost: list[int] = []

    def _judged(self) -> NDArray[np.uint8]:
        """The kind of each person's record where their rows are plain and alike, else 0."""
        fixed = self._fixed
        kind_of = np.zeros(256, np.uint8)
        for present, kind in _PLAIN_PRESENT.items():
            kind_of[present] = kind
        kinds = kind_of[fixed[:, PRESENT_AT]]
        names = words_at(fixed, LIST_AT)
        kinds[1:][(names[1:] == names[:-1]) & ~self._new[1:]] = 0
        least = np.minimum.reduceat(kinds, self._first)
        return np.where(least == np.maximum.reduceat(kinds, self._first), least, 0)

    def count(self, found: RowTotals) -> Counts:
        """What the buckets' records count; `found` is as they say, `lost` are duplicate rows."""
        counts, plain = Counts(), self._kinds > 0
        unusual = np.flatnonzero(~plain).tolist()
        self._unusual = [self._one(index, counts, found) for index in unusual]
        for code in np.unique(self._lists).tolist():
            self._count_list(code, np.repeat(plain, self._counts), counts)
        restricted = self._first[plain & (self._lists[self._first] < RESTRICTING_BELOW)]
        counts.count(Field.PEOPLE, self._numbers[restricted])
        found.people, found.digests = counts.people(), counts.digests()
        found.fields += self._fixed[self._first[plain], _NUMBER_BYTES:PLACE_BYTES].tobytes()
        return counts

    def _one(self, index: int, counts: Counts, found: RowTotals) -> bytes:
        """An unusual person's record."""
        first, size = self._first[index], self._counts[index]
        rows = [
            self._fixed[at].tobytes() + self._rests[start : start + self._sizes[at]]
            for at, start in enumerate(self._starts[first : first + size].tolist(), first)
        ]
        kept = distinct(rows)
        if len(kept) < len(rows):
            found.duplicates += len(rows) - len(kept)
            those = set(map(id, kept))
            self.lost += [first + at for at, row in enumerate(rows) if id(row) not in those]
        if count(counts, int(self._numbers[first]), kept):
            found.fields += rows[0][_NUMBER_BYTES:PLACE_BYTES]
        return record_of(kept, self._provenance)

    def _count_list(self, code: int, plain: Bools, counts: Counts) -> None:
        """Count the plain rows of one list."""
        mine = np.flatnonzero(plain & (self._lists == code))
        numbers = self._numbers[mine]
        heads = self._new[mine] | (self._lists[mine - 1] != code)
        counts.add(code, numbers, words_at(self._fixed[mine], DIGEST.start))
        counts.count(ListField.ENTRIES.of(code, State.ACTIVE), numbers)
        counts.count(ListField.PEOPLE.of(code), numbers[heads])
        counts.count(Field.EVER, numbers)

    def sorted_rows(self) -> tuple[Numbers, Octets]:
        """The bucket of each row, and the rows' fixed parts."""
        return self._numbers, self._fixed

    def numbers(self) -> list[int]:
        """The buckets that have rows, in ascending order."""
        numbers: list[int] = np.unique(self._numbers).tolist()
        return numbers

    def within(self, numbers: Sequence[int]) -> People:
        """The people of these buckets only, once they are counted."""
        wanted = np.zeros(BUCKETS, np.bool_)
        wanted[list(numbers)] = True
        some = copy(self)
        some.keep(wanted[self._numbers[self._first]])
        return some

    def keep(self, which: Bools) -> None:
        """Leave out all others; after these were counted."""
        mine = np.repeat(which, self._counts)
        self._unusual = list(compress(self._unusual, which[self._kinds == 0]))
        self._fixed, self._sizes = self._fixed[mine], self._sizes[mine]
        self._contents = self._contents[mine]
        self._starts, self._numbers = self._starts[mine], self._numbers[mine]
        self._counts, self._kinds = self._counts[which], self._kinds[which]
        self._first = np.cumsum(self._counts) - self._counts

    def buckets(self) -> Iterator[tuple[int, bytes]]:
        """Number and records of each bucket that has rows."""
        if not len(self._first):
            return
        plain, unusual = self._kinds > 0, pieces_of(self._unusual)
        sizes = self._record_sizes() + _BEGIN.itemsize
        sizes[~plain] = unusual.sizes
        ends = np.cumsum(sizes)
        places = ends - sizes
        records = np.empty(ends[-1], np.uint8)
        put(records, places[~plain], unusual)
        put(records, places[plain], rows_of(self._begins(plain)))
        self._put_plain(records, places + _BEGIN.itemsize, plain)
        numbers, starts = self._bucket_starts()
        bounds = pairwise([*places[starts].tolist(), len(records)])
        for number, (at, end) in zip(numbers.tolist(), bounds, strict=True):
            yield number, records[at:end].tobytes()

    def new_buckets(self) -> NewBuckets:
        """Fields and records alone."""
        plain, unusual = self._kinds > 0, pieces_of([stored_of(each) for each in self._unusual])
        sizes = self._record_sizes()
        sizes[~plain] = unusual.sizes

        def write(into: Octets, places: Numbers) -> None:
            put(into, places[~plain], unusual)
            self._put_plain(into, places, plain)

        fields = self._fixed[self._first, _NUMBER_BYTES:PLACE_BYTES]
        return NewBuckets(*self._bucket_starts(), fields, sizes, write)

    def _record_sizes(self) -> Numbers:
        """Of plain people."""
        each = self._contents + self._fixed[:, PROVENANCE_SIZE_AT] + _ENTRY_BYTES
        return COUNT.size + np.add.reduceat(each, self._first)

    def _bucket_starts(self) -> tuple[Numbers, Numbers]:
        """The buckets that have rows, and their first people."""
        numbers = self._numbers[self._first]
        starts = np.flatnonzero(np.diff(numbers, prepend=-1))
        return numbers[starts], starts

    def _put_plain(self, records: Octets, places: Numbers, plain: Bools) -> None:
        """Write the plain people's records to these places."""
        counts = self._counts[plain].astype(">u2").view(np.uint8)
        put(records, places[plain], rows_of(counts.reshape(-1, COUNT.size)))
        rows = np.flatnonzero(np.repeat(plain, self._counts))
        self._fixed[rows, PRESENT_AT] = LISTED
        first, count, place = (
            np.repeat(each, self._counts)[rows] for each in (self._first, self._counts, places)
        )
        heads = place + COUNT.size
        registers = heads + count * HEADER.size
        rests = registers + count * REGISTER_BYTES
        nth, last = rows - first, first + count - 1
        stated = self._fixed[:, PROVENANCE_SIZE_AT].astype(np.int64)
        contents, provenances = np.cumsum(self._contents), np.cumsum(stated)
        put(records, heads + nth * HEADER.size, rows_of(self._fixed, _HEAD).chosen(rows))
        put(records, registers + nth * REGISTER_BYTES, rows_of(self._fixed, _REGISTER).chosen(rows))
        before = (contents - self._contents)[first]
        content = Pieces(self._rests, self._starts, self._contents)
        put(records, rests + (contents - self._contents)[rows] - before, content.chosen(rows))
        behind = rests + contents[last] - before
        before = (provenances - stated)[first]
        # Those that are not stated are the load's, which is put behind the others.
        plain_at = np.where(
            self._sizes > self._contents, self._starts + self._contents, len(self._rests)
        )
        provenance = Pieces(self._rests + self._provenance, plain_at, stated)
        put(records, behind + (provenances - stated)[rows] - before, provenance.chosen(rows))

    def _begins(self, plain: Bools) -> Octets:
        """What stands before each plain person's record."""
        begins = np.zeros(int(plain.sum()), _BEGIN)
        begins["field"] = self._fixed[self._first[plain], _NUMBER_BYTES:PLACE_BYTES]
        begins["kind"] = self._kinds[plain]
        begins["size"] = self._record_sizes()[plain]
        return begins.view(np.uint8).reshape(-1, _BEGIN.itemsize)


def _order(fixed: Octets) -> Numbers:
    """The rows' order by place, and list and entry of it."""
    order = np.argsort(words_at(fixed, LIST_AT))
    order = order[np.argsort(words_at(fixed, 0)[order], kind="stable")]
    high, low = words_at(fixed, 0)[order], words_at(fixed, 8)[order] >> 16
    if ((high[1:] == high[:-1]) & (low[1:] != low[:-1])).any():  # hardly ever
        order = np.lexsort([words_at(fixed, at) for at in (LIST_AT, 8, 0)])
    return order
