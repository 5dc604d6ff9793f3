"""Whether a load can be undone, and what an undo leaves on record of itself."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from loader.runs.ledger import is_same, who
from loader.undo.plan import Undoing
from roster.errors import LoadRefused
from roster.records.meta import Meta
from roster.rules.restrictions import Lists
from roster.storage.dictionary import Load
from roster.times import DAY_MS


def undone_by(number: int, loads: Mapping[int, Load]) -> int | None:
    """The number under which a load was undone, or was begun to be."""
    return next((each for each, load in loads.items() if load.undoes == number), None)


def undoable(number: int, loads: Mapping[int, Load], audit_days: int) -> Load:
    """The load of this number, of which it is known how everything was before; raises LoadRefused.

    `loads` are the last first.
    """
    load = loads.get(number)
    if load is None:
        raise LoadRefused(f"there is no load {number}: `clearway loads` shows them")
    if load.kind == "undo":
        raise LoadRefused(f"load {number} is an undo itself: load the right file instead")
    kept_from = time.time_ns() // 1_000_000 - audit_days * DAY_MS
    if not load.nonce or load.received_at_ms < kept_from:
        raise LoadRefused(
            f"how the entries were before load {number} is not known (any more): it was made by an "
            f"older version, or more than CLEARWAY_AUDIT_DAYS ({audit_days}) ago"
        )
    _check_first(number, load, loads)
    return load


def _check_first(number: int, load: Load, loads: Mapping[int, Load]) -> None:
    """What a list's first load added is by now what later files say, too."""
    for later, each in loads.items():
        if later == number:
            return
        again = set(load.first) & set(each.lists)
        if again and each.kind == "load" and not each.partial and not undone_by(later, loads):
            raise LoadRefused(
                f"load {number} was the first of {', '.join(sorted(again))}, and load {later} has "
                "said since what is on it: undo that one first, or load the right file"
            )


def as_of_after(record: Load, loads: Mapping[int, Load]) -> int:
    """As of when a file counts that is to be loaded on this record.

    One as of the very time that an undo went against counts as of just after the undo, so that it
    speaks for what that wrote, too. Raises LoadRefused for the very file that was undone.
    """
    as_of = record.as_of or 0
    for number, load in loads.items():
        if load.kind == "load" and is_same(record, load) and undone_by(number, loads):
            raise LoadRefused(
                f"this is what load {number} was of, which was undone: load the right file, or "
                "state a later --as-of"
            )
    undos = {
        load.as_of
        for load in loads.values()
        if load.kind == "undo" and not set(record.lists).isdisjoint(load.lists)
    }
    while as_of in undos and not record.partial:
        as_of += _AFTER_MS
    return as_of


def floors(metas: Sequence[Meta], codes: Iterable[int]) -> dict[int, int]:
    """How far full files, and tombstones that were dropped, speak for each list by its code."""
    return {
        code: max(
            max(meta.begun(code).as_of_ms, meta.floor_ms(code), meta.forgotten_ms(code))
            for meta in metas
        )
        for code in codes
    }


_AFTER_MS = 2
"""An undo's revisions are 1 ms after the last full file's."""


def record(number: int, load: Load, undoing: Undoing, lists: Lists) -> Load:
    """What stays known of the undo; its `as_of` is that of the last full file it goes against."""
    return Load(
        actor=f"undo of load {number}",
        received_at_ms=undoing.now_ms,
        kind="undo",
        lists=load.lists,
        as_of=max((undoing.floors[lists.ids[name].code] for name in load.lists), default=None),
        who=who(),
        undoes=number,
    )
