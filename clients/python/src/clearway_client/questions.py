"""What is asked and what is changed: documents, journeys, checks, changes.

None of them tells a number or a name where it is printed. Times are aware datetimes, or texts as
the service takes them.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

import msgspec

from clearway_client.discreet import Discreet

DocumentType = Literal[
    "resident_id",
    "permanent_resident_id",
    "hk_macao_permit",
    "taiwan_permit",
    "passport",
    "other",
]
DocumentKind = Literal[
    "military", "police", "seaman", "travel_document", "birth_certificate", "other"
]
Cabin = Literal["special", "first", "second", "third", "fourth", "fifth", "seat"]
Mode = Literal["air", "rail", "ship"]
Op = Literal["put", "remove", "suspend", "resume", "bind", "unbind", "reinstate"]
Time = datetime | str


class Document(Discreet, frozen=True, omit_defaults=True):
    """A traveller's document; a passport has an `issuer`, an `other` one `issuer` and `kind`."""

    SHOWN: ClassVar = ("type", "issuer", "kind")

    type: DocumentType
    number: str
    issuer: str | None = None
    kind: DocumentKind | None = None


class Air(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="mode", tag="air"):
    """A flight."""

    departs_at: Time | None = None


class Rail(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="mode", tag="rail"):
    """A train, and a seat code or up to 10 of them."""

    train: str
    seat: str | tuple[str, ...]
    departs_at: Time | None = None


class Ship(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="mode", tag="ship"):
    """A place on a ship."""

    cabin: Cabin
    departs_at: Time | None = None


Journey = Air | Rail | Ship


class Check(Discreet, frozen=True, omit_defaults=True):
    """One traveller, one journey; in a manifest the journey may be that of all.

    `at_least` are positions that the answer has to be as new as; what the client remembers of the
    person comes to them. `reference` comes back with the answer.
    """

    SHOWN: ClassVar = ("document", "journey")

    document: Document
    journey: Journey | None = None
    name: str | None = None
    at_least: str | tuple[str, ...] = ()
    reference: str | None = None


class Person(Discreet, frozen=True, omit_defaults=True):
    """Whose standing is asked for, now or where they depart."""

    SHOWN: ClassVar = ("document",)

    document: Document
    name: str | None = None
    departs_at: Time | None = None


class Entry(Discreet, frozen=True, omit_defaults=True, rename={"from_": "from"}):
    """What a list says of a document; `lifts`, `cases`, `modes` and `kind` are for list `lift`."""

    SHOWN: ClassVar = ("from_", "until", "case", "court")

    name: str | None = None
    names: tuple[str, ...] = ()
    from_: Time | None = None
    until: Time | None = None
    case: str | None = None
    court: str | None = None
    lifts: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    modes: tuple[Mode, ...] = ()
    kind: Literal["mistaken_identity"] | None = None


class Change(Discreet, frozen=True, omit_defaults=True):
    """One edit of the roster; state `revision`, and it can be sent again without harm."""

    SHOWN: ClassVar = ("op", "list", "entry_id", "revision", "reason")

    op: Op
    list: str | None = None
    entry_id: str | None = None
    document: Document | None = None
    revision: int | None = None
    reason: str | None = None
    decided_at: Time | None = None
    entry: Entry | None = None
    documents: tuple[Document, ...] = ()
    replaces: tuple[Document, ...] = ()

    @property
    def about(self) -> tuple[Document, ...]:
        """Every document that it is about."""
        own = () if self.document is None else (self.document,)
        return (*own, *self.documents, *self.replaces)
