"""The roster in Redis: changes, look-ups, the log, images; one round trip each.

The only modules that send commands are those of this folder; all go through `nodes.py`.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from roster import keys
from roster.documents.tokeniser import SCHEME, UNKNOWN, Tokeniser
from roster.errors import NotDurable, Unavailable
from roster.records import replies
from roster.records.change import together
from roster.records.meta import Meta
from roster.records.position import HighWaterMark, Position, newest
from roster.records.replies import (
    MARK_BYTES,
    Applied,
    Found,
    Image,
    Polled,
    Refusal,
    Tail,
)
from roster.redis.calls import NOWHERE, Call, pairs
from roster.redis.connection import error_code, raised
from roster.storage.founding import RosterId, agree_on_scheme
from roster.times import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from roster.records.change import Change
    from roster.records.position import HighWaterMark, Position
    from roster.redis.calls import Listing, Wait
    from roster.redis.nodes import Nodes


UNFOUNDED = [-1]
"""The reply of `apply` where there is no partition yet, and the id was not read for the call."""
FRESH = b"+"
"""Behind the stamp of a call for which the id was read: it may found a partition."""
TAIL_ENTRIES = 2_048
"""At most in one poll: they cost a server some 2 us each."""
TAIL_BYTES = 1 << 20


class Store:
    """The roster's reads and changes; raises Unavailable, WrongKey and NotDurable."""

    def __init__(
        self,
        nodes: Nodes,
        keyed: Tokeniser | bytes,
        *,
        keep_ms: int = 90 * DAY_MS,
        roster_id: RosterId | None = None,
    ) -> None:
        """`keyed` knows the check value, or is it; `keep_ms` is how long history is kept.

        Several stores of a process share the `roster_id` of one of them.
        """
        self.nodes = nodes
        self._keyed = keyed
        self.keep_ms = keep_ms
        self.roster_id = roster_id or RosterId(nodes)

    async def open(self, numbers: Iterable[int]) -> None:
        """Find out the roster's scheme, by these partitions; see `agree_on_scheme`."""
        if isinstance(self._keyed, Tokeniser) and self._keyed.scheme == UNKNOWN:
            await agree_on_scheme(self._keyed, self.nodes, numbers)

    @property
    def scheme(self) -> int:
        """The scheme of the roster's tokens."""
        return self._keyed.scheme if isinstance(self._keyed, Tokeniser) else SCHEME

    @property
    def check_value(self) -> bytes:
        """Of ID key and scheme; raises Unavailable while the scheme is not known."""
        return self._keyed if isinstance(self._keyed, bytes) else self._keyed.check_value

    @property
    def stamp(self) -> bytes:
        """What says of which roster a call speaks: check value, and the id where it is known."""
        return self.check_value + self.roster_id.id

    async def apply(
        self,
        changes: Sequence[Change],
        wait: Wait,
        acknowledged: Mapping[int, HighWaterMark] | None = None,
    ) -> list[Applied]:
        """What every change amounted to, once all of them are safe.

        Raises Unavailable where one was refused, and NotDurable where they are applied but not
        known to be safe: the same changes may be sent again.
        """
        found = await self.apply_each(changes, wait, acknowledged)
        applied = [each for each in found if isinstance(each, Applied)]
        if len(applied) < len(found):
            raise Unavailable("not every change was applied")
        return applied

    async def apply_each(
        self,
        changes: Sequence[Change],
        wait: Wait,
        acknowledged: Mapping[int, HighWaterMark] | None = None,
    ) -> list[Applied | Refusal]:
        """As `apply`, with the reason in its place for a change that was refused by itself."""
        if not self.roster_id.id:
            await self.roster_id.read()
        groups = together(changes)
        calls = [self._apply_call(group, acknowledged or {}) for group in groups]
        got = await self.nodes.attempt(calls, wait)
        safe = got[len(calls) :]
        if unfounded := [number for number, reply in enumerate(got) if reply == UNFOUNDED]:
            safe += await self._found(unfounded, calls, got, wait)
        found: dict[int, Applied | Refusal] = {}
        for group, call, reply in zip(groups, calls, got, strict=False):
            if isinstance(reply, Exception) and error_code(reply) == "OOM":
                found |= dict.fromkeys(group, Refusal.MEMORY)
            else:
                raised(reply)
                found |= zip(group, replies.applied(call.partition, reply), strict=True)
        if not all(safe):
            raise NotDurable("what was applied is not known to be safe")
        return [found[index] for index in range(len(changes))]

    async def _found(
        self, numbers: Sequence[int], calls: Sequence[Call], got: list[Any], wait: Wait
    ) -> list[bool]:
        """Make these calls again, which may found their partitions now; whether that is safe."""
        await self.roster_id.read()
        fresh = self.stamp + FRESH
        retried = (calls[number] for number in numbers)
        again = [call._replace(args=(fresh, *call.args[1:])) for call in retried]
        got_now = await self.nodes.attempt(again, wait)
        for number, reply in zip(numbers, got_now, strict=False):
            got[number] = reply
        return got_now[len(again) :]

    async def acknowledge(self, positions: Sequence[Position]) -> None:
        """Mark these positions durable; later polls report them.

        The doorbell tells it at once, but not to a process that is just connecting again.
        """
        calls = [
            Call(p.partition, "acknowledge", (keys.META[p.partition],), (self.stamp, p.wire))
            for p in newest(positions)
        ]
        if calls:
            await self.nodes.run(calls)

    def _apply_call(
        self, group: Mapping[int, Change], acknowledged: Mapping[int, HighWaterMark]
    ) -> Call:
        changes = list(group.values())
        partition = changes[0].token[keys.PARTITION]
        ack = acknowledged.get(partition)
        names: list[str] = []
        for change in changes:
            _, number, _ = keys.place(change.token)
            names += (keys.bucket(partition, number), keys.history(partition, number))
        tables = (keys.META, keys.LOG, keys.FORGOTTEN, keys.SEALS)
        fixed = (table[partition] for table in tables)
        mark = secrets.token_bytes(MARK_BYTES)
        args: list[bytes | int] = [self.stamp, mark, ack.wire if ack else b"", self.keep_ms]
        args += (change.wire for change in changes)
        return Call(
            partition, "apply_oom" if changes[0].lenient else "apply", (*fixed, *names), tuple(args)
        )

    async def lookup(
        self,
        asked: Sequence[tuple[bytes, Mapping[int, Position]]],
        high_water: Mapping[int, HighWaterMark],
    ) -> list[Found]:
        """Every token's record, read from the primary after this call began.

        Beside each token stands what it has to include at least, by partition.
        """
        calls = [self._lookup_call(token, least, high_water) for token, least in asked]
        got = await self.nodes.run(calls)
        return [
            replies.found(call.partition, reply) for call, reply in zip(calls, got, strict=True)
        ]

    def _lookup_call(
        self,
        token: bytes,
        at_least: Mapping[int, Position],
        high_water: Mapping[int, HighWaterMark],
    ) -> Call:
        partition, bucket, field = keys.place(token)
        high, least = high_water.get(partition), at_least.get(partition)
        return Call(
            partition,
            "lookup",
            (keys.META[partition], keys.LOG[partition], keys.bucket(partition, bucket)),
            (self.stamp, high.wire if high else b"", least.wire if least else b"", field),
        )

    async def tails(
        self,
        applied: Mapping[int, Position | None],
        high_water: Mapping[int, HighWaterMark],
        limit: int | None = None,
    ) -> dict[int, Tail]:
        """For each partition of `applied`, its state and a share of the log behind that position.

        All shares together are at most `TAIL_ENTRIES` (or `limit` of each partition) and
        `TAIL_BYTES`, and one entry of each: a server answers nobody else meanwhile.
        """
        limit = max(1, TAIL_ENTRIES // max(1, len(applied))) if limit is None else limit
        return (await self.poll(applied, high_water, limit, NOWHERE)).tails

    async def poll(
        self,
        applied: Mapping[int, Position | None],
        high_water: Mapping[int, HighWaterMark],
        limit: int,
        listing: Listing,
    ) -> Polled:
        """As `tails`, from servers that list a process before."""
        calls = self._tail_calls(applied, high_water, limit)
        got = await self.nodes.run([*listing.commands, *calls], listing.wait)
        listed, got = got[: len(listing.commands)], got[len(listing.commands) :]
        tails = {
            call.partition: replies.tail(call.partition, reply)
            for call, reply in zip(calls, got, strict=False)
        }
        return Polled(tails, bool(listed) and all(got[len(calls) :]), max(listed, default=0))

    def _tail_calls(
        self,
        applied: Mapping[int, Position | None],
        high_water: Mapping[int, HighWaterMark],
        limit: int,
    ) -> list[Call]:
        most_bytes = TAIL_BYTES // max(1, len(applied))
        calls = []
        for p, position in applied.items():
            high = high_water.get(p)
            wires = (position.wire if position else b"", high.wire if high else b"")
            args = (self.check_value, *wires, limit, most_bytes)
            calls.append(Call(p, "tail", (keys.META[p], keys.LOG[p]), args))
        return calls

    async def images(self, partitions: Sequence[int]) -> list[Image | None]:
        """The filters' images; None where a partition has none."""
        commands = [(partition, ("GET", keys.IMAGE[partition])) for partition in partitions]
        got = await self.nodes.on_partitions(commands)
        return [replies.image(p, data) for p, data in zip(partitions, got, strict=True)]

    async def set_image(self, position: Position, bits: bytes, trim_to_seq: int = 0) -> bool:
        """Whether this image replaced an older one; the log goes up to `trim_to_seq`."""
        partition = position.partition
        names = (keys.META[partition], keys.LOG[partition], keys.IMAGE[partition])
        args = (self.check_value, position.wire, bits, trim_to_seq)
        (reply,) = await self.nodes.run([Call(partition, "set_image", names, args)])
        return bool(reply[0])

    async def fields(self, partition: int, buckets: Sequence[int]) -> bytes:
        """The joined 12-byte fields of everybody in these buckets who belongs in the filter."""
        names = tuple(keys.bucket(partition, number) for number in buckets)
        (reply,) = await self.nodes.run([Call(partition, "fields", names, ())])
        return bytes(reply)

    async def settle(self, wait: Wait) -> None:
        """Wait until whatever was written so far is safe. Raises NotDurable."""
        calls = [Call(p, "settle", (keys.META[p],), ()) for p in range(keys.PARTITIONS)]
        got = await self.nodes.run(calls, wait)
        if not all(got[len(calls) :]):
            raise NotDurable("what was loaded is not known to be safe yet")

    async def log(self, position: Position, limit: int) -> Tail:
        """One partition's log behind a position."""
        return (await self.tails({position.partition: position}, {}, limit))[position.partition]

    async def count(self, calls: Sequence[Call], wait: Wait | None) -> int:
        """How many of these calls say that they did something.

        With `wait`, raises NotDurable where that may not be safe.
        """
        got = await self.nodes.run(calls, wait)
        if not all(got[len(calls) :]):
            raise NotDurable("this is done, but not known to be safe yet: do it again")
        return sum(reply[0] for reply in got[: len(calls)])

    async def metas(self, partitions: Sequence[int] = range(keys.PARTITIONS)) -> list[Meta]:
        """These partitions' counts, coverage and digests."""
        commands = [(p, ("HGETALL", keys.META[p])) for p in partitions]
        got = await self.nodes.on_partitions(commands)
        return [Meta(pairs(reply)) for reply in got]
