"""One partition of a snapshot: what it would change, the merge itself, and its new filter."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from loader.buckets import Rows, buckets_of
from loader.spill import read_spill
from loader.unusual import Tally
from roster.filter import TokenFilter, capacity_for
from roster.keys import BUCKETS, PARTITIONS
from roster.merging import Bucket, Fate, How, Merged, Merging, Snapshot
from roster.position import Position
from roster.store import Store

CALL_BYTES = 384 << 10
CALL_ENTRIES = 4_096
"""At most in one call: Redis answers nobody else meanwhile, so it must take a few ms."""
_CALLS_AHEAD = 2
_FIELD_BYTES = 12
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[bytes, list[Bucket]]).decode

_EMPTY = Tally().json()


class Job(msgspec.Struct, frozen=True):
    """A partition to merge; `kept` are entries of rejected rows (`How`).

    `call_buckets` is how many buckets go into one call at most, for what Redis holds in them.
    """

    partition: int
    snapshot: Snapshot
    load: int
    kept: bytes = b""
    call_buckets: int = 64


class Preview(msgspec.Struct):
    """What a partition's merge would do, as of `seen` writes to it."""

    partition: int
    seen: int
    fates: dict[int, Fate]
    exceptions: dict[bytes, bool]
    digests: dict[int, int]
    people: int
    duplicates: int


class Done(msgspec.Struct):
    """What a partition's merge did."""

    partition: int
    fates: dict[int, Fate]
    written: int
    size_bytes: int
    people: int
    duplicates: int


class _Sum:
    """The replies of a partition's calls together."""

    def __init__(self) -> None:
        self.fates: dict[int, Fate] = {}
        self.exceptions: dict[bytes, bool] = {}
        self.written = self.size_bytes = 0
        self.first_seen = self.last_seen = -1

    def add(self, merged: Merged) -> None:
        for code, fate in merged.fates.items():
            self.fates[code] = self.fates.get(code, Fate()).plus(fate)
        self.exceptions |= merged.exceptions
        self.written += merged.written
        self.size_bytes += merged.size_bytes
        self.last_seen = merged.seen
        if self.first_seen < 0:
            self.first_seen = merged.seen


def call_buckets(entries: int) -> int:
    """How many buckets to put into one call, where the roster holds so many entries."""
    in_bucket = entries // (PARTITIONS * BUCKETS) + 1
    return max(1, min(BUCKETS, CALL_ENTRIES // in_bucket))


async def preview(store: Store, job: Job, folder: Path) -> Preview:
    """What the merge would do; nothing is written."""
    rows, changing = Rows(), list[Bucket]()
    buckets = _buckets(job, folder, rows)
    total = await _merge_all(Merging(store, job.snapshot), job, buckets, changing)
    _kept_path(folder, job).write_bytes(_encode((rows.fields, changing)))
    return Preview(
        partition=job.partition,
        seen=total.first_seen,
        fates=total.fates,
        exceptions=total.exceptions,
        digests=rows.digests,
        people=rows.people,
        duplicates=rows.duplicates,
    )


async def merge(
    store: Store, job: Job, folder: Path, begun: Position, previewed: Preview | None
) -> Done:
    """What the merge did. With a preview, only what that says will change is sent at first.

    A full snapshot's partition is finished with a filter that includes `begun` and more.
    """
    merging, rows = Merging(store, job.snapshot), Rows()
    total = None
    if previewed:
        rows.fields, changing = _decode(_kept_path(folder, job).read_bytes())
        rows.people, rows.duplicates = previewed.people, previewed.duplicates
        total = await _merge_touched(merging, job, changing, previewed)
    if total is None:
        rows = Rows()
        total = await _merge_all(merging, job, _buckets(job, folder, rows))
    if job.snapshot.lists:
        await merging.finish(begun, _filter(rows.fields, total.exceptions))
    return Done(
        partition=job.partition,
        fates=total.fates,
        written=total.written,
        size_bytes=total.size_bytes,
        people=rows.people,
        duplicates=rows.duplicates,
    )


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


async def _merge_all(
    merging: Merging, job: Job, buckets: Iterable[Bucket], changing: list[Bucket] | None = None
) -> _Sum:
    """Every bucket; the next call is made ready while Redis answers the last ones.

    With `changing` nothing is written; the buckets that would change are added to it.
    """
    total = _Sum()
    ahead: deque[tuple[list[Bucket], asyncio.Task[Merged | None]]] = deque()
    try:
        for call in calls_of(buckets, job.call_buckets):
            dry = changing is not None
            how = How(upto=call[-1].number + 1, kept=_near(job.kept, call), dry=dry)
            ahead.append((call, asyncio.create_task(merging.merge(job.partition, call, how))))
            await asyncio.sleep(0)
            if len(ahead) == _CALLS_AHEAD:
                await _settle(total, changing, *ahead.popleft())
        while ahead:
            await _settle(total, changing, *ahead.popleft())
    finally:
        for _, task in ahead:
            task.cancel()
    return total


async def _settle(
    total: _Sum,
    changing: list[Bucket] | None,
    call: list[Bucket],
    task: asyncio.Task[Merged | None],
) -> None:
    merged = await task
    if merged is not None:
        total.add(merged)
        if changing is not None:
            changing += [bucket for bucket in call if bucket.number in merged.touched]


async def _merge_touched(
    merging: Merging, job: Job, changing: Sequence[Bucket], previewed: Preview
) -> _Sum | None:
    """Only the buckets that change, or None where the partition has changed since the preview."""
    total = _Sum()
    total.fates = previewed.fates
    total.exceptions = dict(previewed.exceptions)
    seen = previewed.seen
    calls = list(calls_of(changing, job.call_buckets))
    for index, call in enumerate(calls):
        upto = BUCKETS if index == len(calls) - 1 else call[-1].number + 1
        how = How(upto=upto, seen=seen, kept=_near(job.kept, call))
        merged = await merging.merge(job.partition, call, how)
        if merged is None:
            return None
        seen = merged.seen
        total.written += merged.written
        total.size_bytes += merged.size_bytes
    if not calls and job.snapshot.lists and not await _stands_still(merging, job, seen):
        return None
    return total


def _kept_path(folder: Path, job: Job) -> Path:
    """What a preview keeps for the merge: fields of people on a list, buckets that change."""
    return folder / f"{job.partition:02d}.kept"


async def _stands_still(merging: Merging, job: Job, seen: int) -> bool:
    """Whether nothing has happened since the preview; the whole partition counts as merged."""
    empty: list[Bucket] = []
    return await merging.merge(job.partition, empty, How(upto=BUCKETS, seen=seen)) is not None


def _near(kept: bytes, call: Sequence[Bucket]) -> bytes:
    """The kept entries that may be in these buckets."""
    if not kept:
        return b""
    numbers = {bucket.number.to_bytes(2) for bucket in call}
    items = (kept[at : at + 21] for at in range(0, len(kept), 21))
    return b"".join(item for item in items if item[:14] == bytes(14) or item[:2] in numbers)


def _filter(fields: bytes, exceptions: dict[bytes, bool]) -> bytes:
    """The filter of everybody who is on a list now."""
    if exceptions:
        each = [fields[at : at + _FIELD_BYTES] for at in range(0, len(fields), _FIELD_BYTES)]
        left = [field for field in each if exceptions.get(field, True)]
        fields = b"".join(left + [field for field, is_live in exceptions.items() if is_live])
    token_filter = TokenFilter(capacity_for(len(fields) // _FIELD_BYTES))
    token_filter.add_fields(fields)
    return token_filter.to_bytes()
