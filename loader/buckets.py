"""A partition's packed rows as the buckets that the merge takes: grouped, without duplicates.

Nearly everybody's rows are plain and alike. Their records are put together for the whole
partition at once: a table says which bytes come from where, in the order of the output.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from loader.packing import (
    DIGEST,
    HASH,
    HEAD_BYTES,
    LIST_AT,
    LISTED,
    PLACE_BYTES,
    PLAIN_PROVENANCE_BYTES,
    PRESENT_AT,
    PROVENANCE_SIZE_AT,
)
from loader.segments import Segments
from loader.table import FIXED_BYTES, Bools, Numbers, Octets, Table, sizes_of
from loader.unusual import Tally, count, distinct, record_of
from roster.entry import RESTRICTING_BELOW, State
from roster.keys import BUCKETS
from roster.merging import PLAIN, PLAIN_WITHOUT_REVISION, Bucket
from roster.record import COUNT, HEADER, REGISTER_BYTES, WITHOUT_REVISION, pack_load

_PLAIN_PRESENT = {LISTED: PLAIN, LISTED | WITHOUT_REVISION: PLAIN_WITHOUT_REVISION}
_NUMBER_BYTES = 2
_AT_ONCE = 64
_BEGIN = np.dtype([("field", "u1", 12), ("kind", "u1"), ("size", ">u4"), ("count", ">u2")])
"""What stands before a record's headers."""
_ENTRY_BYTES = FIXED_BYTES - PLACE_BYTES + PLAIN_PROVENANCE_BYTES


class Rows(msgspec.Struct):
    """What a partition's rows amount to; `fields` are those of people who are on a list.

    `digests` are by list; `duplicates` were left out.
    """

    fields: bytes = b""
    digests: dict[int, int] = msgspec.field(default_factory=dict)
    people: int = 0
    duplicates: int = 0


def buckets_of(table: Table, load: int, found: Rows) -> Iterator[Bucket]:
    """The buckets that have rows, in ascending order; `found` is whole with the first of them."""
    if len(table.fixed):
        people = _People(table, pack_load(load))
        tallies = people.count(found)
        for number, rows in people.buckets():
            yield Bucket(number, tallies[number].json(), rows)


