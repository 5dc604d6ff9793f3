"""What a file has of one partition, bucket by bucket: with its rows, or known by their digests.

A bucket's digest of a list is over all that the merge law looks at in the rows: whose entry it
is, its content, what the row states, and its revision where there is one. Where Redis has
sealed the bucket with the same digest, merging the rows again changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from loader.buckets import People, Rows
from loader.counts import Counts
from loader.packing import DIGEST, HEAD_BYTES, LIST_AT, PRESENT_AT
from loader.pieces import Octets
from loader.spill import read_spill
from roster.keys import BUCKETS
from roster.merging import SEALED, Bucket, Fate
from roster.record import WITHOUT_REVISION, pack_load

DIGEST_BYTES = 8
_MIX = np.uint64(0x9E3779B97F4A7C15)
_48_BITS = np.uint64((1 << 48) - 1)
_EMPTY = Counts().json(slice(0))


class Kept(msgspec.Struct):
    """What is kept of a portion for the merge: its buckets, those of `sealed` without rows.

    `unchanged` is what becomes of the entries of those.
    """

    buckets: list[Bucket]
    sealed: frozenset[int]
    unchanged: dict[int, Fate]
    rows: Rows


class Portion:
    """A partition's part of a file."""

    def __init__(self, folder: Path, partition: int, load: int, lists: bytes) -> None:
        """`lists` are the snapshot's; `rows` is what the rows amount to."""
        self.rows = Rows()
        self.people = People(read_spill(folder, partition), pack_load(load))
        self.counts = self.people.count(self.rows)
        self._lists = lists
        self.digests = digests_of(self.people, lists)

    def buckets(self, sealed: Collection[int] = ()) -> Iterator[Bucket]:
        """All buckets for a full snapshot, those of `sealed` without rows; else those with rows."""
        numbers = self.people.numbers() if not self._lists else range(BUCKETS)
        with_rows = self.with_rows(number for number in numbers if number not in sealed)
        for number in numbers:
            yield self.sealed(number) if number in sealed else next(with_rows)

    def kept(self, sealed: frozenset[int] = frozenset()) -> Kept:
        """The same, with what is known of them."""
        return Kept(list(self.buckets(sealed)), sealed, self.unchanged(sealed), self.rows)

    def with_rows(self, numbers: Iterable[int]) -> Iterator[Bucket]:
        """These buckets, in ascending order."""
        mine = sorted(numbers)
        rows = dict(self.people.within(mine).buckets())
        for number in mine:
            one = slice(number, number + 1)
            tally = self.counts.json(one) if number in rows else _EMPTY
            yield Bucket(number, tally, rows.get(number, b""), self._digest(number))

    def sealed(self, number: int) -> Bucket:
        """A bucket of which Redis need not be told the rows."""
        return Bucket(number, SEALED, b"", self._digest(number))

    def opened(self, call: Sequence[Bucket], numbers: Collection[int]) -> Iterator[Bucket]:
        """The same buckets; those numbered are with their rows."""
        with_rows = self.with_rows(numbers)
        return (next(with_rows) if each.number in numbers else each for each in call)

    def unchanged(self, numbers: Iterable[int]) -> dict[int, Fate]:
        """What becomes of the entries of buckets that the rows do not change."""
        entries = self.counts.entries(np.array(sorted(numbers), np.int64))
        return {code: Fate(unchanged=count) for code, count in entries.items() if count}

    def _digest(self, number: int) -> bytes:
        return self.digests[:, number].tobytes()


def digests_of(people: People, lists: bytes) -> NDArray[np.uint64]:
    """One for each list and bucket, of people who are counted; of duplicates the highest counts."""
    numbers, fixed = people.sorted_rows()
    head = _words(fixed, HEAD_BYTES - 2) & _48_BITS
    head[fixed[:, PRESENT_AT] >= WITHOUT_REVISION] = 0
    head |= fixed[:, PRESENT_AT].astype(np.uint64) << np.uint64(48)
    mixed = _mixed(_words(fixed, DIGEST.start) ^ _mixed(head))
    mixed[people.lost] = 0
    digests = np.ones((len(lists), BUCKETS), np.uint64)
    for index, code in enumerate(lists):
        mine = np.flatnonzero(fixed[:, LIST_AT] == code)
        starts = np.flatnonzero(np.diff(numbers[mine], prepend=-1))
        if len(mine):
            digests[index, numbers[mine[starts]]] += np.add.reduceat(mixed[mine], starts)
    digests[digests == 0] = 1  # zeros are no seal
    return digests


def _words(fixed: Octets, at: int) -> NDArray[np.uint64]:
    """Eight bytes of each row as a number."""
    part = np.ascontiguousarray(fixed[:, at : at + 8])
    return part.view(">u8").reshape(-1).astype(np.uint64)


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each word by another one, one to one, in which every bit counts for every other."""
    words = (words ^ (words >> np.uint64(30))) * _MIX
    words = (words ^ (words >> np.uint64(27))) * _MIX
    return words ^ (words >> np.uint64(31))
