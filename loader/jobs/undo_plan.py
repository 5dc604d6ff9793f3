"""Whether a load can be undone, and what that does to each entry that it changed."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from msgspec.structs import replace

from loader.jobs.load_records import undone_by
from roster.errors import LoadRefused, Unreadable
from roster.keys import BUCKETS
from roster.records.change import Change
from roster.records.entry import RESTRICTIVE_STATES, Op, Provenance, Registers, State
from roster.records.meta import Meta
from roster.records.record import PackedEntry, load_of, provenance_tail, readable, split_record
from roster.rules.restrictions import Lists
from roster.storage.account import who
from roster.storage.buckets import buckets_of
from roster.storage.dictionary import Load
from roster.storage.histories import UndoNote, histories
from roster.storage.images import BUCKETS_A_CALL
from roster.storage.store import Store
from roster.times import DAY_MS

PUT_BACK, REMOVED, CHANGED_BACK = "put back", "removed", "changed back"
_TOMBSTONES = {State.REMOVED: Op.REMOVE}
_STATES = {State.SUSPENDED: Op.SUSPEND, State.ACTIVE: Op.RESUME}


class UndoTerms(NamedTuple):
    """The undo: its number, how far files speak for each list by code, when it runs."""

    number: int
    floors: Mapping[int, int]
    now_ms: int


class Step(NamedTuple):
    """What becomes of one entry: `what`, and the changes that do it (none: it is done already).

    `stays` says the state in which somebody else has left it since: then nothing is done.
    """

    token: bytes
    list: int
    content: bytes
    what: str
    changes: tuple[Change, ...] = ()
    stays: State | None = None


def chained(notes: Iterable[UndoNote]) -> dict[tuple[bytes, int, bytes], UndoNote | None]:
    """One note of each entry; None where somebody else changed it between two of the load's."""
    found: dict[tuple[bytes, int, bytes], UndoNote | None] = {}
    for note in notes:
        name = note.token, note.before.list, note.before.entry_hash
        first = found.get(name, note)
        whole = first is note or (first is not None and _same(first.left, note.before))
        found[name] = note._replace(before=first.before) if first and whole else None
    return found


def step(note: UndoNote, now: PackedEntry | None, undoing: UndoTerms) -> Step | None:
    """What to do with an entry that is `now`; None where nothing was, and nothing is, there."""
    was, left = state_of(note.before), state_of(note.left)
    what = CHANGED_BACK if live(was) and live(left) else PUT_BACK if live(was) else REMOVED
    content = note.before.content or (now.content if now else b"")
    planned = Step(note.token, note.before.list, content, what)
    if was is left and note.before.digest == note.left.digest:
        return None  # another revision of the same
    if now is None:
        return planned._replace(changes=_changes(note, None, undoing)) if live(was) else None
    if load_of(now.provenance) == undoing.number:
        return planned
    if not _same(now, note.left):
        return planned._replace(stays=state_of(now))
    return planned._replace(changes=_changes(note, now, undoing))


def removal(token: bytes, now: PackedEntry, undoing: UndoTerms) -> Step:
    """What to do with an entry that a list's first load added."""
    note = UndoNote(token, now._replace(registers=(0, 0, 0, 0, 0)), now)
    return Step(token, now.list, now.content, REMOVED, _changes(note, now, undoing))


def _changes(note: UndoNote, now: PackedEntry | None, undoing: UndoTerms) -> tuple[Change, ...]:
    before, wanted = note.before, state_of(note.before)
    known = Registers(*now.registers) if now else Registers()
    revision = max(undoing.floors[before.list], known.revision) + 1
    reason = "" if live(wanted) else "error"
    tail = provenance_tail(Provenance("load", "", reason, None, undoing.now_ms), undoing.number)
    change = Change(
        token=note.token, list=before.list, op=Op.PUT, revision=revision,
        entry_hash=before.entry_hash, content=before.content, digest=before.digest,
        provenance=tail,
    )  # fmt: skip
    if not live(wanted):
        op = _TOMBSTONES.get(wanted, Op.ABSENT)
        return (replace(change, op=op, content=now.content if now else b"", lenient=True),)
    changes = []
    put = not live(known.state) or now is None or now.content != before.content
    after = replace(known, listed_at=revision) if put else known
    if after.state is not wanted:  # the state first: nobody is bound between the two
        changes.append(replace(change, op=_STATES[wanted]))
    return (*changes, change) if put else tuple(changes)


