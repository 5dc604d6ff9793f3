"""One partition of a file, merged bucket by bucket; what Redis has sealed is not sent again.

The calls go through all buckets in their order, and each bucket is merged at the moment of its
call: by its rows, or by the seal that says that they change nothing. A call that takes a bucket
for sealed which is not any more is refused, and sent again with its rows.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from loader.columns.columns import Octets
from loader.partitions import imaging
from loader.partitions.buckets import RowTotals
from loader.partitions.imaging import MergeReplies
from loader.partitions.portion import Portion, PreparedPortion, seal_table, sealed_runs
from loader.rows.packed_rows import KEPT_BYTES, kept_in
from roster.keys import BUCKETS, PARTITIONS
from roster.records.meta import Meta
from roster.records.position import Position
from roster.storage.snapshots import (
    Bucket,
    MergeCounts,
    MergeOptions,
    MergeResult,
    Snapshot,
    SnapshotMerge,
)
from roster.storage.store import Store

CALL_BYTES = 48 << 10
CALL_ENTRIES = 512
"""At most in one call, and a bucket more: Redis answers nobody else meanwhile, 2 ms."""
_NO_SEALS = seal_table(b"")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(PreparedPortion).decode


class PartitionJob(msgspec.Struct, frozen=True):
    """A partition to merge; `kept` are entries of rejected rows (`MergeOptions`).

    `call_buckets` is how many buckets go into one call at most, for what Redis holds in them.
    `held` entries of the partition were ever listed in the roster; `covered` says whether all
    lists of the snapshot were ever loaded in full.
    """

    partition: int
    snapshot: Snapshot
    load: int
    kept: bytes = b""
    call_buckets: int = 64
    held: int = 0
    covered: bool = False

    def portion(self, folder: Path) -> Portion:
        """What the file has of the partition."""
        return Portion(folder, self.partition, self.load, self.snapshot.lists)

    def how(self, call: MergeCall, *, dry: bool = False, shows: bool = False) -> MergeOptions:
        """How to merge some buckets, and all before the last of them."""
        return MergeOptions(
            call.upto,
            kept_in_buckets(self.kept, call.buckets),
            sealed_runs(call.seals, call.sealed),
            dry,
            shows,
        )

    @property
    def due_ms(self) -> int:
        """Tombstones from then or earlier are dropped."""
        return self.snapshot.as_of - self.snapshot.tombstone_ms


class MergeCall(NamedTuple):
    """The buckets of one call, up to one: some with rows, some of which the seals are told."""

    buckets: list[Bucket]
    upto: int
    sealed: Sequence[int] = ()
    seals: Octets = _NO_SEALS


class PartitionResult(msgspec.Struct):
    """What a partition's merge did, or would do.

    `written` are records; `sealed` is how many buckets it would leave alone; `digests` are those
    of the file.
    """

    partition: int
    fates: dict[int, MergeCounts]
    people: int
    duplicates: int
    written: int = 0
    sealed: int = 0
    digests: dict[int, int] = {}


def done_of(job: PartitionJob, total: MergeReplies, rows: RowTotals) -> PartitionResult:
    """What all replies come to; `rows` is what the file has of the partition."""
    return PartitionResult(job.partition, total.fates, rows.people, rows.duplicates, total.written)


def jobs_of(
    snapshot: Snapshot, load: int, kept: Iterable[bytes], metas: Sequence[Meta]
) -> list[PartitionJob]:
    """A job for each partition; `kept` are the entries of rejected rows, as `kept_of` has them."""
    held = [meta.ever for meta in metas]
    size = call_buckets(sum(held))
    covered = all(code in meta.covered for meta in metas for code in snapshot.lists)
    snapshot = replace(snapshot, load=load)
    return [
        PartitionJob(number, snapshot, load, kept_in(number, kept), size, held[number], covered)
        for number in range(PARTITIONS)
    ]


def call_buckets(entries: int) -> int:
    """How many buckets to put into one call, where the roster holds so many entries."""
    in_bucket = entries // (PARTITIONS * BUCKETS) + 1
    return max(1, min(BUCKETS, CALL_ENTRIES // in_bucket))


async def preview(store: Store, job: PartitionJob, folder: Path) -> PartitionResult:
    """What the merge would do; nothing of the roster is written. The merge finds it."""
    portion, merging, total = (
        job.portion(folder),
        SnapshotMerge(store, job.snapshot),
        MergeReplies(),
    )
    seals = await merging.seals(job.partition) if job.snapshot.lists else b""
    kept = portion.kept(seals, job.due_ms)
    parts = parts_of(kept.buckets, job.call_buckets)
    async for _, merged in in_turn(merging, job, parts, dry=True):
        total.add(merged)
    total.add_fates(kept.unchanged)
    _path(job, folder).write_bytes(_encode(kept))
    done = done_of(job, total, kept.rows)
    done.sealed, done.digests = len(kept.sealed), kept.rows.digests
    return done


async def merge(store: Store, job: PartitionJob, folder: Path, begun: Position) -> PartitionResult:
    """What the merge did; buckets that a preview found sealed are not sent where they still are.

    A full snapshot's partition is finished with an image up to its log's end.
    """
    path, portion = _path(job, folder), cache(partial(job.portion, folder))
    kept = _decode(path.read_bytes()) if path.exists() else portion().kept()
    merging, total, left = SnapshotMerge(store, job.snapshot), MergeReplies(), list[int]()
    seals = seal_table(kept.seals)
    parts = parts_of(kept.buckets, job.call_buckets, kept.sealed, seals)
    async for part, merged in in_turn(merging, job, parts):
        async for sent, done in _opened(merging, job, portion, part, merged):
            total.add(done)
            left += sent.sealed
    total.add_fates(kept.unchanged if left == kept.sealed else portion().unchanged(left))
    if not job.snapshot.lists:
        await imaging.renew_if_much_logged(store, job.partition, total)
    elif not left or await imaging.has_no_others(merging, job.partition):
        await imaging.finish(merging, begun, kept.rows.fields, total)
    elif job.covered:
        await imaging.extend(merging, begun, total)
    else:
        await imaging.finish(merging, begun, None, total)
    return done_of(job, total, kept.rows)


def _path(job: PartitionJob, folder: Path) -> Path:
    return folder / f"{job.partition:02d}.kept"


async def _opened(
    merging: SnapshotMerge,
    job: PartitionJob,
    portion: Callable[[], Portion],
    part: MergeCall,
    merged: MergeResult,
) -> AsyncIterator[tuple[MergeCall, MergeResult]]:
    """The call and its reply; or those that bring its buckets, with rows where they need them."""
    if not merged.unsealed:
        yield part, merged
        return
    opened = sorted([*part.buckets, *portion().with_rows(merged.unsealed)])
    sealed = [number for number in part.sealed if number not in merged.unsealed]
    for each in parts_of(opened, job.call_buckets, sealed, part.seals, part.upto):
        again = await merging.merge(job.partition, each.buckets, job.how(each))
        async for done in _opened(merging, job, portion, each, again):
            yield done


def parts_of(
    buckets: Iterable[Bucket],
    most: int,
    sealed: Sequence[int] = (),
    seals: Octets = _NO_SEALS,
    upto: int = BUCKETS,
) -> Iterator[MergeCall]:
    """The buckets, in ascending order, in as few calls as may be: so many in each at most.

    The `sealed` ones, of all the `seals`, go with those that they lie between.
    """
    call: list[Bucket] = []
    size = at = 0
    for bucket in buckets:
        if len(call) == most or size > CALL_BYTES:
            end = bisect_left(sealed, bucket.number)
            yield MergeCall(call, bucket.number, sealed[at:end], seals)
            call, size, at = [], 0, end
        call.append(bucket)
        size += len(bucket.rows)
    if call or sealed:
        yield MergeCall(call, upto, sealed[at:], seals)


async def in_turn(
    merging: SnapshotMerge,
    job: PartitionJob,
    parts: Iterable[MergeCall],
    *,
    dry: bool = False,
    shows: bool = False,
) -> AsyncIterator[tuple[MergeCall, MergeResult]]:
    """Each call and its reply; the next is made ready while Redis answers the last.

    It is sent behind that reply: between any two calls Redis answers others.
    """
    waiting = ((part, job.how(part, dry=dry, shows=shows)) for part in parts)
    following = next(waiting, None)
    while following is not None:
        part, how = following
        reply = asyncio.create_task(merging.merge(job.partition, part.buckets, how))
        try:
            await asyncio.sleep(0)  # until it is sent
            following = next(waiting, None)
            result = await reply
        finally:
            reply.cancel()
        yield part, result


def kept_in_buckets(kept: bytes, call: Sequence[Bucket]) -> bytes:
    """The kept entries that may be in these buckets."""
    if not kept:
        return b""
    numbers = {bucket.number.to_bytes(2) for bucket in call}
    items = (kept[at : at + KEPT_BYTES] for at in range(0, len(kept), KEPT_BYTES))
    return b"".join(item for item in items if item[:14] == bytes(14) or item[:2] in numbers)
