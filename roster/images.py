"""A partition's filter made from its records, a few buckets at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from roster import keys
from roster.filter import TokenFilter, capacity_for

if TYPE_CHECKING:
    from roster.store import Store

BUCKETS_A_CALL = 32
"""A call reads some 2,000 people of a national roster; look-ups wait meanwhile."""
FIELD_BYTES = 12
_JOIN_BYTES = FIELD_BYTES * 4_096


async def scan(store: Store, partition: int) -> bytes:
    """The joined fields of everybody in the partition who belongs in its filter."""
    fields = [
        await store.fields(partition, range(first, first + BUCKETS_A_CALL))
        for first in range(0, keys.BUCKETS, BUCKETS_A_CALL)
    ]
    return b"".join(fields)


async def build(store: Store, partition: int) -> TokenFilter:
    """A filter from everything that the partition holds now."""
    joined = await scan(store, partition)
    token_filter = TokenFilter(capacity_for(len(joined) // FIELD_BYTES))
    await join(token_filter, joined)
    return token_filter


async def join(token_filter: TokenFilter, fields: bytes) -> None:
    """Nothing; these tokens are in the filter too, and the loop has served others meanwhile."""
    for at in range(0, len(fields), _JOIN_BYTES):
        token_filter.join_fields(fields[at : at + _JOIN_BYTES])
        await asyncio.sleep(0)
