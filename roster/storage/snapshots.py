"""Whole files in Redis: begin a snapshot, merge buckets, finish a partition."""

from __future__ import annotations

import secrets
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from redis.exceptions import ResponseError

from roster import keys
from roster.errors import LoadRefused
from roster.records.position import Position, from_wire
from roster.records.record import pack_load
from roster.records.replies import MARK_BYTES, Rewritten, rewritten
from roster.redis.calls import Call
from roster.redis.connection import error_code

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from roster.storage.store import Store

PLAIN_WITHOUT_REVISION, PLAIN, MIXED = 255, 254, 0
"""What a record's rows have in common: none states a revision, or all do, and all are plainly
listed; anything else is mixed, and `record.WITHOUT_REVISION` marks the rows."""


class Snapshot(msgspec.Struct, frozen=True):
    """A file that is being merged; `lists` are codes, none for a partial file.

    What it ends is told to have ended by `load`, where that is known.
    """

    lists: bytes
    as_of: int
    nonce: str
    tombstone_ms: int
    load: int = 0


class SnapshotStart(NamedTuple):
    """A partition at the begin of a snapshot; `ever` entries were ever listed in it."""

    position: Position
    covered: bytes
    ever: int


class Bucket(NamedTuple):
    """One bucket's rows.

    `rows` are, for each record, field 12 bytes, kind u8, size u32, record. `tally` is the
    JSON of what the records count, for a bucket that is empty in Redis; `b""` if unknown.
    `digests` are of the rows, 8 bytes for each list of the snapshot, nothing if unknown.
    """

    number: int
    tally: bytes
    rows: bytes
    digests: bytes = b""


class FilledBuckets(NamedTuple):
    """Buckets that follow one another, as RESTORE takes them; `b""` where the file has nothing.

    They have so many `records` of `size_bytes` together; `tally` is of all, `seals` list by list.
    """

    numbers: range
    payloads: Sequence[bytes]
    records: int
    size_bytes: int
    tally: bytes
    seals: bytes


class DifferingEntry(NamedTuple):
    """An entry about which file and roster disagree; `content` still packed.

    `kind` is the field of `MergeCounts`: what the merge would make of it.
    """

    kind: str
    list: int
    bucket: int
    content: bytes


class MergeCounts(NamedTuple):
    """What became of the entries of a list, and of the rows about it."""

    added: int = 0
    changed: int = 0
    ended: int = 0
    unchanged: int = 0
    superseded: int = 0

    def plus(self, other: MergeCounts) -> MergeCounts:
        """Both together."""
        return MergeCounts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class MergeResult(NamedTuple):
    """What a merge did: `written` records of `size_bytes` together, in the buckets `touched`.

    `logged` are the seqs of the log entries that it wrote. `exceptions` are fields and whether
    their people are on a list, where the rows say otherwise. `fates` are by list code. Where
    buckets are `unsealed` that were told to be sealed, nothing was merged.
    """

    logged: range
    written: int
    size_bytes: int
    touched: frozenset[int]
    exceptions: dict[bytes, bool]
    shown: list[DifferingEntry]
    fates: dict[int, MergeCounts]
    unsealed: frozenset[int] = frozenset()


class MergeOptions(msgspec.Struct, frozen=True):
    """How some buckets are to be merged.

    `upto` is the bucket after the last that the call speaks for. `kept` are entries that count
    as present, 21 bytes each: place (zeros: anybody's), list, entry hash. `sealed` are buckets
    that are merged without rows, and without effect: for each run of them its first number u16,
    how many u16, and their seals, list after list. A `dry` merge writes nothing; one that `shows`
    is dry, and says which entries differ.
    """

    upto: int
    kept: bytes = b""
    sealed: bytes = b""
    dry: bool = False
    shows: bool = False


