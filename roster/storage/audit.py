"""The audit in Redis: a stream of sealed blocks in each partition, written, read and forgotten."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import redis.exceptions

from roster import keys
from roster.errors import ClearwayError
from roster.records.blocks import ID_BYTES
from roster.redis.calls import SLOTS, Call, Plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from roster.redis.nodes import Nodes

SKEW_MS = 60_000
"""How far clocks of processes and servers may lie apart."""
FIELD = "b"
_TRIM_AT_ONCE = 1_000

StreamId: TypeAlias = tuple[int, int]
"""An entry's id in its stream: when it was written in ms, and which of that millisecond it is."""
ORIGIN: StreamId = (0, 0)

_STEP, _STEPS = 250, 8
"""How much `write_again` reads from either end of a stream."""


class Sealed(NamedTuple):
    """A block's bytes, where they belong, when they were sealed.

    `tried` is one that was sent, and may be there.
    """

    partition: int
    data: bytes
    at_ms: int
    tried: bool = False

    @property
    def call(self) -> Call | Plain:
        """What writes it."""
        key = keys.AUDIT[self.partition]
        if not self.tried:
            return Plain(key, ("XADD", key, "*", FIELD, self.data))
        since = max(0, self.at_ms - SKEW_MS)
        words = (since, self.data[:ID_BYTES], FIELD, self.data, _STEP, _STEPS)
        return Call(self.partition, "write_again", [key], words)


class StoredBlock(NamedTuple):
    """A stream entry: where and when it was written, by its server's clock, and its bytes."""

    partition: int
    ms: int
    seq: int
    data: bytes

    @property
    def id(self) -> StreamId:
        """Where in its stream it lies."""
        return self.ms, self.seq


class Window(NamedTuple):
    """All entries of some partitions from an id on; there are none left out before `upto`.

    `last`: there was nothing behind them when they were read.
    """

    entries: list[StoredBlock]
    upto: StreamId
    last: bool


async def write(nodes: Nodes, blocks: Sequence[Sealed]) -> list[Sealed]:
    """Those blocks that may not be there, one of a partition; all servers are asked at once."""
    found = {block.partition: block for block in blocks}
    groups = by_server(nodes, found)
    left = await asyncio.gather(*(_write(nodes, [found[p] for p in group]) for group in groups))
    return [block for each in left for block in each]


def by_server(nodes: Nodes, partitions: Iterable[int]) -> Collection[list[int]]:
    """The partitions of each server, as far as it is known now where they are."""
    groups: dict[Any, list[int]] = {}
    for partition in partitions:
        groups.setdefault(nodes.server(SLOTS[partition]), []).append(partition)
    return groups.values()


async def _write(nodes: Nodes, blocks: list[Sealed]) -> list[Sealed]:
    try:
        replies = await nodes.attempt([block.call for block in blocks])
    except (ClearwayError, redis.exceptions.RedisError) as exc:
        if not nodes.routed and _was_refused(exc):
            return blocks
        return [block._replace(tried=True) for block in blocks]
    both = zip(blocks, replies, strict=True)
    return [block for block, reply in both if isinstance(reply, Exception)]


def _was_refused(exc: BaseException | None) -> bool:
    """Whether there was no connection, so that nothing was sent."""
    while exc is not None and not isinstance(exc, (ConnectionRefusedError, FileNotFoundError)):
        exc = exc.__cause__ or exc.__context__
    return exc is not None


