"""The live service processes, what each has applied, and the doorbell that wakes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from roster import keys
from roster.position import WIRE_BYTES, Position, from_wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from roster.nodes import Nodes

SLACK_MS = 500
"""How much longer than its own `fresh_ms` a process stays listed; with 4,000 below 5 s."""


class Process(msgspec.Struct, frozen=True):
    """A service process as it last stated itself; times are Redis' clock.

    `seen_ms` is when its last full poll was answered, `applied` the joined wire positions of
    all partitions.
    """

    id: str
    host: str
    fresh_ms: int
    seen_ms: int
    applied: bytes
    fresh_as_of_ms: int = 0
    lag_ms: float = 0.0
    false_hit_rate: float = 0.0

    def has(self, positions: Iterable[Position]) -> bool:
        """Whether it has applied these positions."""
        return all(self._at(position.partition).includes(position) for position in positions)

    def live(self, now_ms: int) -> bool:
        """Whether it may still call itself fresh."""
        return now_ms - self.seen_ms <= self.fresh_ms + SLACK_MS

    def _at(self, partition: int) -> Position:
        start = partition * WIRE_BYTES
        return from_wire(partition, self.applied[start : start + WIRE_BYTES])


class Processes:
    """The list of live processes in Redis."""

    def __init__(self, nodes: Nodes) -> None:
        """Of the roster behind `nodes`."""
        self._nodes = nodes

    async def announce(self, process: Process) -> None:
        """Nothing; the process is listed with what it has applied."""
        data = msgspec.msgpack.encode(process)
        await self._nodes.keyed(keys.PROCESSES, [("HSET", keys.PROCESSES, process.id, data)])

    async def now_ms(self) -> int:
        """Redis' clock."""
        (clock,) = await self._nodes.keyed(keys.PROCESSES, [("TIME",)])
        return _ms(clock)

    async def leave(self, process_id: str) -> None:
        """Nothing; a process that ends in order is forgotten at once."""
        await self._nodes.keyed(keys.PROCESSES, [("HDEL", keys.PROCESSES, process_id)])

    async def live(self) -> list[Process]:
        """The processes that may be fresh; dead ones are forgotten on the way."""
        clock, listed = await self._nodes.keyed(
            keys.PROCESSES, [("TIME",), ("HVALS", keys.PROCESSES)]
        )
        now_ms = _ms(clock)
        known = [msgspec.msgpack.decode(data, type=Process) for data in listed]
        dead = [process.id for process in known if not process.live(now_ms)]
        if dead:
            await self._nodes.keyed(keys.PROCESSES, [("HDEL", keys.PROCESSES, *dead)])
        return [process for process in known if process.live(now_ms)]

    async def ring(self, positions: Sequence[Position]) -> None:
        """Nothing; every process hears of these safe positions, of none: poll everything."""
        payload = b"".join(bytes((p.partition,)) + p.wire for p in positions)
        await self._nodes.keyed(keys.DOORBELL, [("PUBLISH", keys.DOORBELL, payload)])


def _ms(clock: tuple[bytes, bytes]) -> int:
    return int(clock[0]) * 1000 + int(clock[1]) // 1000


def parse_ring(payload: bytes) -> list[Position]:
    """The positions of a doorbell message."""
    size = 1 + WIRE_BYTES
    chunks: Any = (payload[at : at + size] for at in range(0, len(payload), size))
    return [from_wire(chunk[0], chunk[1:]) for chunk in chunks if len(chunk) == size]
