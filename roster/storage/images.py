"""A partition's filter made from its records, a few buckets at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from roster import keys
from roster.filter import TokenFilter, capacity_for
from roster.keys import FIELD_BYTES
from roster.storage.logs import end, older_than

if TYPE_CHECKING:
    from roster.storage.store import Store

BUCKETS_A_CALL = 32
"""A call reads some 2,000 people of a national roster; look-ups wait meanwhile."""
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


async def renew(store: Store, partition: int, cutoff_ms: int = 0) -> TokenFilter | None:
    """The partition's new image; None where Redis has a newer one.

    The log goes up to the image, as far as it was applied before `cutoff_ms`.
    """
    here = await end(store, partition)
    token_filter = await build(store, partition)
    trim_to = await older_than(store, partition, cutoff_ms) if cutoff_ms else 0
    taken = await store.set_image(here, token_filter.to_bytes(), trim_to)
    return token_filter if taken else None


async def join(token_filter: TokenFilter, fields: bytes) -> None:
    """Add these tokens to the filter; the loop serves others meanwhile."""
    for at in range(0, len(fields), _JOIN_BYTES):
        token_filter.join_fields(fields[at : at + _JOIN_BYTES])
        await asyncio.sleep(0)
