"""What a file has of one partition, bucket by bucket: with its rows, or known by their digests.

A bucket's digest of a list is over all that the merge law looks at in the rows: whose entry it
is, its content, what the row states, and its revision where there is one. Where Redis has
sealed the bucket with the same digest, merging the rows again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from loader.columns.columns import Octets, words_at
from loader.partitions.buckets import People, RowTotals
from loader.partitions.unusual import Counts
from loader.rows.packed_rows import DIGEST, HEAD_BYTES, LIST_AT, PRESENT_AT, read_spill
from roster.keys import BUCKETS
from roster.records.record import WITHOUT_REVISION, pack_load
from roster.storage.snapshots import Bucket, MergeCounts

DIGEST_BYTES = 8
SEAL_BYTES = DIGEST_BYTES + 6
"""A digest, and since when there is a tombstone: milliseconds, or never."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
_48_BITS = np.uint64((1 << 48) - 1)
_EMPTY = Counts().json(slice(0))


class PreparedPortion(msgspec.Struct):
    """What is kept of a portion for the merge: its buckets, those that are `sealed` without rows.

    `seals` are those of all of them; `unchanged` is what becomes of the entries of sealed ones.
    """

    buckets: list[Bucket]
    sealed: list[int]
    seals: bytes
    unchanged: dict[int, MergeCounts]
    rows: RowTotals


class Portion:
    """A partition's part of a file."""

    def __init__(self, folder: Path, partition: int, load: int, lists: bytes) -> None:
        """`lists` are the snapshot's; `rows` is what the rows amount to."""
        self.rows = RowTotals()
        self.people = People(read_spill(folder, partition), pack_load(load))
        self.counts = self.people.count(self.rows)
        self._lists = lists
        self.digests = digests_of(self.people, lists)

    def buckets(self) -> Iterator[Bucket]:
        """All buckets, for a full snapshot; else those that have rows."""
        return self.with_rows(range(BUCKETS) if self._lists else self.people.numbers())

    def kept(self, seals: bytes = b"", due_ms: int = 0) -> PreparedPortion:
        """All buckets that the merge takes, with what is known of them.

        Some are left alone for these seals, but those with a tombstone from then or earlier.
        """
        numbers = range(BUCKETS) if self._lists else self.people.numbers()
        sealed = self._sealed(seals, due_ms) if seals else []
        left = frozenset(sealed)
        buckets = list(self.with_rows(number for number in numbers if number not in left))
        return PreparedPortion(buckets, sealed, seals, self.unchanged(sealed), self.rows)

    def _sealed(self, seals: bytes, due_ms: int) -> list[int]:
        """The buckets which the file does not change."""
        table = seal_table(seals)
        digests = np.ascontiguousarray(table[:, :, :DIGEST_BYTES]).view(np.uint64)[:, :, 0]
        since = np.ascontiguousarray(table[:, :, -8:]).view(">u8")[:, :, 0] & _48_BITS
        good = (digests == self.digests) & (since > due_ms)
        sealed: list[int] = np.flatnonzero(good.all(0)).tolist()
        return sealed

    def new_seals(self, which: slice) -> bytes:
        """The seals of buckets that are to be stored as the file says."""
        digests = np.ascontiguousarray(self.digests[:, which])
        seals = np.full((*digests.shape, SEAL_BYTES), 0xFF, np.uint8)
        seals[:, :, :DIGEST_BYTES] = digests.view(np.uint8).reshape(*digests.shape, DIGEST_BYTES)
        return seals.tobytes()

    def with_rows(self, numbers: Iterable[int]) -> Iterator[Bucket]:
        """These buckets, in ascending order."""
        mine = sorted(numbers)
        rows = dict(self.people.within(mine).buckets())
        for number in mine:
            one = slice(number, number + 1)
            tally = self.counts.json(one) if number in rows else _EMPTY
            digest = self.digests[:, number].tobytes()
            yield Bucket(number, tally, rows.get(number, b""), digest)

    def unchanged(self, numbers: list[int]) -> dict[int, MergeCounts]:
        """What becomes of the entries of buckets that the rows do not change."""
        entries = self.counts.entries(np.array(numbers, np.int64))
        return {code: MergeCounts(unchanged=count) for code, count in entries.items() if count}


def seal_table(seals: bytes) -> Octets:
    """The seals in shape (lists, buckets, bytes)."""
    return np.frombuffer(seals, np.uint8).reshape(-1, BUCKETS, SEAL_BYTES)


def sealed_runs(table: Octets, sealed: Sequence[int]) -> bytes:
    """What Redis is told of sealed buckets, in ascending order: their runs, with their seals."""
    numbers = np.array(sealed, np.int64)
    parts = []
    for run in np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1):
        if len(run):
            head = int(run[0]).to_bytes(2) + len(run).to_bytes(2)
            parts += [head, table[:, run[0] : run[-1] + 1].tobytes()]
    return b"".join(parts)


def digests_of(people: People, lists: bytes) -> NDArray[np.uint64]:
    """One for each list and bucket, of people who are counted; of duplicates the highest counts."""
    numbers, fixed = people.sorted_rows()
    head = words_at(fixed, HEAD_BYTES - 2) & _48_BITS
    head[fixed[:, PRESENT_AT] >= WITHOUT_REVISION] = 0
    head |= fixed[:, PRESENT_AT].astype(np.uint64) << np.uint64(48)
    mixed = _mixed(words_at(fixed, DIGEST.start) ^ _mixed(head))
    mixed[people.lost] = 0
    digests = np.ones((len(lists), BUCKETS), np.uint64)
    for index, code in enumerate(lists):
        mine = np.flatnonzero(fixed[:, LIST_AT] == code)
        starts = np.flatnonzero(np.diff(numbers[mine], prepend=-1))
        if len(mine):
            digests[index, numbers[mine[starts]]] += np.add.reduceat(mixed[mine], starts)
    digests[digests == 0] = 1  # zeros are no seal
    return digests


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each word by another one, one to one, in which every bit counts for every other."""
    words = (words ^ (words >> np.uint64(30))) * _MIX
    words = (words ^ (words >> np.uint64(27))) * _MIX
    return words ^ (words >> np.uint64(31))
