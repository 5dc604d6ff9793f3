"""What packed entries refer to: courts by their four bytes, loaded files by number.

A court's name is durable before the first entry that refers to it.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from roster import keys
from roster.errors import Unavailable
from roster.records.content import court_id
from roster.records.entry import Provenance
from roster.records.record import Dictionaries, parse_record
from roster.times import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from roster.records.entry import Entry
    from roster.redis.calls import Wait
    from roster.redis.nodes import Nodes

LARGEST_LOAD = 0xFFFF
KEPT_LOADS = 1_000
"""So many loads are known in full: whoever reads the dictionary reads all of it."""
NEWEST = 100
"""So many are looked through where all would be too many."""
LOOK_S = 1.0
"""So long after a look a load that has not ended is not looked for again."""
_NEXT = "next"
PAUSE_S = 0.2
"""So long after a failure nobody waits for the courts' names."""


class LoadedFile(msgspec.Struct, frozen=True):
    """A file that was loaded: its name, the SHA-256 of its bytes, and how they were read."""

    name: str
    sha256: bytes
    format: str
    encoding: str


class RefusedFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a file was refused; its lists, and as of when it was, as far as that is known."""

    why: str
    lists: tuple[str, ...] = ()
    as_of: int | None = None


class Load(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One load: its files' names, and when it began and was applied, in ms since 1970.

    The rest says what was loaded and what that did, for a while (`KEPT_LOADS`): `kind` is
    `load`, `repair`, `undo` or `refused` (`""`: not known any more, or written by an older
    version), `did` the figures of each list, by name: `added`, `changed`, `ended`, `unchanged`,
    `superseded`.
    `rejected` are rows, by reason, told in `rejects_file` (or in that folder) on the host of `who`
    ran it. What it noted for its undoing lies under its `nonce`; of the lists in `first`, which had
    never been loaded in full, it noted nothing that it added. An undo names the load that it
    undoes. A file that was refused touched no list: `refused` has its own, and older versions,
    which do not know of it, take it for a load of nothing.
    """

    actor: str
    received_at_ms: int
    applied_at_ms: int | None = None
    kind: str = ""
    lists: tuple[str, ...] = ()
    as_of: int | None = None
    partial: bool = False
    files: tuple[LoadedFile, ...] = ()
    did: dict[str, dict[str, int]] = {}
    rejected: dict[str, int] = {}
    rejects_file: str = ""
    who: str = ""
    undoes: int | None = None
    nonce: str = ""
    first: tuple[str, ...] = ()
    refused: RefusedFile | None = None

    def brief(self) -> Load:
        """What its entries still refer to."""
        return Load(
            actor=self.actor,
            received_at_ms=self.received_at_ms,
            applied_at_ms=self.applied_at_ms,
        )


