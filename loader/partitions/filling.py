"""A partition of a first load: its buckets go to Redis whole, as RESTORE takes them.

That spares Redis nearly all of the work, which is what a first load waits for. Where Redis
does not take some of them so, because they are there already or it has no such hashes, they
are merged like any others.

A payload is what DUMP gives (https://redis.io/docs/latest/commands/dump/): the type, the value
as in an RDB file, the version of that format, a CRC-64. The value is a listpack
(https://github.com/antirez/listpack/blob/master/listpack.md) of field, value, field, value. All
hashes are laid out at once: tables say which bytes stand where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import anycrc
import numpy as np

from loader.columns.columns import Numbers, Octets, Pieces, put
from loader.partitions import imaging
from loader.partitions.imaging import MergeReplies
from loader.partitions.partition import PartitionJob, PartitionResult, done_of, parts_of
from roster.keys import BUCKETS, FIELD_BYTES
from roster.records.position import Position
from roster.redis.requirements import LISTPACK_ENTRIES, LISTPACK_VALUE_BYTES
from roster.storage.snapshots import Bucket, FilledBuckets, SnapshotMerge
from roster.storage.store import Store

_HASH_LISTPACK = 16
"""The type, in Redis 7.0 and whatever came after it."""
_VERSION = 10
"""Of the RDB format, Redis 7.0's: newer servers take it."""
_END = bytes((255, *_VERSION.to_bytes(2, "little")))
"""A listpack's last byte, then the version."""
_crc = anycrc.Model("CRC64-REDIS").calc
"""CRC-64 of David T. Jones (http://www0.cs.ucl.ac.uk/staff/d.jones/crcnote.pdf), reflected."""
_HEAD_BYTES, _LENGTH_BYTES = 6, 5
_COUNT_MAX = 65_535
"""In the head of a listpack: so many elements, or more."""
_FIELD_HEAD = 0x80 | FIELD_BYTES
_FIELD_ELEMENT_BYTES = 1 + FIELD_BYTES + 1
_BACK_MAX = (127, 16_382, 2_097_150, 268_435_454)
"""How long an element may be, for its length to fit behind it in one, two, three, four bytes."""
WriteRecords = Callable[[Octets, Numbers], None]
CALL_BYTES = 384 << 10
"""In one call, and a bucket more: Redis answers nobody else meanwhile, 2 ms at national size."""
HELD_MAX = 32
"""Entries of a partition in Redis: with more of them most calls would meet one's bucket."""


def payloads(counts: Numbers, fields: Octets, sizes: Numbers, write: WriteRecords) -> list[bytes]:
    """A payload for each hash, which has the next so many (at least one) fields and values.

    `write` puts all values, of these sizes, at places of an array.
    """
    heads, backs = _heads(fields, sizes), _backs(sizes)
    elements = heads.sizes + sizes + backs.sizes
    first = np.cumsum(counts) - counts
    packed = np.add.reduceat(elements, first)
    begins = _begins(packed, counts)
    totals = begins.sizes + packed + len(_END)
    ends = np.cumsum(totals)
    starts = ends - totals
    into = np.empty(int(ends[-1]), np.uint8)
    put(into, starts, begins)
    before = np.cumsum(elements) - elements
    places = before + np.repeat(starts + begins.sizes - before[first], counts)
    put(into, places, heads)
    places += heads.sizes
    write(into, places)
    put(into, places + sizes, backs)
    for nth, octet in enumerate(_END, -len(_END)):
        into[ends + nth] = octet
    return [
        _checked(into.data[at:end]) for at, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]


def _checked(text: memoryview) -> bytes:
    """The text with its CRC."""
    return b"".join((text, _crc(text).to_bytes(8, "little")))


def _begins(packed: Numbers, counts: Numbers) -> Pieces:
    """What stands before the elements: type, length of the listpack, the listpack's head."""
    totals = _HEAD_BYTES + packed + 1
    sizes = 1 + (totals >= 1 << 6) + 3 * (totals >= 1 << 14)
    table = np.zeros((len(counts), 1 + _LENGTH_BYTES + _HEAD_BYTES), np.uint8)
    table[:, 2:6] = _octets(totals, ">u4")
    table[sizes == 2, 4] |= 0x40  # noqa: PLR2004 -- two bytes: the highest bits say so
    table[sizes == _LENGTH_BYTES, 1] = 0x80
    table[np.arange(len(counts)), _LENGTH_BYTES - sizes] = _HASH_LISTPACK
    table[:, 6:10] = _octets(totals, "<u4")
    table[:, 10:] = _octets(np.minimum(2 * counts, _COUNT_MAX), "<u2")
    starts = np.arange(0, table.size, table.shape[1]) + _LENGTH_BYTES - sizes
    return Pieces(table.reshape(-1), starts, sizes + 1 + _HEAD_BYTES)


