"""Whole files in Redis: begin a snapshot, merge buckets, finish a partition."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from roster import keys
from roster.nodes import Call
from roster.position import Position, from_wire
from roster.replies import MARK_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roster.store import Store

PLAIN_WITHOUT_REVISION, PLAIN, MIXED = 255, 254, 0
"""What a record's rows have in common: none states a revision, or all do, and all are plainly
listed; anything else is mixed, and `record.WITHOUT_REVISION` marks the rows."""


class Snapshot(msgspec.Struct, frozen=True):
    """A file that is being merged; `lists` are codes, none for a partial file."""

    lists: bytes
    as_of: int
    nonce: str
    tombstone_ms: int


class Begun(NamedTuple):
    """A partition at the begin of a snapshot; `ever` entries were ever listed in it."""

    position: Position
    covered: bytes
    ever: int


class Bucket(NamedTuple):
    """One bucket's rows.

    `rows` are, for each record, field 12 bytes, kind u8, size u32, record. `tally` is the
    JSON of what the records count, for a bucket that is empty in Redis; `b""` if unknown.
    """

    number: int
    tally: bytes
    rows: bytes


class Merged(NamedTuple):
    """What became of rows and entries; `written` are records, `bytes` their size."""

    added: int = 0
    changed: int = 0
    ended: int = 0
    unchanged: int = 0
    superseded: int = 0
    written: int = 0
    bytes: int = 0

    def plus(self, other: Merged) -> Merged:
        """Both together."""
        return Merged(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class Merging:
    """The loader's calls; raises LoadRefused's cause, `ResponseError` OLDER, as redis gives it."""

    def __init__(self, store: Store, snapshot: Snapshot) -> None:
        """One snapshot on one store."""
        self.store = store
        self.snapshot = snapshot

    async def begin(self, partitions: Sequence[int]) -> list[Begun]:
        """The partitions as they stand; older snapshots of these lists are refused from now on."""
        snapshot = self.snapshot
        args = (self.store.check_value, snapshot.lists, snapshot.as_of, snapshot.nonce)
        calls = [Call(p, "begin_1", (keys.META[p],), args) for p in partitions]
        return [
            Begun(from_wire(p, position), covered, ever)
            for p, (position, covered, ever) in zip(
                partitions, await self.store.nodes.run(calls), strict=True
            )
        ]

    def call(self, partition: int, buckets: Sequence[Bucket]) -> Call:
        """The call that merges some buckets, in ascending order, into one partition."""
        names = [keys.META[partition], keys.LOG[partition]]
        args: list[bytes | str | int] = []
        for bucket in buckets:
            names += [
                keys.bucket(partition, bucket.number),
                keys.history(partition, bucket.number),
            ]
            args += [bucket.number, bucket.tally, bucket.rows]
        snapshot = self.snapshot
        head: list[bytes | str | int] = [
            self.store.check_value,
            snapshot.lists,
            snapshot.as_of,
            snapshot.nonce,
            snapshot.tombstone_ms,
            self.store.keep_ms,
            secrets.token_bytes(MARK_BYTES),
            buckets[-1].number + 1,
        ]
        return Call(partition, "merge_buckets_1", names, [*head, *args])

    async def merge(self, calls: Sequence[Call]) -> Merged:
        """What became of the rows of these calls together."""
        total = Merged()
        for reply in await self.store.nodes.run(calls):
            total = total.plus(Merged(*reply))
        return total

    async def finish(self, included: Position, bits: bytes) -> Position:
        """The partition's position; its lists are covered, its image is `bits`.

        `included` is the log's end from before the scan that made the bits.
        """
        snapshot, partition = self.snapshot, included.partition
        names = (keys.META[partition], keys.LOG[partition], keys.IMAGE[partition])
        args = (
            self.store.check_value,
            snapshot.lists,
            snapshot.as_of,
            snapshot.nonce,
            secrets.token_bytes(MARK_BYTES),
            included.wire,
            bits,
        )
        (reply,) = await self.store.nodes.run([Call(partition, "finish_1", names, args)])
        return from_wire(partition, reply[0])