class Dictionary:
    """The dictionaries of one roster, as far as this process has read them."""

    def __init__(self, nodes: Nodes) -> None:
        """Nothing is read yet: see `refresh`."""
        self._nodes = nodes
        self.courts: dict[bytes, str] = {}
        self.court_ids: dict[str, bytes] = {}
        self.loads: dict[int, Provenance] = {}
        self.known = Dictionaries(self.courts, self.loads)
        """Both, for `record.parse_record`."""
        self._failed_until = 0.0
        self._looked_s: dict[int, float] = {}

    async def entries(self, record: bytes, within_s: float) -> list[Entry]:
        """A record's entries; a court that is not known yet is read first, `within_s`.

        Raises Unreadable, and Unavailable where Redis does not tell the court's name or has lost
        it, with a flush: nobody can then say why the person is listed.
        """
        with suppress(KeyError):
            return parse_record(record, self.known)
        await self.learn_courts(within_s)
        try:
            return parse_record(record, self.known)
        except KeyError as exc:
            raise Unavailable("Redis has lost the name of a court") from exc

    async def refresh(self) -> None:
        """Read everything that Redis holds now."""
        await self._read_courts()
        self._learn_loads(await self.all_loads())

    async def learn_loads(self, numbers: Iterable[int | None]) -> None:
        """Read of these loads those that are not known, or had not ended when they were read.

        Not again at once: one that was killed never ends.
        """
        now_s = time.monotonic()
        unknown = [
            number
            for number in numbers
            if number is not None
            and (number not in self.loads or self.loads[number].applied_at_ms is None)
            and self._looked_s.get(number, 0.0) < now_s - LOOK_S
        ]
        if unknown:
            self._looked_s.update(dict.fromkeys(unknown, now_s))
            self._learn_loads(await self._loads(unknown))

    async def learn_courts(self, within_s: float) -> None:
        """Read every court that Redis holds now. Raises Unavailable after `within_s`.

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
        for identifier, name in (await self._nodes.hash(keys.COURTS)).items():
            self._learn(identifier, name.decode())

    async def intern(self, courts: Iterable[str], wait: Wait) -> None:
        """Put these courts into `court_ids`, but those whose four bytes another one has.

        Of several new ones that share them the first by name gets them, as loads expect.
        Raises Unavailable or NotDurable. Redis is asked each time: it may have been emptied.
        """
        ids = {court: court_id(court) for court in sorted(courts) if court}
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
        if None in names:  # asked before the command that was sent again, or emptied since
            raise Unavailable("Redis has not taken the name of a court")
        for identifier, name in zip(new.values(), names, strict=True):
            self._learn(identifier, name.decode())

    async def next_load(self) -> int:
        """The number that the next load will get, if none begins before."""
        (last,) = await self._nodes.keyed(keys.LOADS, [("HGET", keys.LOADS, _NEXT)])
        return int(last or 0) % LARGEST_LOAD + 1

    async def all_loads(self) -> dict[int, Load]:
        """Every load by its number, the last first."""
        found = await self._nodes.hash(keys.LOADS)
        following = int(found.pop(_NEXT.encode(), 0))
        loads = {int(number): _decode(data) for number, data in found.items()}
        ages = {number: (following - number) % LARGEST_LOAD for number in loads}
        return {number: loads[number] for number in sorted(loads, key=ages.__getitem__)}

    async def newest_loads(self, count: int = NEWEST) -> dict[int, Load]:
        """So many of the last loads by their number, the last first."""
        last = await self.next_load() - 1
        return await self._loads([(last - 1 - age) % LARGEST_LOAD + 1 for age in range(count)])

    async def _loads(self, numbers: Sequence[int]) -> dict[int, Load]:
        (found,) = await self._nodes.keyed(keys.LOADS, [("HMGET", keys.LOADS, *numbers)])
        held = zip(numbers, found, strict=True)
        return {number: _decode(data) for number, data in held if data is not None}

    async def open_load(self, load: Load) -> int:
        """The number of a load that begins now."""
        (number,) = await self._nodes.keyed(keys.LOADS, [("HINCRBY", keys.LOADS, _NEXT, 1)])
        wrapped = (int(number) - 1) % LARGEST_LOAD + 1
        await self.write_load(wrapped, load)
        await self._shorten((wrapped - 1 - KEPT_LOADS) % LARGEST_LOAD + 1)
        return wrapped

    async def write_load(self, number: int, load: Load) -> None:
        """Store what is known of the load."""
        data = msgspec.msgpack.encode(load)
        await self._nodes.keyed(keys.LOADS, [("HSET", keys.LOADS, number, data)])

    async def _shorten(self, number: int) -> None:
        """Keep of an old load only what its entries refer to."""
        (data,) = await self._nodes.keyed(keys.LOADS, [("HGET", keys.LOADS, number)])
        if data is not None:
            await self.write_load(number, _decode(data).brief())

    def _learn_loads(self, loads: Mapping[int, Load]) -> None:
        for number, load in loads.items():
            self.loads[number] = Provenance(
                "load", load.actor, "", None, load.received_at_ms, load.applied_at_ms
            )

    def _learn(self, identifier: bytes, name: str) -> None:
        self.courts[identifier] = name
        self.court_ids[name] = identifier


def last_of_each_list(loads: Mapping[int, Load]) -> dict[str, Load]:
    """The last of these loads that was of a list, by its name; `loads` are the last first."""
    return {name: load for load in reversed(tuple(loads.values())) for name in load.lists}


def standing_refusals(loads: Mapping[int, Load], now_ms: int) -> dict[str, int]:
    """The numbers of refused files, by list: the last of each that nothing has replaced since.

    What replaces it is a full file of the list, loaded since, or of a later time before. One that
    names no list, `""`, stands for a day. `loads` are the last first.
    """
    found: dict[str, int] = {}
    done: dict[str, int] = {}
    for number, load in loads.items():
        if load.kind == "load" and not load.partial and load.applied_at_ms is not None:
            done = dict.fromkeys(load.lists, number) | done
        if load.refused is not None:
            lists = {*load.refused.lists} - done.keys()
            if not load.refused.lists and now_ms - load.received_at_ms < DAY_MS:
                lists = {""}
            found = dict.fromkeys(lists, number) | found
    return {
        name: number
        for name, number in found.items()
        if name not in done or not _is_older(loads[number], loads[done[name]])
    }


def _is_older(refused: Load, loaded: Load) -> bool:
    """Whether a file that was refused is of a time before one that was loaded."""
    stated = refused.refused.as_of if refused.refused else None
    return stated is not None and stated < (loaded.as_of or 0)


def _decode(data: bytes) -> Load:
    return msgspec.msgpack.decode(data, type=Load)
