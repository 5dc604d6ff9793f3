"""The live service processes, what each has applied, and the doorbell that wakes them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from roster import keys
from roster.position import WIRE_BYTES, Position, from_wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from roster.nodes import Nodes

SLACK_MS = 500
"""How much longer than its own `fresh_ms` a process stays listed; with 4,000 below 5 s."""

_LIST = """#!lua flags=allow-oom
local clock = redis.call('TIME')
local at = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
return redis.call('HSET', KEYS[1], ARGV[1], at .. ' ' .. ARGV[2])
"""
"""Lists a process behind the time of the server that has the list: see `Process.seen_ms`."""

_FORGET = """#!lua flags=allow-oom
for at = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[at]) == ARGV[at + 1] then
    redis.call('HDEL', KEYS[1], ARGV[at])
  end
end
"""
"""Takes processes off the list that have not been listed again since they were read."""


_NOTHING = bytes(keys.PARTITIONS * WIRE_BYTES)


class Process(msgspec.Struct, frozen=True):
    """A service process as it last stated itself; times are Redis' clock.

    `seen_ms` is when it was listed, by the clock that `live` asks: in a cluster, clocks
    differ. `applied` are the joined wire positions of all partitions. `left` is a process
    that has ended in order.
    """

    id: str
    host: str
    fresh_ms: int
    applied: bytes
    fresh_as_of_ms: int = 0
    lag_ms: float = 0.0
    false_hit_rate: float = 0.0
    left: bool = False
    seen_ms: int = 0

    def has(self, positions: Iterable[Position]) -> bool:
        """Whether it has applied these positions, not others that were lost and had their place."""
        return all(_holds(self._at(position.partition), position) for position in positions)

    def live(self, now_ms: int) -> bool:
        """Whether it may still call itself fresh."""
        return not self.left and now_ms - self.seen_ms <= self.fresh_ms + SLACK_MS

    def _at(self, partition: int) -> Position:
        start = partition * WIRE_BYTES
        return from_wire(partition, self.applied[start : start + WIRE_BYTES])


def _holds(here: Position, position: Position) -> bool:
    same_place = (here.history, here.seq) == (position.history, position.seq)
    return here.mark == position.mark if same_place else here.includes(position)


class _Seen(NamedTuple):
    """A process as it was last listed, and when on the monotonic clock that was news."""

    process: Process
    at: float

    @property
    def over(self) -> bool:
        """Whether it can no longer be fresh, had it not been listed since."""
        return (time.monotonic() - self.at) * 1000 > self.process.fresh_ms + SLACK_MS


class Processes:
    """The list of live processes in Redis.

    Redis may lose the list (flushed, restored), while the processes on it are still fresh:
    so it is also remembered here. `live` has to be called once a second for that.
    """

    def __init__(self, nodes: Nodes) -> None:
        """Of the roster behind `nodes`."""
        self._nodes = nodes
        self._seen: dict[str, _Seen] = {}

    async def announce(self, process: Process) -> None:
        """Nothing; the process is listed as of now, also where the server's memory is full."""
        data = msgspec.msgpack.encode(process)
        command = ("EVAL", _LIST, 1, keys.PROCESSES, process.id, data)
        await self._nodes.keyed(keys.PROCESSES, [command])

    async def leave(self, process_id: str) -> None:
        """Nothing; a process that ends in order is waited for no longer."""
        await self.announce(Process(process_id, "", 0, b"", left=True))

    async def live(self) -> list[Process]:
        """The processes that may be fresh; dead ones are forgotten on the way."""
        clock, listed = await self._nodes.keyed(
            keys.PROCESSES, [("TIME",), ("HVALS", keys.PROCESSES)]
        )
        now_ms = _ms(clock)
        known = [_parse(data) for data in listed]
        self._remember(known, now_ms)
        dead = [
            (process.id, data)
            for process, data in zip(known, listed, strict=True)
            if not process.live(now_ms)
        ]
        if dead:
            args = [part for each in dead for part in each]
            await self._nodes.keyed(keys.PROCESSES, [("EVAL", _FORGET, 1, keys.PROCESSES, *args)])
        live = [process for process in known if process.live(now_ms)]
        return live + self._vanished({process.id: process for process in known})

    async def watch(self) -> None:
        """Nothing; the list as it is now is remembered."""
        await self.live()

    def _remember(self, listed: Iterable[Process], now_ms: int) -> None:
        """Keep what is news; a list that has gone back to an older state tells none."""
        for process in listed:
            seen = self._seen.get(process.id)
            known_ms = seen.process.seen_ms if seen else -1
            if process.live(now_ms) and process.seen_ms > known_ms:
                self._seen[process.id] = _Seen(process, time.monotonic())
            elif process.left or (not process.live(now_ms) and process.seen_ms >= known_ms):
                self._seen.pop(process.id, None)

    def _vanished(self, listed: dict[str, Process]) -> list[Process]:
        """Processes that may be fresh, though the list has lost them or has gone back.

        Redis may have lost what they applied, too: until they are listed again, they have
        nothing.
        """
        self._seen = {name: seen for name, seen in self._seen.items() if not seen.over}
        return [
            msgspec.structs.replace(seen.process, applied=_NOTHING)
            for name, seen in self._seen.items()
            if name not in listed or listed[name].seen_ms < seen.process.seen_ms
        ]

    async def ring(self, positions: Sequence[Position]) -> None:
        """Nothing; every process hears of these safe positions, of none: poll everything."""
        payload = b"".join(bytes((p.partition,)) + p.wire for p in positions)
        await self._nodes.keyed(keys.DOORBELL, [("PUBLISH", keys.DOORBELL, payload)])


def _parse(data: bytes) -> Process:
    """A process, behind the time at which it was listed."""
    at, _, stated = data.partition(b" ")
    process = msgspec.msgpack.decode(stated, type=Process)
    return msgspec.structs.replace(process, seen_ms=int(at))


def _ms(clock: tuple[bytes, bytes]) -> int:
    return int(clock[0]) * 1000 + int(clock[1]) // 1000


def parse_ring(payload: bytes) -> list[Position]:
    """The positions of a doorbell message."""
    size = 1 + WIRE_BYTES
    chunks: Any = (payload[at : at + size] for at in range(0, len(payload), size))
    return [from_wire(chunk[0], chunk[1:]) for chunk in chunks if len(chunk) == size]
