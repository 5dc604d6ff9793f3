"""What requests look like: unknown fields, wrong types and lengths are refused here.

What a field means is judged where it is used; these shapes only bound it. A field that may
be left out may be null, which means the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from roster.documents.identity import Document
from roster.documents.spelling import trimmed
from roster.records.bounds import (
    CASES_MAX,
    COURT_MAX,
    LIFTS_MAX,
    MODES_MAX,
    NAME_MAX,
    NAMES_MAX,
    UNTRIMMED_MAX,
    DisputeReason,
    ReinstateReason,
    RemovalReason,
)
from roster.records.position import TEXT_LIMIT
from roster.rules.restrictions import Mode

ITEMS_MAX = 1_000
"""Checks in a batch, and changes in a request."""

Time = Annotated[str, Meta(max_length=64, description="RFC 3339 with an offset, or a bare date")]
PositionText = Annotated[str, Meta(min_length=1, max_length=TEXT_LIMIT, description="Handed back")]
AtLeast = PositionText | Annotated[list[PositionText], Meta(max_length=16)]
Train = Annotated[str, Meta(min_length=1, max_length=32)]
Seat = Annotated[str, Meta(min_length=1, max_length=8)]
SeatCodes = Seat | Annotated[tuple[Seat, ...], Meta(min_length=1, max_length=10)]
ListName = Annotated[str, Meta(min_length=1, max_length=UNTRIMMED_MAX)]
EntryId = Annotated[str, Meta(min_length=1, max_length=UNTRIMMED_MAX)]
Name = Annotated[str, Meta(max_length=NAME_MAX)]
AskedName = Annotated[str, Meta(max_length=1_000)]
Case = Annotated[str, Meta(max_length=UNTRIMMED_MAX)]
Cabin = Literal["special", "first", "second", "third", "fourth", "fifth", "seat"]
BoundDocuments = Annotated[list[Document], Meta(min_length=2, max_length=8)]
Replaced = Annotated[list[Document], Meta(max_length=8)]
ChangeOp = Literal["put", "remove", "suspend", "resume", "bind", "unbind", "reinstate"]


class Shape(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    gc=False,
):
    """A request, or a part of one; none holds itself, so that the collector need not look.

    Written again without what it may leave out, it has as many names as what was sent.
    """


TAKES: Mapping[str, tuple[str, ...]] = {"air": (), "rail": ("train", "seat"), "ship": ("cabin",)}
"""What goes with each mode, and has to be there."""


class JourneyShape(Shape, frozen=True):
    """What the traveller wants to be sold; rail needs `train` and `seat`, a ship `cabin`."""

    mode: Mode
    train: Train | None = None
    seat: SeatCodes | None = None
    cabin: Cabin | None = None
    departs_at: Time | None = None


def _trim(shape: Shape, *fields: str) -> None:
    """Take from texts that identify what nobody sees at their ends, from lists the empty ones."""
    for field in fields:
        value = getattr(shape, field)
        if isinstance(value, str):
            msgspec.structs.force_setattr(shape, field, trimmed(value))
        elif value:
            kept = [text for each in value if (text := trimmed(each))]
            msgspec.structs.force_setattr(shape, field, kept)


class Check(Shape, frozen=True):
    """One traveller, one journey."""

    document: Document
    journey: JourneyShape
    name: AskedName | None = None
    at_least: AtLeast | None = None
    reference: Annotated[str, Meta(max_length=64)] | None = None


class Item(Shape, frozen=True):
    """One check of a batch; what it lacks the batch says for all."""

    document: Document
    journey: JourneyShape | None = None
    name: AskedName | None = None
    at_least: AtLeast | None = None
    reference: Annotated[str, Meta(max_length=64)] | None = None


class BatchShape(Shape, frozen=True):
    """Up to 1,000 checks, each judged apart: an invalid one harms no other."""

    items: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=ITEMS_MAX)]
    journey: JourneyShape | None = None
    at_least: AtLeast | None = None


class StandingShape(Shape, frozen=True):
    """Whose standing is asked for."""

    document: Document
    name: AskedName | None = None
    departs_at: Time | None = None


class EntryShape(Shape, frozen=True):
    """What a source publishes about one document; the second half is for list `lift` only."""

    name: Name | None = None
    names: Annotated[list[Name], Meta(max_length=NAMES_MAX)] | None = None
    from_: Time | None = msgspec.field(name="from", default=None)
    until: Time | None = None
    case: Case | None = None
    court: Annotated[str, Meta(max_length=COURT_MAX)] | None = None
    lifts: Annotated[list[ListName], Meta(max_length=LIFTS_MAX)] | None = None
    cases: Annotated[list[Case], Meta(max_length=CASES_MAX)] | None = None
    modes: Annotated[list[Mode], Meta(max_length=MODES_MAX)] | None = None
    kind: Literal["mistaken_identity"] | None = None

    def __post_init__(self) -> None:
        """Take the case numbers and lists as they identify."""
        _trim(self, "case", "cases", "lifts")


class ChangeShape(Shape, frozen=True):
    """One edit; which fields it needs depends on `op`."""

    op: ChangeOp
    list: ListName | None = None
    entry_id: EntryId | None = None
    revision: Annotated[int, Meta(ge=1, lt=2**48)] | None = None
    document: Document | None = None
    documents: BoundDocuments | None = None
    decided_at: Time | None = None
    entry: EntryShape | None = None
    reason: RemovalReason | DisputeReason | ReinstateReason | None = None
    replaces: Replaced | None = None

    def __post_init__(self) -> None:
        """Take the list as it identifies."""
        _trim(self, "list")


class ChangesShape(Shape, frozen=True):
    """Up to 1,000 changes, each judged apart: an invalid one is rejected and harms no other."""

    changes: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=ITEMS_MAX)]
    wait: Literal["durable", "all"] | None = None
    timeout_ms: Annotated[int, Meta(ge=1, le=30_000)] | None = None


class FindShape(Shape, frozen=True):
    """Whose entries are asked for, and the name to hold against theirs."""

    document: Document
    name: AskedName | None = None


class HistoryShape(Shape, frozen=True):
    """Whose history is asked for, narrowed to a list or an entry where these are given."""

    document: Document
    list: ListName | None = None
    entry_id: EntryId | None = None

    def __post_init__(self) -> None:
        """Take the list and the entry's id as they identify."""
        _trim(self, "list", "entry_id")