class SnapshotMerge:
    """The loader's calls; raises LoadRefused where a newer load of these lists has begun."""

    def __init__(self, store: Store, snapshot: Snapshot) -> None:
        """One snapshot on one store."""
        self.store = store
        self.snapshot = snapshot
        self._calls: dict[int, int] = {}

    async def begin(self, partitions: Sequence[int]) -> list[SnapshotStart]:
        """The partitions as they stand; older snapshots of these lists are refused from now on."""
        snapshot = self.snapshot
        await self.store.roster_id.read()
        args = (self.store.stamp, snapshot.lists, snapshot.as_of, snapshot.nonce)
        calls = [
            Call(p, "begin", (keys.META[p], keys.FORGOTTEN[p], keys.SEALS[p]), args)
            for p in partitions
        ]
        return [
            SnapshotStart(from_wire(p, position), covered, ever)
            for p, (position, covered, ever) in zip(partitions, await self._run(calls), strict=True)
        ]

    async def seals(self, partition: int) -> bytes:
        """Of all buckets, list after list; nothing where they do not hold."""
        names, stamp = (keys.META[partition], keys.SEALS[partition]), self.store.check_value
        call = Call(partition, "read_seals", names, (stamp, self.snapshot.lists))
        (reply,) = await self._run([call])
        return bytes(reply[0])

    async def merge(
        self, partition: int, buckets: Sequence[Bucket], how: MergeOptions
    ) -> MergeResult:
        """What the rows of these buckets, in ascending order, did or (dry) would do."""
        (reply,) = await self._run([self._merge_call(partition, buckets, how)])
        merged = _merged(reply)
        if not (how.dry or how.shows or merged.unsealed):
            self._count(partition)
        return merged

    @property
    def _named(self) -> tuple[bytes, bytes, int, str]:
        """The roster's check value, and which snapshot it is."""
        snapshot = self.snapshot
        return self.store.check_value, snapshot.lists, snapshot.as_of, snapshot.nonce

    def _count(self, partition: int) -> None:
        """Count one more call that has written something."""
        self._calls[partition] = self._calls.get(partition, 0) + 1

    def _merge_call(self, partition: int, buckets: Sequence[Bucket], how: MergeOptions) -> Call:
        tables = (keys.META, keys.LOG, keys.FORGOTTEN, keys.SEALS)
        names = [table[partition] for table in tables]
        snapshot = self.snapshot
        args: list[bytes | str | int] = [
            *self._named,
            snapshot.tombstone_ms,
            self.store.keep_ms,
            secrets.token_bytes(MARK_BYTES),
            how.upto,
            "show" if how.shows else "dry" if how.dry else "",
            how.kept,
            how.sealed,
            pack_load(snapshot.load) if snapshot.load else b"",
        ]
        for bucket in buckets:
            names += [make(partition, bucket.number) for make in (keys.bucket, keys.history)]
            args += bucket
        return Call(partition, "merge_buckets", names, args)

    async def diff(self, partition: int, buckets: Sequence[Bucket], kept: bytes) -> list[Rewritten]:
        """Whose records the rows of these buckets would change; nothing is written."""
        how = MergeOptions(0, kept=kept, dry=True)
        call = self._merge_call(partition, buckets, how)
        (reply,) = await self._run([Call(partition, "diff_buckets", call.keys, call.args)])
        return list(rewritten(reply[0]))

    async def fill(self, partition: int, filled: FilledBuckets) -> MergeResult | None:
        """What these buckets, which are new, did; only for a full snapshot.

        None, and nothing is written, where one of them is there already, where one of the
        lists is covered, or where the server does not take such payloads.
        """
        args: tuple[bytes | str | int, ...] = (
            *self._named,
            filled.numbers.stop,
            filled.records,
            filled.size_bytes,
            filled.tally,
            filled.numbers.start,
            filled.seals,
            *filled.payloads,
        )
        names = (keys.bucket(partition, number) for number in filled.numbers)
        named = (keys.META[partition], keys.SEALS[partition], *names)
        (reply,) = await self._run([Call(partition, "fill_buckets", named, args)])
        if reply[0] < 0:
            return None
        self._count(partition)
        return _merged(reply)

    async def finish(self, included: Position, bits: bytes, *, whole: bool = True) -> Position:
        """The partition's position; its lists are covered, its image is `bits`.

        `included` is the log's end from before the scan that made the bits. Raises LoadRefused
        also where something that was merged with this object is gone again. Not `whole`: only
        some buckets were merged, which ends no rewind.
        """
        partition = included.partition
        names = (keys.META[partition], keys.LOG[partition], keys.IMAGE[partition])
        args = (*self._named, secrets.token_bytes(MARK_BYTES), included.wire, bits)
        done = (self._calls.get(partition, 0), "" if whole else "some")
        (reply,) = await self._run([Call(partition, "finish", names, (*args, *done))])
        return from_wire(partition, reply[0])

    async def _run(self, calls: Sequence[Call]) -> list[Any]:
        try:
            return await self.store.nodes.run(calls)
        except ResponseError as exc:
            message = _REFUSED.get(error_code(exc))
            if message is None:
                raise
            raise LoadRefused(message) from exc


def _merged(reply: Sequence[Any]) -> MergeResult:
    if reply[0] < 0:
        return MergeResult(range(0), 0, 0, frozenset(), {}, [], {}, _numbers(reply[1]))
    before, after, written, size, touched, exceptions, shown, *flat = reply
    return MergeResult(
        range(before + 1, after + 1),
        written,
        size,
        _numbers(touched),
        dict(_EXCEPTION.iter_unpack(exceptions)),
        list(_shown(shown)),
        {flat[at]: MergeCounts(*flat[at + 1 : at + 6]) for at in range(0, len(flat), 6)},
    )


def _numbers(joined: bytes) -> frozenset[int]:
    return frozenset(number for (number,) in _NUMBER.iter_unpack(joined))


def _shown(joined: bytes) -> Iterator[DifferingEntry]:
    at = 0
    while at < len(joined):
        kind, code, bucket, size = _SHOWN.unpack_from(joined, at)
        at += _SHOWN.size + size
        yield DifferingEntry(MergeCounts._fields[kind - 1], code, bucket, joined[at - size : at])


_REFUSED = {
    "OLDER": "another load of this list has begun, as of the same time or a newer one",
    "FORGOTTEN": "the file is older than removals of this list that are forgotten by now",
    "PUTBACK": "an older state of the roster was put back while this load ran: load again",
}
_NUMBER = struct.Struct(">H")
_EXCEPTION = struct.Struct(">12s?")
_SHOWN = struct.Struct(">BBHH")