def _same(a: PackedEntry, b: PackedEntry) -> bool:
    return a.registers == b.registers and a.digest == b.digest


def state_of(packed: PackedEntry | None) -> State:
    """The state of an entry, or of none."""
    return Registers(*packed.registers).state if packed else State.UNKNOWN


def live(state: State) -> bool:
    """Whether somebody in this state is on the list."""
    return state.name.lower() in RESTRICTIVE_STATES


def undoable(number: int, loads: Mapping[int, Load], audit_days: int) -> Load:
    """The load of this number, of which it is known how everything was before; raises LoadRefused.

    `loads` are the last first.
    """
    load = loads.get(number)
    if load is None:
        raise LoadRefused(f"there is no load {number}: `clearway loads` shows them")
    if load.refused is not None:
        raise LoadRefused(f"load {number} was refused: nothing was changed")
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


def floors(metas: Sequence[Meta], codes: Iterable[int]) -> dict[int, int]:
    """How far full files, and tombstones that were dropped, speak for each list by its code."""
    return {
        code: max(
            max(meta.begun(code).as_of_ms, meta.floor_ms(code), meta.forgotten_ms(code))
            for meta in metas
        )
        for code in codes
    }


def record(number: int, load: Load, undoing: UndoTerms, lists: Lists) -> Load:
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


class FirstLoad(NamedTuple):
    """The load's number, the lists that it was the first of, and what its notes are about."""

    number: int
    lists: frozenset[int]
    undoing: UndoTerms
    noted: Collection[tuple[bytes, int, bytes]]


async def steps(store: Store, partition: int, first: FirstLoad) -> list[Step]:
    """What to do in a partition with entries of these lists."""
    found: list[Step] = []
    touched: list[tuple[bytes, PackedEntry]] = []
    for start in range(0, BUCKETS, BUCKETS_A_CALL):
        for token, packed in await _entries(store, partition, start, first):
            signed = load_of(packed.provenance)
            if signed == first.number and live(state_of(packed)):
                found.append(removal(token, packed, first.undoing))
            elif signed == first.undoing.number:
                found.append(Step(token, packed.list, packed.content, REMOVED))
            elif signed != first.number:
                touched.append((token, packed))
    return found + await _changed_since(store, touched)


async def _entries(
    store: Store, partition: int, start: int, first: FirstLoad
) -> list[tuple[bytes, PackedEntry]]:
    numbers = range(start, start + BUCKETS_A_CALL)
    found = []
    for number, bucket in zip(numbers, await buckets_of(store, partition, numbers), strict=True):
        for field, record in bucket.items():
            token = bytes((0, partition)) + number.to_bytes(2) + field
            with suppress(Unreadable), readable():
                found += [(token, packed) for packed in split_record(record)]
    return [
        (token, packed)
        for token, packed in found
        if packed.list in first.lists and (token, packed.list, packed.entry_hash) not in first.noted
    ]


async def _changed_since(store: Store, touched: list[tuple[bytes, PackedEntry]]) -> list[Step]:
    """Those that were there before the first thing that is remembered of them: the load's."""
    past = await histories(store, [token for token, _ in touched])
    return [
        Step(token, packed.list, packed.content, REMOVED, stays=state_of(packed))
        for (token, packed), events in zip(touched, past, strict=True)
        if live(next((e.was for e in events if e.list == packed.list), state_of(None)))
    ]
