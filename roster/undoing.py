"""How entries were before a load: what its merge has noted, read back for who undoes it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, NamedTuple

from roster import keys
from roster.calls import Call
from roster.record import split_record
from roster.replies import MARK_BYTES, events

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from roster.calls import Wait
    from roster.record import Packed
    from roster.store import Store


class Noted(NamedTuple):
    """One entry that a load changed: how it was, and how it was left, without its content."""

    token: bytes
    before: Packed
    left: Packed


async def noted(store: Store, partition: int, nonce: str) -> list[Noted]:
    """What the load of this nonce has noted in a partition, each entry's notes in their order."""
    name = f"undo:{nonce}"
    asked = [
        (partition, ("HGET", keys.history(partition, number), name))
        for number in range(keys.BUCKETS)
    ]
    got = await store.nodes.on_partitions(asked)
    return [
        Noted(event.token, *split_record(event.provenance))
        for data in got
        for event in events(partition, data or b"")
    ]


async def records(store: Store, tokens: Sequence[bytes]) -> list[bytes | None]:
    """What is stored of each of these documents now."""
    asked = [
        (
            token[1],
            ("HGET", keys.bucket(token[1], token[2] << 8 | token[3]), token[4:]),
        )
        for token in tokens
    ]
    return await store.nodes.on_partitions(asked)


async def uncover(store: Store, lists: Iterable[int], wait: Wait) -> None:
    """Nothing; these lists count as never loaded in full. Raises NotDurable."""
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
