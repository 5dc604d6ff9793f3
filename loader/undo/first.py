"""What undoing a list's first load does: it noted nothing that it added, but signed it."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import NamedTuple

from loader.undo.plan import REMOVED, Step, Undoing, live, removal, state_of
from roster.errors import Unreadable
from roster.keys import BUCKETS
from roster.records.record import Packed, load_of, readable, split_record
from roster.storage.histories import histories
from roster.storage.images import BUCKETS_A_CALL
from roster.storage.store import Store


class First(NamedTuple):
    """The load's number, the lists that it was the first of, and what its notes are about."""

    number: int
    lists: frozenset[int]
    undoing: Undoing
    noted: Collection[tuple[bytes, int, bytes]]


async def steps(store: Store, partition: int, first: First) -> list[Step]:
    """What to do in a partition with entries of these lists."""
    found: list[Step] = []
    touched: list[tuple[bytes, Packed]] = []
    for start in range(0, BUCKETS, BUCKETS_A_CALL):
        for token, packed in await _entries(store, partition, start, first):
            signed = load_of(packed.provenance)
            if signed == first.number and live(state_of(packed)):
                found.append(removal(token, packed, first.undoing))
            elif signed == first.undoing.number:
                found.append(Step(token, packed.list, packed.content, REMOVED))
            elif signed != first.number:
                touched.append((token, packed))
    return found + await _changed_since(store, touched)


async def _entries(
    store: Store, partition: int, start: int, first: First
) -> list[tuple[bytes, Packed]]:
    numbers = range(start, start + BUCKETS_A_CALL)
    found = []
    for number, bucket in zip(numbers, await store.buckets(partition, numbers), strict=True):
        for field, record in bucket.items():
            token = bytes((0, partition)) + number.to_bytes(2) + field
            with suppress(Unreadable), readable():
                found += [(token, packed) for packed in split_record(record)]
    return [
        (token, packed)
        for token, packed in found
        if packed.list in first.lists and (token, packed.list, packed.entry_hash) not in first.noted
    ]


async def _changed_since(store: Store, touched: list[tuple[bytes, Packed]]) -> list[Step]:
    """Those that were there before the first thing that is remembered of them: the load's."""
    past = await histories(store, [token for token, _ in touched])
    return [
        Step(token, packed.list, packed.content, REMOVED, stays=state_of(packed))
        for (token, packed), events in zip(touched, past, strict=True)
        if live(next((e.was for e in events if e.list == packed.list), state_of(None)))
    ]
