"""What is kept for a while only: people's histories, tombstones, the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from roster import keys
from roster.records.meta import Field
from roster.records.replies import header
from roster.redis.nodes import Call
from roster.storage.images import renew
from roster.storage.logs import OLD_AT_ONCE, older_than

if TYPE_CHECKING:
    from roster.storage.store import Store

QUIET_TIMES = 2
"""After so many times as long without a full file a list comes by changes alone."""


class Terms(msgspec.Struct, frozen=True):
    """How long what is kept: a person's history, a tombstone, the log, a key that works no more."""

    history_ms: int
    tombstone_ms: int
    log_ms: int
    keys_ms: int


class Place(msgspec.Struct, frozen=True):
    """Some buckets of one partition, at a moment of Redis' clock."""

    partition: int
    buckets: range
    now_ms: int


async def forget(store: Store, place: Place, terms: Terms, lists: bytes) -> int:
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
    """Nothing; the log keeps what is from `cutoff_ms` on. An image that lacks older is renewed."""
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
