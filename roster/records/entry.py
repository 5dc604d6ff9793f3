"""Entries, changes, and the merge law that makes their order irrelevant.

An entry is five registers, each the highest revision of its kind; merging is taking
maxima (docs/architecture.md, The merge law). `lua/law.lua` mirrors this module; a test proves them
equal.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NewType

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

NameToken = NewType("NameToken", int)

RESTRICTING_BELOW = 200
"""List codes below this restrict travel; those from here on are Clearway's own."""
LIFT, BIND, CANARY = 200, 201, 202

RESTRICTIVE_STATES = frozenset({"active", "suspended"})


class State(IntEnum):
    """What the registers amount to."""

    UNKNOWN = 0
    ACTIVE = 1
    SUSPENDED = 2
    REMOVED = 3
    ABSENT = 4


class Op(IntEnum):
    """What a change does; also the log's code for it. `ABSENT` and `RESET` come from loads."""

    PUT = 1
    REMOVE = 2
    SUSPEND = 3
    RESUME = 4
    ABSENT = 5
    RESET = 6


class Outcome(IntEnum):
    """What a change amounted to (docs/api.md, Routes)."""

    APPLIED = 1
    DUPLICATE = 2
    SUPERSEDED = 3
    UNSEEN = 4


class Content(msgspec.Struct, frozen=True):
    """What a source published about one document, without its revision.

    Times are milliseconds since 1970; `until_ms` is exclusive. `tokens` are a binding's
    other documents, 16 bytes each.
    """

    entry_id: str
    names: tuple[NameToken, ...] = ()
    from_ms: int | None = None
    until_ms: int | None = None
    case: str = ""
    court: str = ""
    modes: tuple[str, ...] = ()
    lifts: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    kind: str = ""
    tokens: tuple[bytes, ...] = ()


class Provenance(msgspec.Struct, frozen=True):
    """Where the last effective edit of an entry came from; times are ms since 1970."""

    source: str = ""
    actor: str = ""
    reason: str = ""
    decided_at_ms: int | None = None
    received_at_ms: int | None = None
    applied_at_ms: int | None = None


class Registers(msgspec.Struct, frozen=True):
    """The five registers of an entry, in ms since 1970; 0 is never."""

    listed_at: int = 0
    removed_at: int = 0
    suspended_at: int = 0
    resumed_at: int = 0
    absent_at: int = 0

    @property
    def state(self) -> State:
        """The first of these that holds (docs/architecture.md, The merge law)."""
        if self.removed_at and self.removed_at >= self.listed_at:
            return State.REMOVED
        if not self.listed_at:
            return State.UNKNOWN
        if self.absent_at >= self.listed_at:
            return State.ABSENT
        if self.suspended_at > self.removed_at and self.suspended_at >= self.resumed_at:
            return State.SUSPENDED
        return State.ACTIVE

    @property
    def revision(self) -> int:
        """The newest edit that any register has seen."""
        return max(
            self.listed_at, self.removed_at, self.suspended_at, self.resumed_at, self.absent_at
        )


class Entry(msgspec.Struct, frozen=True):
    """One entry of one document: list + entry_id + document name it."""

    list: int
    entry_hash: bytes
    registers: Registers
    content: Content
    digest: bytes = bytes(8)
    provenance: Provenance = Provenance()

    @property
    def state(self) -> State:
        """The entry's state now; time windows are not part of it."""
        return self.registers.state


def active(entries: Iterable[Entry]) -> list[Entry]:
    """The entries that bind, before anyone asks about their time windows."""
    return [entry for entry in entries if entry.state is State.ACTIVE]