class _People:
    """The people of a partition: their rows, sorted, and which of them are plain and alike."""

    def __init__(self, table: Table, provenance: bytes) -> None:
        self._provenance = provenance
        self._rests = table.rests
        keys = [_words(table.fixed, at) for at in (0, 8, 16)]
        order = np.lexsort(keys[::-1])
        self._fixed = fixed = table.fixed[order]
        self._sizes = table.sizes[order]
        self._starts = (np.cumsum(table.sizes) - table.sizes)[order]
        high, low, _ = (key[order] for key in keys)
        new = np.ones(len(fixed) + 1, np.bool_)
        new[1:-1] = (high[1:] != high[:-1]) | (low[1:] >> 16 != low[:-1] >> 16)
        self._new = new[:-1]
        bounds = np.flatnonzero(new)
        self._first, self._counts = bounds[:-1], np.diff(bounds)
        self._lists = fixed[:, LIST_AT]
        self._numbers = fixed[:, 0].astype(np.int64) << 8 | fixed[:, 1]
        self._kinds = self._judged()

    def _judged(self) -> NDArray[np.uint8]:
        """The kind of each person's record where their rows are plain and alike, else 0."""
        fixed = self._fixed
        kind_of = np.zeros(256, np.uint8)
        for present, kind in _PLAIN_PRESENT.items():
            kind_of[present] = kind
        kinds = kind_of[fixed[:, PRESENT_AT]]
        kinds[fixed[:, PROVENANCE_SIZE_AT] != PLAIN_PROVENANCE_BYTES] = 0
        names = fixed[:, LIST_AT : HASH.stop]
        kinds[1:][(names[1:] == names[:-1]).all(1) & ~self._new[1:]] = 0
        least = np.minimum.reduceat(kinds, self._first)
        return np.where(least == np.maximum.reduceat(kinds, self._first), least, 0)

    def count(self, found: Rows) -> list[Tally]:
        """What each bucket's records count; `found` is as they say."""
        tallies = [Tally() for _ in range(BUCKETS)]
        plain = self._kinds > 0
        unusual = np.flatnonzero(~plain).tolist()
        self._unusual = [self._one(index, tallies, found) for index in unusual]
        for code in np.unique(self._lists).tolist():
            self._count_list(code, np.repeat(plain, self._counts), tallies)
        restricted = self._first[plain & (self._lists[self._first] < RESTRICTING_BELOW)]
        people = np.bincount(self._numbers[restricted], minlength=BUCKETS).tolist()
        for tally, number in zip(tallies, people, strict=True):
            tally.count("people", number)
            found.people += tally.counts["people"]
            for code, digest in tally.digests.items():
                found.digests[code] = found.digests.get(code, 0) ^ digest
        found.fields += self._fixed[self._first[plain], _NUMBER_BYTES:PLACE_BYTES].tobytes()
        return tallies

    def _one(self, index: int, tallies: list[Tally], found: Rows) -> bytes:
        """An unusual person's record."""
        first, size = self._first[index], self._counts[index]
        rows = [
            self._fixed[at].tobytes() + self._rests[start : start + self._sizes[at]]
            for at, start in enumerate(self._starts[first : first + size].tolist(), first)
        ]
        kept = distinct(rows)
        found.duplicates += len(rows) - len(kept)
        if count(tallies[self._numbers[first]], kept):
            found.fields += rows[0][_NUMBER_BYTES:PLACE_BYTES]
        return record_of(kept, self._provenance)

    def _count_list(self, code: int, plain: Bools, tallies: list[Tally]) -> None:
        """Nothing; the plain rows of one list are counted."""
        mine = np.flatnonzero(plain & (self._lists == code))
        if not len(mine):
            return
        numbers = self._numbers[mine]
        heads = self._new[mine] | (self._lists[mine - 1] != code)
        people = np.bincount(numbers[heads], minlength=BUCKETS)
        starts = np.flatnonzero(np.diff(numbers, prepend=-1))
        digests = np.bitwise_xor.reduceat(_words(self._fixed[mine], DIGEST.start), starts)
        sizes = np.diff(starts, append=len(mine))
        each = (numbers[starts].tolist(), sizes.tolist(), digests.tolist())
        for number, size, digest in zip(*each, strict=True):
            tally = tallies[number]
            tally.add(code, size, digest)
            tally.count(f"n:{code}:{State.ACTIVE}", size)
            tally.count(f"p:{code}", int(people[number]))
            tally.count("ever", size)

    def buckets(self) -> Iterator[tuple[int, bytes]]:
        """Number and records of each bucket that has rows."""
        plain, counts = self._kinds > 0, self._counts
        pieces = np.where(plain, 1 + 4 * counts, 1)
        places = np.cumsum(pieces) - pieces
        segments = Segments(int(pieces.sum()))
        self._put_plain(segments, places, plain)
        sizes = sizes_of(self._unusual)
        at = segments.add(b"".join(self._unusual))
        segments.put(places[~plain], at + np.cumsum(sizes) - sizes, sizes)
        numbers = self._numbers[self._first]
        starts = np.flatnonzero(np.diff(numbers, prepend=-1))
        bounds = [*places[starts].tolist(), int(pieces.sum())]
        found = numbers[starts].tolist()
        for index in range(0, len(found), _AT_ONCE):
            joined = segments.join(bounds[index : index + _AT_ONCE + 1])
            yield from zip(found[index : index + _AT_ONCE], joined, strict=True)

    def _put_plain(self, segments: Segments, places: Numbers, plain: Bools) -> None:
        """Nothing; the pieces of plain people's records are said."""
        mine = np.repeat(plain, self._counts)
        rows = np.flatnonzero(mine)
        self._fixed[rows, PRESENT_AT] = LISTED
        rests = segments.add(self._rests)
        fixed = segments.add(self._fixed) + FIXED_BYTES * rows
        provenance = segments.add(self._provenance)
        at = segments.add(self._begins(plain))
        many = int(plain.sum())
        segments.put(places[plain], at + np.arange(many) * _BEGIN.itemsize, _BEGIN.itemsize)
        step = np.repeat(self._counts, self._counts)[rows]
        piece = np.repeat(places + 1 - self._first, self._counts)[rows] + rows
        segments.put(piece, fixed + PLACE_BYTES, HEADER.size)
        segments.put(piece + step, fixed + HEAD_BYTES, REGISTER_BYTES)
        segments.put(piece + 2 * step, rests + self._starts[rows], self._sizes[rows])
        segments.put(piece + 3 * step, provenance, PLAIN_PROVENANCE_BYTES)

    def _begins(self, plain: Bools) -> Octets:
        """What stands before the headers of each plain person's record."""
        begins = np.zeros(int(plain.sum()), _BEGIN)
        sizes = np.add.reduceat(self._sizes + _ENTRY_BYTES, self._first)
        begins["field"] = self._fixed[self._first[plain], _NUMBER_BYTES:PLACE_BYTES]
        begins["kind"] = self._kinds[plain]
        begins["size"] = sizes[plain] + COUNT.size
        begins["count"] = self._counts[plain]
        return begins.view(np.uint8)


def _words(table: Octets, at: int) -> NDArray[np.uint64]:
    """Eight bytes of each row as a number."""
    return np.ascontiguousarray(table[:, at : at + 8]).view(">u8").reshape(-1).astype(np.uint64)
