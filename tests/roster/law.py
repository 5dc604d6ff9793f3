"""The merge law: what a change, a row or a missing row makes of an entry.

In words: docs/architecture.md, The merge law. `lua/law.lua` says the same;
tests/roster/test_law.py runs both on the same edits.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from roster.records.entry import Op, Outcome, Registers, State

_RESTRICTIVE = (State.ACTIVE, State.SUSPENDED)
_NOTHING = Registers()


class Stored(NamedTuple):
    """An entry's registers and its content's canonical bytes."""

    registers: Registers = _NOTHING
    content: bytes = b""

    @property
    def state(self) -> State:
        """The first state that holds."""
        return self.registers.state


class Edit(NamedTuple):
    """One change to one entry; `floor_ms` is how far back full files speak for its list."""

    op: Op
    revision: int
    content: bytes
    floor_ms: int = 0


class Row(NamedTuple):
    """One row of a file: its registers, and whether it states a revision at all."""

    registers: Registers
    content: bytes
    has_revision: bool = True


class Snapshot(NamedTuple):
    """The file that a row stands in; `full` where it speaks for the whole list."""

    as_of: int
    full: bool = True
    floor_ms: int = 0


def apply_edit(stored: Stored, edit: Edit) -> tuple[Stored, Outcome]:
    """The entry after one change, and what the change amounted to."""
    if edit.op is Op.PUT:
        return _put(stored, edit)
    return _raise(stored, edit)


def _put(stored: Stored, edit: Edit) -> tuple[Stored, Outcome]:
    if edit.revision == stored.registers.listed_at and edit.content == stored.content:
        return stored, Outcome.DUPLICATE
    after = _list(stored, edit.revision, edit.content, edit.floor_ms)
    if after == stored or after.state not in _RESTRICTIVE:
        return after, Outcome.SUPERSEDED
    return after, Outcome.APPLIED


def _list(stored: Stored, listed_at: int, content: bytes, floor_ms: int) -> Stored:
    registers = stored.registers
    if listed_at < registers.listed_at:
        return stored
    if listed_at == registers.listed_at and content <= stored.content:
        return stored
    is_late = registers.listed_at < listed_at <= floor_ms
    if registers.absent_at >= registers.listed_at and is_late:
        registers = replace(registers, absent_at=max(registers.absent_at, floor_ms))
    return Stored(replace(registers, listed_at=listed_at), content)


_RAISES = {
    Op.REMOVE: ("removed_at", State.REMOVED),
    Op.SUSPEND: ("suspended_at", State.SUSPENDED),
    Op.RESUME: ("resumed_at", State.ACTIVE),
    Op.ABSENT: ("absent_at", State.ABSENT),
}


def _raise(stored: Stored, edit: Edit) -> tuple[Stored, Outcome]:
    name, wanted = _RAISES[edit.op]
    known = getattr(stored.registers, name)
    if edit.revision <= known:
        same = edit.revision == known
        return stored, Outcome.DUPLICATE if same else Outcome.SUPERSEDED
    raised = replace(stored.registers, **{name: edit.revision})
    after = Stored(raised, stored.content or edit.content)
    if not raised.listed_at:
        return after, Outcome.UNSEEN
    return after, Outcome.APPLIED if after.state is wanted else Outcome.SUPERSEDED


def merge_row(stored: Stored, row: Row, snapshot: Snapshot) -> Stored:
    """The entry after a row of a file."""
    after = _with_revision(stored, row, snapshot) if row.has_revision else None
    if after is None:
        removed = stored.state is State.REMOVED
        after = stored if removed else _without_revision(stored, row, snapshot)
    absent_at = after.registers.absent_at
    if snapshot.full and 0 < absent_at <= snapshot.as_of and row.registers.listed_at:
        after = Stored(replace(after.registers, absent_at=0), after.content)
    return after


def _with_revision(stored: Stored, row: Row, snapshot: Snapshot) -> Stored:
    after = stored
    if row.registers.listed_at:
        floor_ms = 0 if snapshot.full else snapshot.floor_ms
        after = _list(stored, row.registers.listed_at, row.content, floor_ms)
    registers = replace(
        after.registers,
        removed_at=max(after.registers.removed_at, row.registers.removed_at),
        suspended_at=max(after.registers.suspended_at, row.registers.suspended_at),
        resumed_at=max(after.registers.resumed_at, row.registers.resumed_at),
    )
    return Stored(registers, after.content or (row.content if registers != _NOTHING else b""))


def _without_revision(stored: Stored, row: Row, snapshot: Snapshot) -> Stored:
    registers, as_of = stored.registers, snapshot.as_of
    if row.registers.removed_at:
        raised = replace(registers, removed_at=max(registers.removed_at, as_of))
        return Stored(raised, stored.content or row.content)
    after = stored
    if not registers.listed_at or stored.content != row.content:
        after = _list(stored, as_of, row.content, 0 if snapshot.full else snapshot.floor_ms)
    if row.registers.suspended_at and stored.state is not State.SUSPENDED:
        suspended_at = max(after.registers.suspended_at, as_of)
        after = Stored(replace(after.registers, suspended_at=suspended_at), after.content)
    return after


def lack(stored: Stored, as_of: int) -> Stored:
    """The entry after a full file as of `as_of` that does not have it."""
    registers = stored.registers
    newest = registers.listed_at or registers.revision
    if newest > as_of or (registers.absent_at and registers.absent_at >= registers.listed_at):
        return stored
    return Stored(replace(registers, absent_at=as_of), stored.content)


def expired(stored: Stored, as_of: int, tombstone_ms: int) -> bool:
    """Whether a tombstone may be forgotten: a file has long been without the entry."""
    registers = stored.registers
    ended = bool(registers.absent_at) and stored.state not in _RESTRICTIVE
    return ended and as_of - registers.revision >= tombstone_ms
