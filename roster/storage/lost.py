"""What processes remember of the changes that a rewound roster has lost, kept until that ends.

They had read them in the log that is gone. Nothing is decided by it: whoever thinks of accepting
what is stored can see whom that would harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from roster import keys
from roster.records.position import NO_MARK, Position, from_wire
from roster.records.replies import LogEntry, applied_at_ms, parse_log_entry
from roster.redis.calls import pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from roster.records.meta import Meta
    from roster.storage.store import Store

AT_ONCE = 500
"""So many entries go into a command."""


class RememberedEntry(NamedTuple):
    """An entry of a log, and its bytes behind its mark."""

    position: Position
    event: bytes


class Losses(NamedTuple):
    """What is known of what these partitions have lost.

    `changes` are those from the last that is left to the last that was acknowledged, None
    where somebody only said that a backup came back; `entries` are those of them, and of later
    ones, that are remembered, in each partition's order. `complete` says whether that is all.
    `kept_ms` is when the newest change was applied that is left of before, 0 where no log says it.
    """

    changes: int | None
    entries: list[LogEntry]
    complete: bool
    kept_ms: int


async def remember(store: Store, entries: Sequence[RememberedEntry], keep_ms: int) -> None:
    """Keep these entries of one partition for so long; raises Unavailable."""
    for first in range(0, len(entries), AT_ONCE):
        part = entries[first : first + AT_ONCE]
        partition = part[0].position.partition
        name = keys.LOST[partition]
        fields = [data for each in part for data in (each.position.wire, each.event)]
        commands = [("HSET", name, *fields), ("PEXPIRE", name, keep_ms)]
        await store.nodes.on_partitions([(partition, words) for words in commands])


async def forget(store: Store, partitions: Iterable[int]) -> None:
    """Drop what is kept of these partitions; raises Unavailable."""
    await store.nodes.on_partitions([(p, ("DEL", keys.LOST[p])) for p in partitions])


async def losses(store: Store, metas: Mapping[int, Meta]) -> Losses:
    """What is known of these partitions, which are rewound; raises Unavailable."""
    found = [await _losses(store, number, meta) for number, meta in metas.items()]
    counts = [each.changes for each in found if each.changes is not None]
    return Losses(
        changes=sum(counts) if len(counts) == len(found) else None,
        entries=[entry for each in found for entry in each.entries],
        complete=all(each.complete for each in found),
        kept_ms=max((each.kept_ms for each in found), default=0),
    )


async def _losses(store: Store, partition: int, meta: Meta) -> Losses:
    kept, last = meta.kept(partition), meta.lost(partition)
    (held,) = await store.nodes.on_partitions([(partition, ("HGETALL", keys.LOST[partition]))])
    remembered = sorted(_remembered(partition, meta, pairs(held)), key=_order)
    places = [each.position for each in remembered] + ([kept] if kept else [])
    there = await _logged(store, partition, places)
    entries = [each for each in remembered if _name(each.position) not in there]
    count = _between(kept, last)
    newest = there.get(_name(kept)) if kept else None
    return Losses(
        changes=count,
        entries=entries,
        complete=count is not None and len({each.position.seq for each in entries}) >= count,
        kept_ms=applied_at_ms(newest) if newest else 0,
    )


def _remembered(partition: int, meta: Meta, held: Mapping[bytes, bytes]) -> Iterator[LogEntry]:
    """The entries that are kept, but for those of an earlier loss that was accepted."""
    entries = (parse_log_entry(from_wire(partition, at), data) for at, data in held.items())
    return (entry for entry in entries if entry.applied_at_ms > meta.accepted_ms)


async def _logged(
    store: Store, partition: int, places: Sequence[Position]
) -> dict[tuple[bytes, bytes], bytes]:
    """What the log has from the first to the last of these, by id and mark."""
    if not places:
        return {}
    span = [f"{each.history}-{each.seq}" for each in (min(places), max(places))]
    command = ("XRANGE", keys.LOG[partition], *span)
    (logged,) = await store.nodes.on_partitions([(partition, command)])
    return {(identifier, data[: len(NO_MARK)]): data for identifier, (_, data) in logged}


def _order(entry: LogEntry) -> tuple[int, int, int]:
    return entry.position.history, entry.position.seq, entry.applied_at_ms


def _name(position: Position) -> tuple[bytes, bytes]:
    """What a position's entry is called in its stream, and its mark."""
    return f"{position.history}-{position.seq}".encode(), position.mark


def _between(kept: Position | None, last: Position | None) -> int | None:
    """How many changes lie behind `kept` up to `last`; None where nobody can say."""
    if kept is None or last is None or kept.history != last.history:
        return None
    return max(0, last.seq - kept.seq)
