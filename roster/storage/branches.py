"""Which positions the logs of now go through: what a fail-over has lost has another's place."""

from __future__ import annotations

from itertools import chain, compress
from typing import TYPE_CHECKING

from roster import keys
from roster.redis.calls import Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from roster.records.position import Position
    from roster.storage.store import Store


async def here(store: Store, positions: Iterable[Position]) -> set[Position]:
    """Those of these positions through which the logs go; raises Unavailable and WrongKey."""
    wanted: dict[int, list[Position]] = {}
    for position in positions:
        wanted.setdefault(position.partition, []).append(position)
    calls = [_call(store, number, many) for number, many in wanted.items()]
    flags = b"".join(await store.nodes.run(calls) if calls else [])
    return set(compress(chain(*wanted.values()), map(b"1".__contains__, flags)))


def _call(store: Store, partition: int, positions: Sequence[Position]) -> Call:
    names = (keys.META[partition], keys.LOG[partition])
    wires = (position.wire for position in positions)
    return Call(partition, "here", names, (store.check_value, *wires))