async def window(
    nodes: Nodes, partitions: Collection[int], since: StreamId, at_most: int
) -> Window:
    """The entries from `since` on, so many of each partition that has more. Raises Unavailable.

    It ends where any server stood when it was asked: what is written later lies behind it, also
    where servers' clocks differ. Only what is far ahead of all clocks, which no server has written
    by itself, is not waited for.
    """
    at_most = max(at_most, 2)  # of which the last is the next window's first
    asked = [(p, _range(p, _spelled(since), "+", at_most)) for p in partitions]
    clocks = [(p, ("TIME",)) for p in partitions]
    # The clocks come first: whatever is written later bears a later time.
    replies = await nodes.on_partitions([*clocks, *asked])
    times, found = replies[: len(clocks)], replies[len(clocks) :]
    read = [_stored(p, each) for p, each in zip(partitions, found, strict=True)]
    full = [each[-1].id for each in read if len(each) >= at_most]
    now_ms = min(int(s) * 1000 + int(us) // 1000 for s, us in times)
    if not full:
        upto = max((now_ms, 0), since)
        return Window([one for each in read for one in each], upto, last=True)
    upto = min(full)
    if since < (now_ms, 0) < upto and upto[0] <= now_ms + SKEW_MS:
        upto = now_ms, 0
    return Window([one for each in read for one in each if one.id < upto], upto, last=False)


async def between(
    nodes: Nodes, partitions: Collection[int], ids: tuple[StreamId, StreamId], at_most: int
) -> list[StoredBlock]:
    """The entries from one id on and before another; no window has `at_most` of a partition."""
    since, upto = map(_spelled, ids)
    asked = [(p, _range(p, since, f"({upto}", at_most)) for p in partitions]
    found = await nodes.on_partitions(asked)
    read = [_stored(p, each) for p, each in zip(partitions, found, strict=True)]
    return [one for each in read for one in each]


async def next_blocks(nodes: Nodes, after: StoredBlock, at_most: int) -> list[StoredBlock]:
    """So many entries of one partition behind one."""
    since = f"({_spelled(after.id)}"
    (found,) = await nodes.on_partitions(
        [(after.partition, _range(after.partition, since, "+", at_most))]
    )
    return _stored(after.partition, found)


async def trim(nodes: Nodes, partition: int, cutoff_ms: int) -> None:
    """Drop what was written before `cutoff_ms`, a bounded part of it at a time."""
    key = keys.AUDIT[partition]
    while True:
        words = ("XTRIM", key, "MINID", "~", cutoff_ms, "LIMIT", _TRIM_AT_ONCE)
        (gone,) = await nodes.on_partitions([(partition, words)])
        if gone < _TRIM_AT_ONCE:
            break
    await nodes.on_partitions([(partition, ("XTRIM", key, "MINID", cutoff_ms))])


async def late_counts(nodes: Nodes) -> Mapping[tuple[str, str], int]:
    """How many late denials there were so far, by list and court. Raises Unavailable."""
    (reply,) = await nodes.keyed(keys.LATE, [("HGETALL", keys.LATE)])
    pairs = zip(reply[::2], reply[1::2], strict=True) if isinstance(reply, list) else reply.items()
    found: dict[tuple[str, str], int] = {}
    for field, count in pairs:
        name, _, court = field.decode().partition(" ")
        found[name, court] = int(count)
    return found


async def count_late(nodes: Nodes, counts: Mapping[tuple[str, str], int]) -> None:
    """Count so many late denials more, by list and court. Raises Unavailable."""
    commands = [
        ("HINCRBY", keys.LATE, f"{name} {court}", count) for (name, court), count in counts.items()
    ]
    if commands:
        await nodes.keyed(keys.LATE, commands)


def _spelled(identifier: StreamId) -> str:
    return f"{identifier[0]}-{identifier[1]}"


def _range(partition: int, since: str, upto: str, at_most: int) -> tuple[Any, ...]:
    return ("XRANGE", keys.AUDIT[partition], since, upto, "COUNT", at_most)


def _stored(partition: int, found: list[Any]) -> list[StoredBlock]:
    read = []
    for identifier, pairs in found or ():
        ms, _, seq = identifier.partition(b"-")
        read.append(StoredBlock(partition, int(ms), int(seq), pairs[1] if len(pairs) > 1 else b""))
    return read
