"""A partition of a first load: its buckets go to Redis whole, as RESTORE takes them.

That spares Redis nearly all of the work, which is what a first load waits for. Where Redis
does not take some of them so, because they are there already or it has no such hashes, they
are merged like any others.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from loader.partitions import imaging
from loader.partitions.partition import Done, Job, Sum, parts_of
from roster.keys import BUCKETS
from roster.records.position import Position
from roster.redis.requirements import LISTPACK_ENTRIES, LISTPACK_VALUE_BYTES
from roster.storage.snapshots import Bucket, FilledBuckets, SnapshotMerge
from roster.storage.store import Store

CALL_BYTES = 384 << 10
"""In one call, and a bucket more: Redis answers nobody else meanwhile, 2 ms at national size."""
HELD_MAX = 32
"""Entries of a partition in Redis: with more of them most calls would meet one's bucket."""


def suits(job: Job) -> bool:
    """Whether the partition's buckets may be new to Redis."""
    return bool(job.snapshot.lists) and job.held <= HELD_MAX


async def fill(store: Store, job: Job, folder: Path, begun: Position) -> Done:
    """What the merge did, of a job that `suits`.

    The partition is finished with an image up to its log's end.
    """
    filling = _Filling(SnapshotMerge(store, job.snapshot), job, folder)
    for numbers in filling.calls():
        await filling.bring(numbers)
    rows, total = filling.portion.rows, filling.total
    await imaging.finish(filling.merging, begun, rows.fields, total)
    return total.done(job, rows.people, rows.duplicates)


class _Filling:
    """A partition's buckets on their way to Redis."""

    def __init__(self, merging: SnapshotMerge, job: Job, folder: Path) -> None:
        """Of the file everything is known then."""
        self.merging = merging
        self.total = Sum()
        self.portion = job.portion(folder)
        self._job = job
        self._payloads = [b""] * BUCKETS
        self._records, self._sizes, self._largest = np.zeros((3, BUCKETS), np.int64)
        self._merged: dict[int, Bucket] | None = None
        if self.portion.people.numbers():
            self._lay_out()

    def _lay_out(self) -> None:
        hashes = self.portion.people.hashes()
        for number, payload in zip(hashes.numbers.tolist(), hashes.payloads, strict=True):
            self._payloads[number] = payload
        self._records[hashes.numbers] = hashes.records
        self._sizes[hashes.numbers] = hashes.sizes
        self._largest[hashes.numbers] = hashes.largest

    def calls(self) -> Iterator[range]:
        """All buckets in as few calls as may be."""
        first = size = 0
        for number, payload in enumerate(self._payloads):
            size += len(payload)
            if size > CALL_BYTES or number == BUCKETS - 1:
                yield range(first, number + 1)
                first, size = number + 1, 0

    async def bring(self, numbers: range) -> None:
        """Nothing; these buckets are merged, and what that did is in the total."""
        filled = None
        if self._is_listpacks(numbers):
            filled = await self.merging.fill(self._job.partition, self._filled(numbers))
        if filled is None:
            await self._merge(numbers)
        else:
            self.total.add(filled)

    def _is_listpacks(self, numbers: range) -> bool:
        """Whether a server, too, would have made such hashes of them."""
        mine = slice(numbers.start, numbers.stop)
        return bool(
            self._records[mine].max() <= LISTPACK_ENTRIES
            and self._largest[mine].max() <= LISTPACK_VALUE_BYTES
        )

    def _filled(self, numbers: range) -> FilledBuckets:
        mine = slice(numbers.start, numbers.stop)
        return FilledBuckets(
            numbers,
            self._payloads[mine],
            int(self._records[mine].sum()),
            int(self._sizes[mine].sum()),
            self.portion.counts.json(mine),
            self.portion.new_seals(mine),
        )

    async def _merge(self, numbers: range) -> None:
        """The same, told row by row."""
        if self._merged is None:
            self._merged = {bucket.number: bucket for bucket in self.portion.buckets()}
        job, buckets = self._job, (self._merged[number] for number in numbers)
        for part in parts_of(buckets, job.call_buckets, upto=numbers.stop):
            self.total.add(await self.merging.merge(job.partition, part.buckets, job.how(part)))
