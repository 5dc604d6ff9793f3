"""A partition's log beside what follows it: its end, its entries, which positions are in it.

All but `end` and `still_logged` are plain reads: a server that is cut off may answer with what
has been the roster once.
"""

from __future__ import annotations

from itertools import chain, compress
from typing import TYPE_CHECKING, Any

from roster import keys
from roster.records import replies
from roster.records.position import Position
from roster.records.replies import MARK_BYTES, LogEntry
from roster.redis.calls import Call

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from roster.storage.store import Store


OLD_AT_ONCE = 5_000


async def end(store: Store, partition: int) -> Position:
    """Where the partition's log ends now."""
    return (await store.tails({partition: None}, {}))[partition].position


async def oldest(store: Store, ends: Collection[Position]) -> list[Position]:
    """For each log that ends there: just before its oldest entry, or its end if it has none.

    The mark is zeros where the log no longer has it.
    """
    asked = [
        (p.partition, ("XRANGE", keys.LOG[p.partition], f"{p.history}-0", "+", "COUNT", 1))
        for p in ends
    ]
    got = await store.nodes.on_partitions(asked)
    return [_before(end, entries) for end, entries in zip(ends, got, strict=True)]


def _before(end: Position, entries: list[Any]) -> Position:
    if not entries:
        return end
    seq = int(entries[0][0].split(b"-")[1]) - 1
    return Position(end.partition, end.history, seq, bytes(MARK_BYTES))


async def logged(store: Store, upto: Position, seqs: range) -> list[LogEntry]:
    """The entries of one partition's log with these seqs, as far as it has them up to `upto`."""
    first, last = (f"{upto.history}-{seq}" for seq in (seqs.start, seqs.stop - 1))
    command = ("XRANGE", keys.LOG[upto.partition], first, last)
    (entries,) = await store.nodes.on_partitions([(upto.partition, command)])
    nowhere = upto._replace(mark=bytes(MARK_BYTES))
    return [replies.parse_log_entry(nowhere, data[MARK_BYTES:]) for _, (_, data) in entries]


async def older_than(store: Store, partition: int, cutoff_ms: int) -> int:
    """The seq of the first log entry from `cutoff_ms` on, as far as one read shows."""
    seq = 0
    for count in (1, OLD_AT_ONCE):  # mostly the oldest is young enough to stay
        command = ("XRANGE", keys.LOG[partition], "-", "+", "COUNT", count)
        (entries,) = await store.nodes.on_partitions([(partition, command)])
        for identifier, (_, data) in entries:
            seq = int(identifier.split(b"-")[1])
            if replies.applied_at_ms(data) >= cutoff_ms:
                return seq
    return seq


async def still_logged(store: Store, positions: Iterable[Position]) -> set[Position]:
    """Those of these positions through which the logs go; raises Unavailable and WrongKey."""
    wanted: dict[int, list[Position]] = {}
    for position in positions:
        wanted.setdefault(position.partition, []).append(position)
    calls = [_call(store, number, many) for number, many in wanted.items()]
    flags = b"".join(await store.nodes.run(calls) if calls else [])
    return set(compress(chain(*wanted.values()), map(b"1".__contains__, flags)))


def _call(store: Store, partition: int, positions: Sequence[Position]) -> Call:
    names = (keys.META[partition], keys.LOG[partition])
    wires = (position.wire for position in positions)
    return Call(partition, "here", names, (store.check_value, *wires))
