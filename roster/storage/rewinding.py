"""What is said of all partitions at once: of which roster they are, that an older state is back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roster import keys
from roster.redis.calls import Call

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roster.redis.calls import Wait
    from roster.storage.store import Store


async def restored(store: Store, wait: Wait) -> int:
    """How many partitions there are: all of them count as rewound from now on.

    Raises Unavailable, WrongKey, and NotDurable where that may not be safe.
    """
    calls = [
        Call(p, "restored", (keys.META[p],), (store.check_value,)) for p in range(keys.PARTITIONS)
    ]
    return await store.count(calls, wait)


async def adopt(store: Store, partitions: Iterable[int]) -> None:
    """Nothing; these partitions state the roster's id, also those of a version without.

    Raises Unavailable and WrongKey.
    """
    names = zip(keys.META, keys.FORGOTTEN, keys.SEALS, strict=True)
    calls = [Call(p, "adopt", three, (store.stamp,)) for p, three in enumerate(names)]
    await store.nodes.run([calls[p] for p in partitions])
