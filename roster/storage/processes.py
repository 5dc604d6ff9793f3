"""The live service processes, and what each has applied: whom `wait: all` waits for.

A process lists itself again with every poll, before it reads the logs, on the server that it
reads them from. So whoever changes something after that, on this server or on a replica that
has taken over, finds it listed for as long as it can be fresh by that poll.

How long that is, everybody who reads the list measures with a clock of their own, from when
they first saw a listing: servers' clocks differ, and step. A list that was lost, or has gone
back to an older state, forgets nobody either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from roster import keys
from roster.documents.tokeniser import HASHED
from roster.errors import ClearwayError
from roster.records.position import WIRE_BYTES, Position, from_wire
from roster.redis.calls import Plain
from roster.redis.shares import ask_each, first_of_each_server
from roster.storage.doorbell import DoorbellMessage
from roster.times import boot_s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roster.redis.nodes import Nodes

SLACK_MS = 500
"""How much longer than its own `fresh_ms` a process stays listed; with 4,000 below 5 s."""
STEP_MS = 6_000
"""A listing that is older by its server's clock is a dead process'; clocks step less."""
DEAD_KEPT_MS = 60_000
"""For so long a list that names a dead process again brings it back to nobody's life."""
NOTHING = bytes(keys.PARTITIONS * WIRE_BYTES)

_LIST = """#!lua flags=allow-oom
local clock = redis.call('TIME')
local at = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
redis.call('HSET', KEYS[1], ARGV[1], at .. ' ' .. ARGV[2])
return redis.call('HLEN', KEYS[1])
"""
"""Lists a process behind the time of the server that has the list; returns how many there are."""

_READ = """#!lua flags=allow-oom
return {redis.call('TIME'), redis.call('HVALS', KEYS[1])}
"""
"""Who is listed. A server that is cut off refuses it, as it refuses all that might write."""

_FORGET = """#!lua flags=allow-oom
for at = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[at]) == ARGV[at + 1] then
    redis.call('HDEL', KEYS[1], ARGV[at])
  end
end
"""
"""Takes processes off the list that have not been listed again since they were read."""