def _heads(fields: Octets, sizes: Numbers) -> Pieces:
    """A field's whole element and what stands before its value."""
    table = np.empty((len(sizes), _FIELD_ELEMENT_BYTES + _LENGTH_BYTES), np.uint8)
    table[:, 0] = _FIELD_HEAD
    table[:, 1 : 1 + FIELD_BYTES] = fields
    table[:, 1 + FIELD_BYTES] = 1 + FIELD_BYTES
    head = table[:, _FIELD_ELEMENT_BYTES:]
    of = _value_head_sizes(sizes)
    head[:, 0] = np.select([of == 1, of == 2], [0x80 | sizes, 0xE0 | sizes >> 8], 0xF0)  # noqa: PLR2004 -- bytes
    head[:, 1:] = _octets(sizes, "<u4")
    starts = np.arange(0, table.size, table.shape[1])
    return Pieces(table.reshape(-1), starts, _FIELD_ELEMENT_BYTES + of)


def _value_head_sizes(sizes: Numbers) -> Numbers:
    return 1 + (sizes >= 1 << 6) + 3 * (sizes >= 1 << 12)


def _backs(sizes: Numbers) -> Pieces:
    """What stands behind each value: its element's length in sevens of bits."""
    lengths = sizes + _value_head_sizes(sizes)
    more = np.searchsorted(_BACK_MAX, lengths)
    table = np.empty((len(sizes), 1 + len(_BACK_MAX)), np.uint8)
    for nth in range(table.shape[1]):
        bits = lengths >> 7 * np.maximum(more - nth, 0) & 0x7F
        table[:, nth] = bits | 0x80 if nth else bits
    return Pieces(table.reshape(-1), np.arange(0, table.size, table.shape[1]), 1 + more)


def _octets(numbers: Numbers, kind: str) -> Octets:
    """The bytes of each number."""
    return np.ascontiguousarray(numbers.astype(kind)).view(np.uint8).reshape(len(numbers), -1)


def suits(job: PartitionJob) -> bool:
    """Whether the partition's buckets may be new to Redis."""
    return bool(job.snapshot.lists) and job.held <= HELD_MAX


async def fill(store: Store, job: PartitionJob, folder: Path, begun: Position) -> PartitionResult:
    """What the merge did, of a job that `suits`.

    The partition is finished with an image up to its log's end.
    """
    filling = _Filling(SnapshotMerge(store, job.snapshot), job, folder)
    for numbers in filling.calls():
        await filling.bring(numbers)
    rows, total = filling.portion.rows, filling.total
    await imaging.finish(filling.merging, begun, rows.fields, total)
    return done_of(job, total, rows)


class _Filling:
    """A partition's buckets on their way to Redis."""

    def __init__(self, merging: SnapshotMerge, job: PartitionJob, folder: Path) -> None:
        """Of the file everything is known then."""
        self.merging = merging
        self.total = MergeReplies()
        self.portion = job.portion(folder)
        self._job = job
        self._payloads = [b""] * BUCKETS
        self._records, self._sizes, self._largest = np.zeros((3, BUCKETS), np.int64)
        self._merged: dict[int, Bucket] | None = None
        if self.portion.people.numbers():
            self._lay_out()

    def _lay_out(self) -> None:
        numbers, starts, fields, sizes, write = self.portion.people.new_buckets()
        counts = np.diff(starts, append=len(sizes))
        made = payloads(counts, fields, sizes, write)
        for number, payload in zip(numbers.tolist(), made, strict=True):
            self._payloads[number] = payload
        self._records[numbers] = counts
        self._sizes[numbers] = np.add.reduceat(sizes, starts)
        self._largest[numbers] = np.maximum.reduceat(sizes, starts)

    def calls(self) -> Iterator[range]:
        """All buckets in as few calls as may be."""
        first = size = 0
        for number, payload in enumerate(self._payloads):
            size += len(payload)
            if size > CALL_BYTES or number == BUCKETS - 1:
                yield range(first, number + 1)
                first, size = number + 1, 0

    async def bring(self, numbers: range) -> None:
        """Merge these buckets, and add to the total what that did."""
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
        """Merge these buckets by their rows."""
        if self._merged is None:
            self._merged = {bucket.number: bucket for bucket in self.portion.buckets()}
        job, buckets = self._job, (self._merged[number] for number in numbers)
        for part in parts_of(buckets, job.call_buckets, upto=numbers.stop):
            self.total.add(await self.merging.merge(job.partition, part.buckets, job.how(part)))
