"""An older state of the roster that has come back: said, told of, and ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from roster import keys
from roster.redis.calls import Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from roster.records.meta import Meta
    from roster.redis.calls import Wait
    from roster.storage.store import Store


class Rewound(msgspec.Struct, frozen=True):
    """How many partitions are rewound, and how many people are listed in them.

    `until` says of each list, by its code, after which time (in ms since 1970) a full file has
    to have been cut that is still to be loaded.
    """

    partitions: int
    people: int
    until: dict[int, int]


def rewound(metas: Sequence[Meta]) -> Rewound | None:
    """What is rewound of these partitions; None where nothing is."""
    behind = [meta for meta in metas if meta.rewound]
    if not behind:
        return None
    until: dict[int, int] = {}
    for meta in behind:
        for code in _to_load(meta):
            until[code] = max(until.get(code, 0), meta.lost_ms)
    return Rewound(len(behind), sum(meta.people for meta in behind), until)


def _to_load(meta: Meta) -> set[int]:
    """The lists that were covered and have not been loaded since from a newer file."""
    lists = {*meta.covered, *meta.lost_lists}
    return {code for code in lists if meta.made_good_ms(code) <= meta.lost_ms}


async def restored(store: Store, wait: Wait) -> int:
    """How many partitions there are: all of them count as rewound from now on.

    Raises Unavailable, WrongKey, and NotDurable where that may not be safe.
    """
    calls = [
        Call(p, "restored", (keys.META[p],), (store.check_value,)) for p in range(keys.PARTITIONS)
    ]
    return await store.count(calls, wait)


async def accept(store: Store, wait: Wait | None = None) -> int:
    """How many partitions were rewound and are accepted as they are now.

    With `wait`, raises NotDurable where that may not be safe.
    """
    names = zip(keys.META, keys.LOG, keys.IMAGE, strict=True)
    calls = [Call(p, "accept", three, (store.check_value,)) for p, three in enumerate(names)]
    return await store.count(calls, wait)


async def adopt(store: Store, partitions: Iterable[int]) -> None:
    """Have these partitions state the roster's id, also those of a version without.

    Raises Unavailable and WrongKey.
    """
    names = zip(keys.META, keys.FORGOTTEN, keys.SEALS, strict=True)
    calls = [Call(p, "adopt", three, (store.stamp,)) for p, three in enumerate(names)]
    await store.nodes.run([calls[p] for p in partitions])