class Process(msgspec.Struct, frozen=True):
    """A service process as it last stated itself; `fresh_as_of_ms` is Redis' clock.

    `seen_ms` is when it was listed, by its server's clock; `beat` counts how often it has
    been, and is 0 of an older version. `applied` are the joined wire positions of all
    partitions. `left` is a process that has ended in order. One that
    `remembers` would notice a backup that was restored. `scheme` is that of its tokens;
    `build` and `library` are empty of an older version; `audit_head` is the hash of the last of
    its `audit_blocks`, which was sealed at `audit_at_ms`.
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
    beat: int = 0
    remembers: bool = True
    build: str = ""
    library: str = ""
    scheme: int = HASHED
    audit_blocks: int = 0
    audit_head: str = ""
    audit_at_ms: int = 0

    def at(self, partition: int) -> Position:
        """The position that it has applied."""
        start = partition * WIRE_BYTES
        return from_wire(partition, self.applied[start : start + WIRE_BYTES])

    @property
    def order(self) -> tuple[int, int]:
        """What is greater the later it was listed."""
        return self.beat, self.seen_ms


def listing(process: Process, key: str) -> Plain:
    """The command that lists a process as of now, also where the server's memory is full.

    The reply is how many processes there are on that list.
    """
    return Plain(key, ("EVAL", _LIST, 1, key, process.id, msgspec.msgpack.encode(process)))


def lists_of(nodes: Nodes, numbers: Sequence[int]) -> list[str]:
    """The lists on which whoever reads these partitions, all of one server, has to stand.

    On a cluster every server has one, beside that of old, which older versions read.
    """
    if not nodes.clustered:
        return [keys.PROCESSES]
    own = keys.PROCESSES_AT[numbers[0]]
    server = nodes.server(Plain(own, ()).slot)
    if server is None:  # nobody knows who would read it
        return []
    shared = nodes.server(Plain(keys.PROCESSES, ()).slot)
    return [own, keys.PROCESSES] if shared == server else [own]


class _Listed(NamedTuple):
    """A process as a list has it: under which key, and in which bytes."""

    key: str
    process: Process
    data: bytes
    age_ms: int


class _Seen(NamedTuple):
    """A process as it was last listed, and when that was seen first."""

    process: Process
    at_s: float

    @property
    def left_ms(self) -> float:
        """How much longer it may be fresh, if it is not listed again; negative: since when not."""
        if self.process.left:
            return -1.0
        return self.process.fresh_ms + SLACK_MS - (boot_s() - self.at_s) * 1000

    def news(self, process: Process) -> bool:
        """Whether the same process has been listed again.

        A list that has gone back to an older state tells nothing new. Older versions do not
        count, and may be listed at an earlier time than before where a clock has stepped.
        """
        if process.beat or self.process.beat:
            return process.beat > self.process.beat
        return process.seen_ms != self.process.seen_ms or process.left


class Processes:
    """The lists of live processes in Redis, and what was last seen of them.

    `watch` has to be called more than once in the shortest time for which a process may be
    fresh. Whoever has just begun to watch takes a dead process for alive a little longer.
    """

    def __init__(self, nodes: Nodes) -> None:
        """Of the roster behind `nodes`."""
        self._nodes = nodes
        self._seen: dict[str, _Seen] = {}
        self._used: set[str] = {keys.PROCESSES}
        self._watched = False

    async def announce(self, process: Process) -> None:
        """List the process as of now, on every server that answers."""
        names = [keys.PROCESSES]
        if self._nodes.clustered:
            names += [keys.PROCESSES_AT[number] for number in first_of_each_server(self._nodes)]
        _any_of(await ask_each(self._nodes, [listing(process, name) for name in names]))

    async def leave(self, process_id: str, beat: int = 0) -> None:
        """List a process as one that has ended in order: nobody waits for it any longer."""
        await self.announce(Process(process_id, "", 0, b"", left=True, beat=beat))

    async def live(self) -> list[Process]:
        """The processes that may be fresh; dead ones are forgotten on the way.

        Raises Unavailable where no list can be read.
        """
        names = set(self._used)
        if self._nodes.clustered:
            names.update(keys.PROCESSES_AT[number] for number in first_of_each_server(self._nodes))
        return await self._live(sorted(names))

    async def watch(self) -> None:
        """Remember the lists as they are now."""
        more = keys.PROCESSES_AT if self._nodes.clustered else ()
        await self._live([keys.PROCESSES, *more])
        self._watched = True

    async def _live(self, names: Sequence[str]) -> list[Process]:
        listed = await self._read(names)
        newest: dict[str, _Listed] = {}
        for one in sorted(listed, key=lambda each: each.process.order):
            newest[one.process.id] = one
        for one in newest.values():
            self._remember(one)
        await self._forget([one for one in listed if self._gone(one)])
        kept = self._seen.items()
        self._seen = {name: seen for name, seen in kept if seen.left_ms > -DEAD_KEPT_MS}
        return [
            _as_known(seen.process, newest.get(name))
            for name, seen in self._seen.items()
            if seen.left_ms >= 0
        ]

    async def _read(self, names: Sequence[str]) -> list[_Listed]:
        reads = [Plain(name, ("EVAL", _READ, 1, name)) for name in names]
        replies = _any_of(await ask_each(self._nodes, reads))
        listed: list[_Listed] = []
        for name, reply in zip(names, replies, strict=True):
            if isinstance(reply, ClearwayError):
                continue
            (seconds, micros), held = reply
            now_ms = int(seconds) * 1000 + int(micros) // 1000
            listed += filter(None, (_parse(name, data, now_ms) for data in held))
            if held:
                self._used.add(name)
        return listed

    def _remember(self, one: _Listed) -> None:
        """Keep what is news; a list that has gone back to an older state tells none."""
        process, seen = one.process, self._seen.get(one.process.id)
        if seen is None and one.age_ms > process.fresh_ms + SLACK_MS + STEP_MS:
            return
        if seen is None or seen.news(process):
            self._seen[process.id] = _Seen(process, boot_s())

    def _gone(self, one: _Listed) -> bool:
        """Whether a listing is of no more use: its process is dead, or has left."""
        seen = self._seen.get(one.process.id)
        return seen is None or seen.left_ms < 0

    async def _forget(self, gone: Sequence[_Listed]) -> None:
        commands = []
        for name in {one.key for one in gone}:
            args = [part for one in gone if one.key == name for part in (one.process.id, one.data)]
            commands.append(Plain(name, ("EVAL", _FORGET, 1, name, *args)))
        if commands:
            await ask_each(self._nodes, commands)

    async def ring(
        self,
        positions: Sequence[Position],
        joining: Sequence[bytes] = (),
        *,
        wanted: bool = False,
    ) -> None:
        """Tell every process of these safe positions; of none: to poll everything.

        `joining` are the tokens of people whom they have left on a list. Where it is `wanted`,
        the processes say at once what they have applied, not with their next poll.
        """
        rung = DoorbellMessage(positions, joining, wanted)
        await rung.ring(self._nodes, wake=self._older_live)

    @property
    def _older_live(self) -> bool:
        """Whether a process of an older version may be live, which does not count its beats."""
        seen = self._seen.values()
        return not self._watched or any(one.left_ms >= 0 and not one.process.beat for one in seen)


def _as_known(process: Process, listed: _Listed | None) -> Process:
    """The process as it may be believed.

    Where a list has lost it, or has gone back, Redis may have lost what it applied, too:
    until it is listed again, it has nothing.
    """
    if listed is None or listed.process.order != process.order:
        return msgspec.structs.replace(process, applied=NOTHING)
    return process


def _parse(key: str, data: bytes, now_ms: int) -> _Listed | None:
    """A process, behind the time at which it was listed; None where that cannot be read."""
    at, _, stated = data.partition(b" ")
    try:
        process = msgspec.msgpack.decode(stated, type=Process)
        process = msgspec.structs.replace(process, seen_ms=int(at))
    except ValueError:  # msgspec's errors are of this kind
        return None
    return _Listed(key, process, data, now_ms - int(at))


def _any_of(replies: list[Any]) -> list[Any]:
    """The replies; raises the first error where there is nothing else."""
    if all(isinstance(reply, ClearwayError) for reply in replies):
        raise replies[0]
    return replies
