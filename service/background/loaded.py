"""The last load of each list, as figures: who loaded which file when, and what it did.

Whoever asks often is told what was read a moment ago: the loads on record may be many.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from roster.storage.dictionary import RefusedFile, last_of_each_list, standing_refusals
from roster.times import format_ms, now_ms

if TYPE_CHECKING:
    from roster.storage.dictionary import Dictionary, Load

KEPT_S = 5.0


class LastLoad(msgspec.Struct, frozen=True):
    """The last load of a list; `ended_at` is null while it goes on, and where it broke off.

    `added`, `changed` and `ended` are entries of this list, `rejected` are rows of the whole
    load, by reason, told in `rejects_file` on the host of `who`.
    """

    load: int
    kind: str
    began_at: str
    ended_at: str | None
    who: str | None
    files: list[str]
    as_of: str | None
    partial: bool
    added: int
    changed: int
    ended: int
    rejected: dict[str, int]
    rejects_file: str | None
    undone_by: int | None


class LastRefused(msgspec.Struct, frozen=True):
    """A file that `watch` has refused, and that nothing has replaced since; `why` in words."""

    load: int
    at: str
    who: str | None
    file: str
    as_of: str | None
    why: str


class Loaded:
    """What one process knows of the last loads."""

    def __init__(self, dictionary: Dictionary) -> None:
        """Nothing is read yet."""
        self._dictionary = dictionary
        self._loads: dict[int, Load] = {}
        self._until_s = 0.0

    async def by_list(self) -> dict[str, LastLoad]:
        """The last load of each list, by the list's name; raises Unavailable."""
        loads = await self._newest()
        numbers = {id(load): number for number, load in loads.items()}
        undone = {load.undoes: number for number, load in loads.items()}
        return {
            name: _told(name, load, numbers[id(load)], undone.get(numbers[id(load)]))
            for name, load in last_of_each_list(loads).items()
        }

    async def refused(self) -> dict[str, LastRefused]:
        """The refused files that stand, by list, empty for one that names none.

        Raises Unavailable.
        """
        loads = await self._newest()
        standing = standing_refusals(loads, now_ms())
        return {name: _refused(number, loads[number]) for name, number in standing.items()}

    async def _newest(self) -> dict[int, Load]:
        if time.monotonic() >= self._until_s:
            self._loads = await self._dictionary.newest_loads()
            self._until_s = time.monotonic() + KEPT_S
        return self._loads


def _told(name: str, load: Load, number: int, undone_by: int | None) -> LastLoad:
    did = load.did.get(name, {})
    return LastLoad(
        load=number,
        kind=load.kind or "load",
        began_at=format_ms(load.received_at_ms),
        ended_at=_time(load.applied_at_ms),
        who=load.who or None,
        files=[file.name for file in load.files] or [load.actor],
        as_of=_time(load.as_of),
        partial=load.partial,
        added=did.get("added", 0),
        changed=did.get("changed", 0),
        ended=did.get("ended", 0),
        rejected=load.rejected,
        rejects_file=load.rejects_file or None,
        undone_by=undone_by,
    )


def _refused(number: int, load: Load) -> LastRefused:
    told = load.refused or RefusedFile("")
    return LastRefused(
        load=number,
        at=format_ms(load.received_at_ms),
        who=load.who or None,
        file=load.actor,
        as_of=_time(told.as_of),
        why=told.why,
    )


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_ms(at_ms)
