"""What happened to documents' entries, and how entries were before a load, for who undoes it."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from roster import keys
from roster.errors import Unreadable
from roster.records.record import readable, split_record
from roster.records.replies import MARK_BYTES, events
from roster.redis.calls import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from roster.records.record import PackedEntry
    from roster.records.replies import LogEntry
    from roster.redis.calls import Wait
    from roster.storage.store import Store


class UndoNote(NamedTuple):
    """One entry that a load changed: how it was, and how it was left, without its content."""

    token: bytes
    before: PackedEntry
    left: PackedEntry


async def undo_notes(store: Store, partition: int, nonce: str) -> list[UndoNote]:
    """What the load of this nonce has noted in a partition, each entry's notes in their order."""
    name = f"undo:{nonce}"
    asked = [
        (partition, ("HGET", keys.history(partition, number), name))
        for number in range(keys.BUCKETS)
    ]
    got = await store.nodes.on_partitions(asked)
    return [
        UndoNote(event.token, *split_record(event.provenance))
        for data in got
        for event in events(partition, data or b"")
    ]


async def records(store: Store, tokens: Sequence[bytes]) -> list[list[PackedEntry]]:
    """What is stored of each of these documents now; of what cannot be read, nothing."""
    found: list[list[PackedEntry]] = []
    for record in await _each(store, tokens, keys.bucket):
        found.append([])
        with suppress(Unreadable), readable():
            found[-1] = split_record(record)
    return found


async def histories(store: Store, tokens: Sequence[bytes]) -> list[list[LogEntry]]:
    """What is remembered of each of these documents, oldest first."""
    got = await _each(store, tokens, keys.history)
    return [events(token[keys.PARTITION], data) for token, data in zip(tokens, got, strict=True)]


async def _each(
    store: Store, tokens: Sequence[bytes], name: Callable[[int, int], str]
) -> list[bytes]:
    places = [keys.place(token) for token in tokens]
    asked = [(p, ("HGET", name(p, number), field)) for p, number, field in places]
    return [data or b"" for data in await store.nodes.on_partitions(asked)]


async def uncover(store: Store, lists: Iterable[int], wait: Wait) -> None:
    """Count these lists as never loaded in full. Raises NotDurable."""
    args = (store.check_value, bytes(sorted(lists)))
    calls = [
        Call(
            p,
            "uncover",
            (keys.META[p], keys.LOG[p]),
            (*args, secrets.token_bytes(MARK_BYTES)),
        )
        for p in range(keys.PARTITIONS)
    ]
    await store.count(calls, wait)
