"""What is kept for a while only: people's histories, tombstones, the log, old functions."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec
from redis.exceptions import ResponseError

from roster import keys
from roster.errors import Unavailable
from roster.records.meta import Field
from roster.records.replies import header
from roster.redis.calls import PREFIX, Call, library
from roster.redis.connection import translated
from roster.storage.images import renew
from roster.storage.logs import OLD_AT_ONCE, older_than

if TYPE_CHECKING:
    from collections.abc import Iterable

    import redis.asyncio

    from roster.redis.nodes import Nodes
    from roster.storage.processes import Process
    from roster.storage.store import Store


QUIET_TIMES = 2
"""After so many times as long without a full file a list comes by changes alone."""


class RetentionPeriods(msgspec.Struct, frozen=True):
    """How long what is kept: a person's history, a tombstone, the log, a key that works no more."""

    history_ms: int
    tombstone_ms: int
    log_ms: int
    keys_ms: int


class BucketRange(msgspec.Struct, frozen=True):
    """Some buckets of one partition, at a moment of Redis' clock."""

    partition: int
    buckets: range
    now_ms: int


async def purge_histories(
    store: Store, partition: int, buckets: Iterable[int], cutoff_ms: int
) -> None:
    """Forget what happened to these buckets' people before `cutoff_ms`."""
    names = tuple(keys.history(partition, number) for number in buckets)
    await store.nodes.run([Call(partition, "purge", names, (cutoff_ms,))])


async def forget(store: Store, place: BucketRange, terms: RetentionPeriods, lists: bytes) -> int:
    """How many of these people have lost tombstones of these lists, given by their codes.

    Only of lists that come by changes alone. A file drops those of its list itself.
    """
    buckets = (keys.bucket(place.partition, number) for number in place.buckets)
    here = place.partition
    names = (keys.META[here], keys.FORGOTTEN[here], keys.SEALS[here], *buckets)
    cutoff_ms = place.now_ms - terms.tombstone_ms
    quiet_ms = place.now_ms - QUIET_TIMES * terms.tombstone_ms
    args = (store.check_value, lists, cutoff_ms, quiet_ms)
    (changed,) = await store.nodes.run([Call(here, "forget", names, args)])
    return int(changed)


async def trim(store: Store, partition: int, cutoff_ms: int) -> None:
    """Cut the log to what is from `cutoff_ms` on. An image that lacks older is renewed."""
    known = upto = 0
    while (upto := await older_than(store, partition, cutoff_ms)) > known:
        if upto > await _included(store, partition):
            await renew(store, partition)
        args = (store.check_value, upto)
        names = (keys.META[partition], keys.LOG[partition])
        (dropped,) = await store.nodes.run([Call(partition, "trim", names, args)])
        if dropped < OLD_AT_ONCE - 1:
            break
        known = upto


async def _included(store: Store, partition: int) -> int:
    """The seq up to which the image is; 0 where there is none."""
    command = ("HGET", keys.META[partition], Field.IMAGE)
    (data,) = await store.nodes.on_partitions([(partition, command)])
    known = header(partition, data or b"")
    return known.position.seq if known else 0


async def retire_libraries(nodes: Nodes, live: Iterable[Process]) -> list[str]:
    """The libraries that have gone, by name; none from a server that does not let us."""
    called = {process.library for process in live} | {library().name}
    if "" in called:
        return []
    gone: list[str] = []
    for node in await nodes.masters():
        with contextlib.suppress(Unavailable, ResponseError), translated(node):
            gone += await _retire(node, called)
    return sorted(set(gone))


async def _retire(node: redis.asyncio.Redis, called: set[str]) -> list[str]:
    found = await node.function_list(library=f"{PREFIX}*")
    names = [each[each.index(b"library_name") + 1].decode() for each in found]
    gone = [name for name in names if name not in called]
    for name in gone:
        await node.function_delete(name)
    return gone
