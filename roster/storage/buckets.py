"""Everything that whole buckets hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roster import keys
from roster.redis.calls import Call, pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roster.storage.store import Store


async def buckets_of(
    store: Store, partition: int, numbers: Sequence[int]
) -> list[dict[bytes, bytes]]:
    """All records of these buckets, by field. Raises Unavailable."""
    names = tuple(keys.bucket(partition, number) for number in numbers)
    (reply,) = await store.nodes.run([Call(partition, "read", names, ())])
    held = dict(zip(reply[::2], reply[1::2], strict=True))
    return [pairs(held.get(place, [])) for place in range(1, len(names) + 1)]
