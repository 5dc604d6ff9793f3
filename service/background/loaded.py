"""The last load of each list, as figures: who loaded which file when, and what it did.

Whoever asks often is told what was read a moment ago: the loads on record may be many.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from roster.storage.dictionary import last_of_each_list
from roster.times import format_ms

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


class Loaded:
    """What one process knows of the last loads."""

    def __init__(self, dictionary: Dictionary) -> None:
        """Nothing is read yet."""
        self._dictionary = dictionary
        self._found: dict[str, LastLoad] = {}
        self._until_s = 0.0

    async def by_list(self) -> dict[str, LastLoad]:
        """The last load of each list, by the list's name; raises Unavailable."""
        if time.monotonic() >= self._until_s:
            loads = await self._dictionary.newest_loads()
            numbers = {id(load): number for number, load in loads.items()}
            undone = {load.undoes: number for number, load in loads.items()}
            self._found = {
                name: _told(name, load, numbers[id(load)], undone.get(numbers[id(load)]))
                for name, load in last_of_each_list(loads).items()
            }
            self._until_s = time.monotonic() + KEPT_S
        return self._found


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


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_ms(at_ms)
