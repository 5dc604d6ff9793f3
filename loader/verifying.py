"""One partition beside the file: which entries differ, and merging their buckets again."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from loader.buckets import Rows, buckets_of
from loader.partition import Done, Job, calls_of
from loader.spill import read_spill
from roster.entry import Registers, State
from roster.images import build
from roster.keys import BUCKETS
from roster.logs import end
from roster.merging import PLAIN, PLAIN_WITHOUT_REVISION, Bucket, How, Merged, Merging
from roster.record import HEADER, REGISTER_BYTES, WITHOUT_REVISION, Packed, split_record
from roster.store import Store

Kind = Literal["missing", "extra", "different", "newer"]

DIFFERENCES_MAX = 10_000
_RECORD = struct.Struct(">12sBI")
_READ_BUCKETS = 64
_LIVE = (State.ACTIVE, State.SUSPENDED)


class Difference(NamedTuple):
    """An entry about which file and roster disagree; `content` still packed."""

    kind: Kind
    list: int
    bucket: int
    content: bytes


class Compared(msgspec.Struct):
    """A partition beside the file: digests of both by list, and the differences.

    `counts` are by list and kind; `differences` are the first of them only. `buckets` are
    those with anything but what is newer in the roster.
    """

    partition: int
    file_digests: dict[int, int]
    counts: dict[tuple[int, Kind], int]
    differences: list[Difference]
    buckets: frozenset[int]
    people: int
    duplicates: int


async def compare(store: Store, job: Job, folder: Path) -> Compared:
    """How the roster differs from the file; nothing is written."""
    rows = Rows()
    blobs = {b.number: b.rows for b in buckets_of(read_spill(folder, job.partition), 0, rows)}
    kept = frozenset(job.kept[at : at + 21] for at in range(0, len(job.kept), 21))
    differences: list[Difference] = []
    for first in range(0, BUCKETS, _READ_BUCKETS):
        numbers = range(first, first + _READ_BUCKETS)
        held = await store.buckets(job.partition, numbers)
        for number, stored in zip(numbers, held, strict=True):
            differ = _Bucket(number, stored, job, kept)
            differences += differ.differences(blobs.get(number, b""))
    return _compared(job.partition, rows, differences)


def _compared(partition: int, rows: Rows, differences: list[Difference]) -> Compared:
    counts: dict[tuple[int, Kind], int] = {}
    for one in differences:
        counts[one.list, one.kind] = counts.get((one.list, one.kind), 0) + 1
    return Compared(
        partition=partition,
        file_digests=rows.digests,
        counts=counts,
        differences=differences[:DIFFERENCES_MAX],
        buckets=frozenset(one.bucket for one in differences if one.kind != "newer"),
        people=rows.people,
        duplicates=rows.duplicates,
    )


class _Bucket:
    """One bucket of the roster, to be compared with the file's."""

    def __init__(
        self, number: int, stored: Mapping[bytes, bytes], job: Job, kept: frozenset[bytes]
    ) -> None:
        self._number = number
        self._stored = stored
        self._lists = frozenset(job.snapshot.lists)
        self._as_of = job.snapshot.as_of
        self._kept = kept

    def differences(self, blob: bytes) -> Iterator[Difference]:
        """Where the file's records and the roster's disagree."""
        left = dict(self._stored)
        for field, kind, record in records(blob):
            stored = left.pop(field, b"")
            if kind != PLAIN or not _same(stored, record):
                yield from self._record(field, _rows(record, kind), stored)
        for field, stored in left.items():
            yield from self._record(field, [], stored)

    def _record(self, field: bytes, rows: list[Packed], stored: bytes) -> Iterator[Difference]:
        wanted = {(p.list, p.entry_hash): p for p in rows}
        known = {(p.list, p.entry_hash): p for p in split_record(stored)}
        for name in wanted.keys() | known.keys():
            if name[0] in self._lists:
                kind = self._kind(field, wanted.get(name), known.get(name))
                content = wanted.get(name) or known[name]
                if kind:
                    yield Difference(kind, name[0], self._number, content.content)

    def _kind(self, field: bytes, row: Packed | None, entry: Packed | None) -> Kind | None:
        if entry is None:
            return "missing" if row and _row_state(row) in _LIVE else None
        state = Registers(*entry.registers).state
        if row is None:
            if state not in _LIVE or self._keeps(field, entry):
                return None
            return "newer" if entry.registers[0] > self._as_of else "extra"
        if _agree(row, _row_state(row), entry, state):
            return None
        if _is_newer(row, entry, self._as_of):
            return "newer"
        return "different" if state in _LIVE else "missing"

    def _keeps(self, field: bytes, entry: Packed) -> bool:
        name = bytes((entry.list,)) + entry.entry_hash
        here = self._number.to_bytes(2) + field
        return here + name in self._kept or bytes(14) + name in self._kept


