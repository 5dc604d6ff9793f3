"""One partition of a snapshot, merged bucket by bucket, and its new filter."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from loader import imaging
from loader.buckets import Rows, buckets_of
from loader.spill import read_spill
from loader.unusual import Tally
from roster.errors import LoadRefused
from roster.keys import BUCKETS, PARTITIONS
from roster.merging import Bucket, Fate, How, Merged, Merging, Snapshot
from roster.position import Position
from roster.store import Store

CALL_BYTES = 384 << 10
CALL_ENTRIES = 4_096
"""At most in one call: Redis answers nobody else meanwhile, so it must take a few ms."""
_CALLS_AHEAD = 2
_EMPTY = Tally().json()


class Job(msgspec.Struct, frozen=True):
    """A partition to merge; `kept` are entries of rejected rows (`How`).

    `call_buckets` is how many buckets go into one call at most, for what Redis holds in them.
    With `dry_run` nothing at all may be written. `held` entries of the partition were ever
    listed in the roster.
    """

    partition: int
    snapshot: Snapshot
    load: int
    kept: bytes = b""
    call_buckets: int = 64
    dry_run: bool = False
    held: int = 0


class Done(msgspec.Struct):
    """What a partition's merge did."""

    partition: int
    fates: dict[int, Fate]
    written: int
    size_bytes: int
    people: int
    duplicates: int


class Sum:
    """The replies of a partition's calls together."""

    def __init__(
        self, fates: dict[int, Fate] | None = None, exceptions: dict[bytes, bool] | None = None
    ) -> None:
        """To begin with, what is known without a call."""
        self.fates = dict(fates or {})
        self.exceptions = dict(exceptions or {})
        self.told: list[range] = []
        self.written = self.size_bytes = 0

    def add(self, merged: Merged) -> None:
        """Nothing; one more reply."""
        self.add_fates(merged.fates)
        self.exceptions |= merged.exceptions
        self.told += [merged.told] if merged.told else []
        self.written += merged.written
        self.size_bytes += merged.size_bytes

    def add_fates(self, fates: Mapping[int, Fate]) -> None:
        """Nothing; these fates too."""
        for code, fate in fates.items():
            self.fates[code] = self.fates.get(code, Fate()).plus(fate)

    def done(self, job: Job, people: int, duplicates: int) -> Done:
        """All of it."""
        return Done(
            partition=job.partition,
            fates=self.fates,
            written=self.written,
            size_bytes=self.size_bytes,
            people=people,
            duplicates=duplicates,
        )


def call_buckets(entries: int) -> int:
    """How many buckets to put into one call, where the roster holds so many entries."""
    in_bucket = entries // (PARTITIONS * BUCKETS) + 1
    return max(1, min(BUCKETS, CALL_ENTRIES // in_bucket))


async def merge(store: Store, job: Job, folder: Path, begun: Position) -> Done:
    """What the merge did.

    A full snapshot's partition is finished with an image up to its log's end.
    """
    merging, total = Merging(store, job.snapshot), Sum()
    rows = await merge_whole(merging, job, folder, total)
    if job.snapshot.lists:
        await imaging.finish(merging, begun, rows.fields, total)
    else:
        await imaging.told(store, job.partition, total)
    return total.done(job, rows.people, rows.duplicates)


async def merge_whole(merging: Merging, job: Job, folder: Path, total: Sum) -> Rows:
    """What the file says of the partition; every bucket is merged, and counted in `total`."""
    rows = Rows()
    calls = calls_of(_buckets(job, folder, rows), job.call_buckets)
    hows = ((call, How(call[-1].number + 1, kept=near(job.kept, call))) for call in calls)
    async for _, merged in in_turn(merging, job.partition, hows):
        total.add(merged)
    return rows


def _buckets(job: Job, folder: Path, rows: Rows) -> Iterator[Bucket]:
    """The file's buckets; for a full snapshot also those that it has nothing for."""
    found = buckets_of(read_spill(folder, job.partition), job.load, rows)
    if not job.snapshot.lists:
        yield from found
        return
    following = 0
    for bucket in found:
        yield from (Bucket(number, _EMPTY, b"") for number in range(following, bucket.number))
        yield bucket
        following = bucket.number + 1
    yield from (Bucket(number, _EMPTY, b"") for number in range(following, BUCKETS))


def calls_of(buckets: Iterable[Bucket], most: int) -> Iterator[list[Bucket]]:
    """The buckets in as few calls as may be."""
    call: list[Bucket] = []
    size = 0
    for bucket in buckets:
        call.append(bucket)
        size += len(bucket.rows)
        if len(call) == most or size > CALL_BYTES:
            yield call
            call, size = [], 0
    if call:
        yield call


async def in_turn(
    merging: Merging, partition: int, calls: Iterable[tuple[Sequence[Bucket], How]]
) -> AsyncIterator[tuple[Sequence[Bucket], Merged]]:
    """Each call and its reply; the next is made ready while Redis answers the last ones."""
    ahead: deque[tuple[Sequence[Bucket], asyncio.Task[Merged | None]]] = deque()
    try:
        for call, how in calls:
            ahead.append((call, asyncio.create_task(merging.merge(partition, call, how))))
            await asyncio.sleep(0)
            if len(ahead) == _CALLS_AHEAD:
                yield await _answered(*ahead.popleft())
        while ahead:
            yield await _answered(*ahead.popleft())
    finally:
        for _, task in ahead:
            task.cancel()


async def _answered(
    call: Sequence[Bucket], task: asyncio.Task[Merged | None]
) -> tuple[Sequence[Bucket], Merged]:
    merged = await task
    if merged is None:  # only where `How.seen` is given
        raise LoadRefused("the partition has changed meanwhile")
    return call, merged


def near(kept: bytes, call: Sequence[Bucket]) -> bytes:
    """The kept entries that may be in these buckets."""
    if not kept:
        return b""
    numbers = {bucket.number.to_bytes(2) for bucket in call}
    items = (kept[at : at + 21] for at in range(0, len(kept), 21))
    return b"".join(item for item in items if item[:14] == bytes(14) or item[:2] in numbers)
