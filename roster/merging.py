"""Whole files in Redis: begin a snapshot, merge buckets, finish a partition."""

from __future__ import annotations

import secrets
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from redis.exceptions import ResponseError

from roster import keys
from roster.connection import error_code
from roster.diffing import Changed, changed
from roster.errors import LoadRefused
from roster.nodes import Call
from roster.position import Position, from_wire
from roster.replies import MARK_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roster.store import Store

PLAIN_WITHOUT_REVISION, PLAIN, MIXED = 255, 254, 0
"""What a record's rows have in common: none states a revision, or all do, and all are plainly
listed; anything else is mixed, and `record.WITHOUT_REVISION` marks the rows."""

SOME = b"some"
NOTHING = bytes(2)


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


class Stand(NamedTuple):
    """How a partition stands: how many writes it has seen, and the end of its log.

    `unlogged` says what changed since the watch before this without a log entry: how many
    changes u48, and a bit for each bucket; `b""` where nobody watched.
    """

    writes: int
    position: Position
    unlogged: bytes


class Bucket(NamedTuple):
    """One bucket's rows.

    `rows` are, for each record, field 12 bytes, kind u8, size u32, record. `tally` is the
    JSON of what the records count, for a bucket that is empty in Redis; `b""` if unknown.
    With `SOME` the rows speak only for the people whom they name; where the file has nothing
    of one, the record is `NOTHING`.
    """

    number: int
    tally: bytes
    rows: bytes


class Filled(NamedTuple):
    """Buckets that follow one another, as RESTORE takes them; `b""` where the file has nothing.

    They have so many `records` of `size_bytes` together; `tally` is as for `Bucket`, of all.
    """

    numbers: range
    payloads: Sequence[bytes]
    records: int
    size_bytes: int
    tally: bytes