def _rows(record: bytes, kind: int) -> list[Packed]:
    """The rows of a record; `flags` says which of them state no revision."""
    rows = split_record(record)
    presents = record[3 : 2 + HEADER.size * len(rows) : HEADER.size]
    every = WITHOUT_REVISION if kind == PLAIN_WITHOUT_REVISION else 0
    return [
        row._replace(flags=every | (present & WITHOUT_REVISION))
        for row, present in zip(rows, presents, strict=True)
    ]


def _row_state(row: Packed) -> State:
    return Registers(*row.registers).state


def _agree(row: Packed, wanted: State, entry: Packed, state: State) -> bool:
    """Whether an entry is as its row says; one without a state leaves a suspension alone."""
    if wanted not in _LIVE:
        return state not in _LIVE
    if state not in _LIVE or row.content != entry.content:
        return False
    states_active = row.registers[3] > 0
    return state is wanted or (wanted is State.ACTIVE and not states_active)


def _is_newer(row: Packed, entry: Packed, as_of: int) -> bool:
    """Whether the merge law would leave the entry as it is: it knows of something newer."""
    stated = as_of if row.flags else max(row.registers)
    return max(entry.registers) > stated or (
        row.flags > 0 and Registers(*entry.registers).state is State.REMOVED
    )


def _same(stored: bytes, record: bytes) -> bool:
    size = 2 + (HEADER.size + REGISTER_BYTES) * int.from_bytes(record[:2])
    return stored[:size] == record[:size]


def records(blob: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """Field, kind and record of each record of a bucket's rows; flags say who has no revision."""
    at = 0
    while at < len(blob):
        field, kind, size = _RECORD.unpack_from(blob, at)
        at += _RECORD.size
        yield field, kind, blob[at : at + size]
        at += size


async def repair(store: Store, job: Job, folder: Path, numbers: frozenset[int]) -> Done:
    """What merging these buckets again did; the partition gets a new image."""
    merging, rows = Merging(store, job.snapshot), Rows()
    spilled = buckets_of(read_spill(folder, job.partition), job.load, rows)
    found = {bucket.number: bucket for bucket in spilled if bucket.number in numbers}
    buckets = [found.get(number, Bucket(number, b"", b"")) for number in sorted(numbers)]
    replies: list[Merged] = []
    for call in calls_of(buckets, job.call_buckets):
        upto = BUCKETS if call[-1] is buckets[-1] else call[-1].number + 1
        merged = await merging.merge(job.partition, call, How(upto=upto, kept=job.kept))
        replies += [merged] if merged else []
    here = await end(store, job.partition)
    await merging.finish(here, (await build(store, job.partition)).to_bytes(), whole=False)
    return Done(
        partition=job.partition,
        fates={},
        written=sum(merged.written for merged in replies),
        size_bytes=sum(merged.size_bytes for merged in replies),
        people=rows.people,
        duplicates=rows.duplicates,
    )
