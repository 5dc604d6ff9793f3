"""The image that a load leaves of a partition: it holds everybody up to the log's end.

The file tells who is on a list, and each call's reply who is or is not, other than the file
says. What others have changed since the load began stands in the log between the load's own
entries; whoever joined there belongs to the image too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from roster.filter import TokenFilter, capacity_for
from roster.keys import FIELD_BYTES
from roster.records.position import Position
from roster.records.replies import Tail
from roster.storage.images import build, renew
from roster.storage.logs import logged as logged_of
from roster.storage.snapshots import MergeCounts, MergeResult, SnapshotMerge
from roster.storage.store import Store

AT_ONCE = 2_000
"""Entries of the log: a call takes Redis some milliseconds."""
TOLD_LEAST = 1_000
"""Entries that a load tells in a partition before its image is made anew."""


class MergeReplies:
    """The replies of a partition's calls together."""

    def __init__(self) -> None:
        self.fates: dict[int, MergeCounts] = {}
        self.exceptions: dict[bytes, bool] = {}
        self.logged: list[range] = []
        self.written = 0

    def add(self, merged: MergeResult) -> None:
        """Add one more reply."""
        self.add_fates(merged.fates)
        self.exceptions |= merged.exceptions
        self.logged += [merged.logged] if merged.logged else []
        self.written += merged.written

    def add_fates(self, fates: Mapping[int, MergeCounts]) -> None:
        """Add these fates."""
        for code, fate in fates.items():
            self.fates[code] = self.fates.get(code, MergeCounts()).plus(fate)


async def finish(
    merging: SnapshotMerge, begun: Position, fields: bytes | None, total: MergeReplies
) -> None:
    """Finish a full snapshot's partition, with an image up to its log's end.

    `fields` are the file's people who are on a list, or None where the replies have not told
    who is, other than these; `begun` is where the load began.
    """
    tail = (await merging.store.tails({begun.partition: begun}, {}, 1))[begun.partition]
    bits = None
    if tail.continues and fields is not None:
        joined = await _joined(merging.store, begun, tail.position, total.logged)
        if joined is not None:
            bits = filter_of(fields, total.exceptions | dict.fromkeys(joined, True))
    await _finish(merging, begun, tail, bits)


async def has_no_others(merging: SnapshotMerge, partition: int) -> bool:
    """Whether nobody in the partition is on another list: the file says who is on any."""
    (meta,) = await merging.store.metas((partition,))
    return meta.live_lists <= {*merging.snapshot.lists}


async def extend(merging: SnapshotMerge, begun: Position, total: MergeReplies) -> None:
    """Finish the partition, with the image that it had and who has joined since.

    Who has left stays in it until it is made anew: where much was told, or when it is full.
    """
    store, here = merging.store, begun.partition
    tail = (await store.tails({here: begun}, {}, 1))[here]
    (image,) = await store.images([here])
    bits = None
    little = sum(map(len, total.logged)) < TOLD_LEAST
    if image and little and (await store.log(image.header.position, 1)).continues:
        joined = await _joined(store, image.header.position, tail.position, ())
        known = TokenFilter.from_bytes(image.bits)
        if joined:
            known.join_fields(b"".join(joined))
        if joined is not None and not known.overfull:
            bits = known.to_bytes()
    await _finish(merging, begun, tail, bits)


async def _finish(merging: SnapshotMerge, begun: Position, tail: Tail, bits: bytes | None) -> None:
    """Finish the partition; without bits the image is made of all that it holds."""
    if bits is None:
        bits = (await build(merging.store, begun.partition)).to_bytes()
    # What is not known to go on from the begin is left to be judged by it.
    goes_on = tail.continues or tail.position.history > begun.history
    await merging.finish(tail.position if goes_on else begun, bits)


async def renew_if_much_logged(store: Store, partition: int, total: MergeReplies) -> None:
    """Renew the image where a partial file has told much: no process has to read it in the log."""
    if sum(map(len, total.logged)) >= TOLD_LEAST:
        await renew(store, partition)


async def _joined(
    store: Store, begun: Position, end: Position, own: Iterable[range]
) -> list[bytes] | None:
    """The fields of whom others put on a list since `begun`; None where the log has not all."""
    fields: list[bytes] = []
    for others in _between(begun.seq + 1, end.seq + 1, own):
        for first in range(others.start, others.stop, AT_ONCE):
            seqs = range(first, min(first + AT_ONCE, others.stop))
            logged = await logged_of(store, end, seqs)
            if len(logged) != len(seqs):
                return None
            fields += (entry.place[2:] for entry in logged if entry.joins)
    return fields


def _between(first: int, stop: int, own: Iterable[range]) -> Iterator[range]:
    """The seqs from `first` on that are in none of these ranges."""
    for mine in sorted(own, key=lambda each: each.start):
        if mine.start > first:
            yield range(first, mine.start)
        first = max(first, mine.stop)
    if stop > first:
        yield range(first, stop)


def filter_of(fields: bytes, exceptions: dict[bytes, bool]) -> bytes:
    """The filter of everybody who is on a list now."""
    if exceptions:
        each = [fields[at : at + FIELD_BYTES] for at in range(0, len(fields), FIELD_BYTES)]
        left = [field for field in each if field not in exceptions]
        fields = b"".join(left + [field for field, is_live in exceptions.items() if is_live])
    token_filter = TokenFilter(capacity_for(len(fields) // FIELD_BYTES))
    token_filter.add_fields(fields)
    return token_filter.to_bytes()
