"""The partitions by the server that has them, so that one server's failure is its own.

What goes to several servers at once fails as a whole where one of them does; whoever can do
with the rest asks here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from roster import keys
from roster.errors import ClearwayError
from roster.redis.calls import SLOTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from roster.redis.calls import Call, Plain
    from roster.redis.nodes import Nodes, Server


def by_server(nodes: Nodes, numbers: Iterable[int]) -> dict[Server, list[int]]:
    """These partitions by who owns them, as far as is known now."""
    found: dict[Server, list[int]] = {}
    for number in numbers:
        found.setdefault(nodes.server(SLOTS[number]), []).append(number)
    return found


async def ask_each(nodes: Nodes, calls: Sequence[Call | Plain]) -> list[Any]:
    """Every call's reply, or the ClearwayError that became of it, in its place."""
    parts: dict[Server, list[int]] = {}
    for index, call in enumerate(calls):
        parts.setdefault(nodes.server(call.slot), []).append(index)
    asked = [_tried(nodes, [calls[index] for index in indexes]) for indexes in parts.values()]
    replies: list[Any] = [None] * len(calls)
    for indexes, got in zip(parts.values(), await asyncio.gather(*asked), strict=True):
        for index, reply in zip(indexes, got, strict=True):
            replies[index] = reply
    return replies


async def _tried(nodes: Nodes, calls: Sequence[Call | Plain]) -> list[Any]:
    try:
        return await nodes.run(calls)
    except ClearwayError as exc:
        return [exc] * len(calls)


def first_of_each_server(nodes: Nodes) -> list[int]:
    """The first partition of every server."""
    return [numbers[0] for numbers in by_server(nodes, range(keys.PARTITIONS)).values()]
