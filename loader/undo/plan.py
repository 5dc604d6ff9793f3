"""What undoing a load does to each entry that it changed: pure, from notes and what is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from roster.records.change import Change
from roster.records.entry import RESTRICTIVE_STATES, Op, Provenance, Registers, State
from roster.records.record import Packed, load_of, provenance_tail
from roster.storage.histories import UndoNote

PUT_BACK, REMOVED, CHANGED_BACK = "put back", "removed", "changed back"
_TOMBSTONES = {State.REMOVED: Op.REMOVE}
_STATES = {State.SUSPENDED: Op.SUSPEND, State.ACTIVE: Op.RESUME}


class Undoing(NamedTuple):
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


def step(note: UndoNote, now: Packed | None, undoing: Undoing) -> Step | None:
    """What to do with an entry that is `now`; None where nothing was, and nothing is, there."""
    was, left = state_of(note.before), state_of(note.left)
    what = CHANGED_BACK if live(was) and live(left) else PUT_BACK if live(was) else REMOVED
    content = note.before.content or (now.content if now else b"")
    told = Step(note.token, note.before.list, content, what)
    if was is left and note.before.digest == note.left.digest:
        return None  # another revision of the same
    if now is None:
        return told._replace(changes=_changes(note, None, undoing)) if live(was) else None
    if load_of(now.provenance) == undoing.number:
        return told
    if not _same(now, note.left):
        return told._replace(stays=state_of(now))
    return told._replace(changes=_changes(note, now, undoing))


def removal(token: bytes, now: Packed, undoing: Undoing) -> Step:
    """What to do with an entry that a list's first load added."""
    note = UndoNote(token, now._replace(registers=(0, 0, 0, 0, 0)), now)
    return Step(token, now.list, now.content, REMOVED, _changes(note, now, undoing))


def _changes(note: UndoNote, now: Packed | None, undoing: Undoing) -> tuple[Change, ...]:
    before, wanted = note.before, state_of(note.before)
    known = Registers(*now.registers) if now else Registers()
    revision = max(undoing.floors[before.list], known.revision) + 1
    tail = provenance_tail(Provenance("load", "", "error", None, undoing.now_ms), undoing.number)
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


def _same(a: Packed, b: Packed) -> bool:
    return a.registers == b.registers and a.digest == b.digest


def state_of(packed: Packed | None) -> State:
    """The state of an entry, or of none."""
    return Registers(*packed.registers).state if packed else State.UNKNOWN


def live(state: State) -> bool:
    """Whether somebody in this state is on the list."""
    return state.name.lower() in RESTRICTIVE_STATES
