"""What packed entries refer to: courts by their four bytes, loaded files by number.

A court's name is durable before the first entry that refers to it.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec

from roster import keys
from roster.entry import Provenance
from roster.errors import Unavailable
from roster.record import Dictionaries, court_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roster.nodes import Nodes, Wait

LARGEST_LOAD = 0xFFFF
_NEXT = "next"
PAUSE_S = 0.2
"""So long after a failure nobody waits for the courts' names."""


class Load(msgspec.Struct, frozen=True):
    """One load of a file: its name, and when it began and was applied, in ms since 1970."""

    actor: str
    received_at_ms: int
    applied_at_ms: int | None = None


class Dictionary:
    """The dictionaries of one roster, as far as this process has read them."""

    def __init__(self, nodes: Nodes) -> None:
        """Nothing is read yet: see `refresh`."""
        self._nodes = nodes
        self.courts: dict[bytes, str] = {}
        self.court_ids: dict[str, bytes] = {}
        self.loads: dict[int, Provenance] = {}
        self._failed_until = 0.0

    @property
    def known(self) -> Dictionaries:
        """Both, for `record.parse_record`."""
        return Dictionaries(self.courts, self.loads)

    async def refresh(self) -> None:
        """Nothing; everything that Redis holds now is known afterwards."""
        await self._read_courts()
        (loads,) = await self._nodes.keyed(keys.LOADS, [("HGETALL", keys.LOADS)])
        for number, data in _items(loads):
            if number != _NEXT.encode():
                load = msgspec.msgpack.decode(data, type=Load)
                self.loads[int(number)] = Provenance(
                    "load", load.actor, "", None, load.received_at_ms, load.applied_at_ms
                )

    async def learn_courts(self, within_s: float) -> None:
        """Nothing; every court that Redis holds now is known. Raises Unavailable after `within_s`.

        Nobody waits again for what has just failed: a batch may be full of people whose court
        is not known.
        """
        if time.monotonic() < self._failed_until:
            raise Unavailable("Redis has not been answering")
        try:
            async with asyncio.timeout(within_s):
                await self._read_courts()
        except (TimeoutError, Unavailable) as exc:
            self._failed_until = time.monotonic() + PAUSE_S
            raise Unavailable("Redis did not tell the names of courts in time") from exc

    async def _read_courts(self) -> None:
        (courts,) = await self._nodes.keyed(keys.COURTS, [("HGETALL", keys.COURTS)])
        for identifier, name in _items(courts):
            self._learn(identifier, name.decode())

    async def intern(self, courts: Iterable[str], wait: Wait) -> None:
        """Nothing; `court_ids` has these courts, but those whose four bytes another one has.

        Raises Unavailable or NotDurable. Redis is asked each time: it may have been emptied.
        """
        ids = {court: court_id(court) for court in courts if court}
        if not ids:
            return
        asked = ("HMGET", keys.COURTS, *ids.values())
        (names,) = await self._nodes.keyed(keys.COURTS, [asked])
        held = {name.decode() for name in names if name is not None}
        new = {
            court: key for court, key in ids.items() if court not in held & self.court_ids.keys()
        }
        if not new:
            return
        commands: list[tuple[bytes | str, ...]] = [
            ("HSETNX", keys.COURTS, identifier, court) for court, identifier in new.items()
        ]
        commands.append(("HMGET", keys.COURTS, *new.values()))
        *_, names = await self._nodes.keyed(keys.COURTS, commands, wait)
        for identifier, name in zip(new.values(), names, strict=True):
            self._learn(identifier, name.decode())

    async def next_load(self) -> int:
        """The number that the next load will get, if none begins before."""
        (last,) = await self._nodes.keyed(keys.LOADS, [("HGET", keys.LOADS, _NEXT)])
        return int(last or 0) % LARGEST_LOAD + 1

    async def open_load(self, actor: str, received_at_ms: int) -> int:
        """The number of a load that begins now."""
        (number,) = await self._nodes.keyed(keys.LOADS, [("HINCRBY", keys.LOADS, _NEXT, 1)])
        load = Load(actor, received_at_ms)
        wrapped = (int(number) - 1) % LARGEST_LOAD + 1
        await self._write_load(wrapped, load)
        return wrapped

    async def close_load(self, number: int, load: Load) -> None:
        """Nothing; the load's time of application is known."""
        await self._write_load(number, load)

    async def _write_load(self, number: int, load: Load) -> None:
        data = msgspec.msgpack.encode(load)
        await self._nodes.keyed(keys.LOADS, [("HSET", keys.LOADS, number, data)])

    def _learn(self, identifier: bytes, name: str) -> None:
        self.courts[identifier] = name
        self.court_ids[name] = identifier


def _items(reply: dict[bytes, bytes] | list[bytes]) -> Iterable[tuple[bytes, bytes]]:
    if isinstance(reply, dict):
        return reply.items()
    return zip(reply[::2], reply[1::2], strict=True)