class Fate(NamedTuple):
    """What became of the entries of a list, and of the rows about it."""

    added: int = 0
    changed: int = 0
    ended: int = 0
    unchanged: int = 0
    superseded: int = 0

    def plus(self, other: Fate) -> Fate:
        """Both together."""
        return Fate(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def once_more(self) -> Fate:
        """What it adds to the fate of the same rows, which counted as unchanged before."""
        return self._replace(unchanged=-self.added - self.changed - self.superseded)


class Merged(NamedTuple):
    """What a merge did: `written` records of `size_bytes` together, in the buckets `touched`.

    `seen` is how many writes the partition has seen; `told` are the seqs of the log entries
    that it wrote. `exceptions` are fields and whether their people are on a list, where the
    rows say otherwise. `fates` are by list code.
    """

    seen: int
    told: range
    written: int
    size_bytes: int
    touched: frozenset[int]
    exceptions: dict[bytes, bool]
    fates: dict[int, Fate]


class How(msgspec.Struct, frozen=True):
    """How some buckets are to be merged.

    `upto` is the bucket after the last that the call speaks for: what lies between its
    buckets is as the file says. `seen` is how many writes the partition must have seen for
    that to hold, or None. `kept` are entries that count as present, 21 bytes each: place
    (zeros: anybody's), list, entry hash.
    """

    upto: int
    seen: int | None = None
    kept: bytes = b""
    dry: bool = False


class Merging:
    """The loader's calls; raises LoadRefused where a newer load of these lists has begun."""

    def __init__(self, store: Store, snapshot: Snapshot) -> None:
        """One snapshot on one store."""
        self.store = store
        self.snapshot = snapshot
        self._calls: dict[int, int] = {}

    async def begin(self, partitions: Sequence[int]) -> list[Begun]:
        """The partitions as they stand; older snapshots of these lists are refused from now on."""
        snapshot = self.snapshot
        await self.store.name.read()
        args = (self.store.stamp, snapshot.lists, snapshot.as_of, snapshot.nonce)
        calls = [Call(p, "begin", (keys.META[p], keys.FORGOTTEN[p]), args) for p in partitions]
        return [
            Begun(from_wire(p, position), covered, ever)
            for p, (position, covered, ever) in zip(partitions, await self._run(calls), strict=True)
        ]

    async def watch(self, partition: int) -> Stand:
        """How the partition stands; until `finish` or `unwatch` it notes what its log does not."""
        (reply,) = await self._run([self._watch_call(partition, "1")])
        writes, position, unlogged = reply
        return Stand(writes, from_wire(partition, position), unlogged)

    async def unwatch(self, partitions: Sequence[int]) -> None:
        """Nothing; these partitions note nothing more."""
        await self._run([self._watch_call(partition, "") for partition in partitions])

    def _watch_call(self, partition: int, wanted: str) -> Call:
        return Call(partition, "watch", (keys.META[partition],), (self.store.check_value, wanted))

    async def merge(self, partition: int, buckets: Sequence[Bucket], how: How) -> Merged | None:
        """What the rows of these buckets, in ascending order, did or (dry) would do.

        None, and nothing is written, where the partition has seen other writes than `how` says.
        """
        (reply,) = await self._run([self._merge_call(partition, buckets, how)])
        return self._noted(partition, reply, dry=how.dry)

    def _noted(self, partition: int, reply: Sequence[Any], *, dry: bool = False) -> Merged | None:
        """The reply of a merge, which counts where it has written something."""
        if reply[0] < 0:
            return None
        self._calls[partition] = self._calls.get(partition, 0) + (not dry)
        return _merged(reply)

    def _merge_call(self, partition: int, buckets: Sequence[Bucket], how: How) -> Call:
        names = [keys.META[partition], keys.LOG[partition], keys.FORGOTTEN[partition]]
        snapshot = self.snapshot
        args: list[bytes | str | int] = [
            self.store.check_value,
            snapshot.lists,
            snapshot.as_of,
            snapshot.nonce,
            snapshot.tombstone_ms,
            self.store.keep_ms,
            secrets.token_bytes(MARK_BYTES),
            how.upto,
            "dry" if how.dry else "",
            "" if how.seen is None else how.seen,
            how.kept,
        ]
        for bucket in buckets:
            names.append(keys.bucket(partition, bucket.number))
            names.append(keys.history(partition, bucket.number))
            args += bucket
        return Call(partition, "merge_buckets", names, args)

    async def diff(self, partition: int, buckets: Sequence[Bucket], kept: bytes) -> list[Changed]:
        """Whose records the rows of these buckets would change; nothing is written."""
        how = How(0, kept=kept, dry=True)
        call = self._merge_call(partition, buckets, how)
        (reply,) = await self._run([Call(partition, "diff_buckets", call.keys, call.args)])
        return list(changed(reply[0]))

    async def fill(self, partition: int, filled: Filled) -> Merged | None:
        """What these buckets, which are new, did; only for a full snapshot.

        None, and nothing is written, where one of them is there already, where one of the
        lists is covered, or where the server does not take such payloads.
        """
        snapshot = self.snapshot
        names = [keys.bucket(partition, number) for number in filled.numbers]
        args: tuple[bytes | str | int, ...] = (
            self.store.check_value,
            snapshot.lists,
            snapshot.as_of,
            snapshot.nonce,
            filled.numbers.stop,
            filled.records,
            filled.size_bytes,
            filled.tally,
            *filled.payloads,
        )
        call = Call(partition, "fill_buckets", (keys.META[partition], *names), args)
        (reply,) = await self._run([call])
        return self._noted(partition, reply)

    async def finish(self, included: Position, bits: bytes, *, whole: bool = True) -> Position:
        """The partition's position; its lists are covered, its image is `bits`.

        `included` is the log's end from before the scan that made the bits. Raises LoadRefused
        also where something that was merged with this object is gone again. Not `whole`: only
        some buckets were merged, which ends no rewind.
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
            self._calls.get(partition, 0),
            "" if whole else "some",
        )
        (reply,) = await self._run([Call(partition, "finish", names, args)])
        return from_wire(partition, reply[0])

    async def _run(self, calls: Sequence[Call]) -> list[Any]:
        try:
            return await self.store.nodes.run(calls)
        except ResponseError as exc:
            message = _REFUSED.get(error_code(exc))
            if message is None:
                raise
            raise LoadRefused(message) from exc


def _merged(reply: Sequence[Any]) -> Merged:
    seen, before, after, written, size, touched, exceptions, *flat = reply
    return Merged(
        seen,
        range(before + 1, after + 1),
        written,
        size,
        frozenset(number for (number,) in _NUMBER.iter_unpack(touched)),
        dict(_EXCEPTION.iter_unpack(exceptions)),
        {flat[at]: Fate(*flat[at + 1 : at + 6]) for at in range(0, len(flat), 6)},
    )


_REFUSED = {
    "OLDER": "another load of this list has begun, as of the same time or a newer one",
    "FORGOTTEN": "the file is older than removals of this list that are forgotten by now",
    "PUTBACK": "an older state of the roster was put back while this load ran: load again",
}
_NUMBER = struct.Struct(">H")
_EXCEPTION = struct.Struct(">12s?")
