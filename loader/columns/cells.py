"""What one cell of a list file may hold (docs/lists.md, Columns), and the faults of others.

Faults are numbered in the order in which those of one row are told: the first counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, get_args

import numpy as np

from loader.columns.columns import Bools, Numbers, Octets
from loader.columns.wrappers import number_fault, unwrapped
from roster.documents.check_digits import holds_id_number
from roster.documents.identity import (
    LONGEST_NUMBER,
    Document,
    DocumentType,
    Normalised,
    normalise,
)
from roster.documents.spelling import trimmed
from roster.errors import InvalidInput
from roster.records.bounds import (
    CASE_MAX,
    CASES_MAX,
    COURT_MAX,
    LIFTS_MAX,
    MODES_MAX,
    NAME_MAX,
    NAMES_MAX,
    DisputeReason,
    RemovalReason,
)
from roster.times import parse_time

TYPES: dict[str, DocumentType] = {name: name for name in get_args(DocumentType)}
SKIPPED = frozenset({"organisation", "unpublished"})
"""Document types that say why a row is no person's: counted, neither loaded nor rejected."""
REMOVAL_REASONS = frozenset(get_args(RemovalReason))
SUSPENSION_REASONS = frozenset(get_args(DisputeReason))
MODES = frozenset({"air", "rail", "ship"})
STATES = frozenset({"", "active", "suspended", "removed"})

FIRST_REVISION_MS = 631_152_000_000
"""1990: what is before was stated in seconds, or in something else that is not a time."""
_REVISION_DIGITS = 16
_ISSUED = frozenset({"passport", "other"})
_BLAMED = {
    "document.issuer": ("document_issuer", "missing_issuer"),
    "document.kind": ("document_kind", "unknown_type"),
    "document.number": ("document_number", "malformed"),
}
NO_SUCH_LIST = "unknown"
"""Of the list that a row names, which no roster has: that is no reject."""
_CELLS = (
    ("", "malformed"), *(("document_type", why) for why in sorted(SKIPPED)),
    ("document_type", "unknown_type"), ("document_number", "missing_number"),
    ("document_number", "too_long"), ("document_issuer", "missing_issuer"),
    ("document_kind", "unknown_type"), ("document_number", "malformed"),
    ("document_number", "masked_number"), ("list", "malformed"), ("entry_id", "malformed"),
    ("entry_id", "too_long"), ("case", "too_long"), ("court", "too_long"),
    ("entry_id", "number_in_text"), ("case", "number_in_text"), ("court", "number_in_text"),
    ("name", "number_in_text"), ("name", "too_long"), ("revision", "bad_revision"),
    ("updated_at", "bad_revision"), ("state", "malformed"), ("from", "bad_date"),
    ("until", "bad_date"), ("modes", "malformed"), ("modes", "too_long"), ("lifts", "too_long"),
    ("cases", "too_long"), ("cases", "number_in_text"), ("kind", "malformed"),
    ("decided_at", "bad_date"),
)  # fmt: skip
_OF_LIFTS = (("until", "bad_date"), ("name", "malformed"))
FAULTS = (*_CELLS, *_OF_LIFTS, ("list", NO_SUCH_LIST), ("lifts", "malformed"))
"""The field to blame and the reason of each."""
ENDLESS = len(_CELLS)
"""The fault of a lift that does not say until when."""
SOUND = 255
"""In the place of a fault: there is none."""
FAULT = {fault: number for number, fault in reversed([*enumerate(FAULTS)])}
"""The number of each, by which the first comes first."""
REJECTED = np.array(
    [why not in {*SKIPPED, NO_SUCH_LIST} for _, why in FAULTS] + [False] * (256 - len(FAULTS))
)
"""By number: whether it is a reject."""


class Unusable(Exception):  # noqa: N818 -- what the row is
    """A row cannot be used; `field` is the column to blame."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


def type_of(text: str) -> DocumentType:
    """The type of a document; of a row that is no person's the reason says why."""
    word = text.strip().lower()
    if word not in TYPES:
        refuse("document_type", word if word in SKIPPED else "unknown_type")
    return TYPES[word]


def document(type_: str, number: str, issuer: str, kind: str, latest_birth: str) -> Normalised:
    """The document that four cells state; `latest_birth` as `normalise` takes it."""
    known = TYPES.get(type_) or type_of(type_)
    if not trimmed(number):
        refuse("document_number", "missing_number")
    number = unwrapped(number, known)
    if len(number) > LONGEST_NUMBER:
        refuse("document_number", "too_long")
    # Files fill these columns for every type; only these types have them.
    issued_by = issuer or None if known in _ISSUED else None
    kind_of = kind.strip().lower() or None if known == "other" else None
    try:
        normalised = normalise(Document(known, number, issued_by, kind_of), latest_birth)
    except InvalidInput as exc:
        raise Unusable(*_BLAMED[exc.field]) from exc
    if why := number_fault(number, normalised):
        refuse("document_number", why)
    return normalised


def revision(stated: str, updated_at: str, latest_ms: int) -> int | None:
    """When the source made the edit, if it says so."""
    field, stated = "revision", stated.strip()
    if not stated:
        field, ms = "updated_at", moment(parse_time, "updated_at", updated_at, "bad_revision")
    elif stated.isdecimal() and stated.isascii() and len(stated) <= _REVISION_DIGITS:
        ms = int(stated)
    else:
        refuse(field, "bad_revision")
    if ms is not None and not FIRST_REVISION_MS <= ms <= latest_ms:
        refuse(field, "bad_revision")
    return ms


def refuse(field: str, reason: str) -> NoReturn:
    """Never returns: raises `Unusable`."""
    raise Unusable(field, reason)


def state(text: str) -> str:
    """What the row states, nothing where it does not."""
    word = text.strip().lower()
    if word not in STATES:
        refuse("state", "malformed")
    return word


def names(text: str) -> tuple[str, ...]:
    """At most 4 names, without an ID number."""
    if holds_id_number(text):
        refuse("name", "number_in_text")
    if "|" not in text and len(text) <= NAME_MAX:
        return (text.strip(),) if text.strip() else ()
    parts = split(text)
    if len(parts) > NAMES_MAX or any(len(part) > NAME_MAX for part in parts):
        refuse("name", "too_long")
    return parts


def court(text: str) -> str:
    """A court's name, without an ID number."""
    if len(text) > COURT_MAX:
        refuse("court", "too_long")
    if holds_id_number(text):
        refuse("court", "number_in_text")
    return text.strip()


def split(text: str) -> tuple[str, ...]:
    """The parts between the bars, without empty ones."""
    return tuple([part for piece in text.split("|") if (part := trimmed(piece))])


def moment(
    parse: Callable[[str], int], field: str, text: str, otherwise: str = "bad_date"
) -> int | None:
    """The time in ms that `parse` finds in the text, if there is any text."""
    text = text.strip()
    try:
        return parse(text) if text else None
    except ValueError:
        raise Unusable(field, otherwise) from None


def modes(text: str) -> tuple[str, ...]:
    """The modes that a lift is for."""
    parts = split(text.lower())
    if not MODES.issuperset(parts):
        refuse("modes", "malformed")
    if len(parts) > MODES_MAX:
        refuse("modes", "too_long")
    return parts


def lifts(text: str) -> tuple[str, ...]:
    """The lists that a lift is of; whether there are such lists is for the caller to see."""
    parts = split(text)
    if len(parts) > LIFTS_MAX:
        refuse("lifts", "too_long")
    return parts


def cases(text: str) -> tuple[str, ...]:
    """The case numbers that a lift is for."""
    parts = split(text)
    if len(parts) > CASES_MAX:
        refuse("cases", "too_long")
    for part in parts:
        if len(part) > CASE_MAX:
            refuse("cases", "too_long")
        if holds_id_number(part):
            refuse("cases", "number_in_text")
    return parts


def kind(text: str) -> str:
    """What kind of lift it is: ordinary or `mistaken_identity`."""
    word = text.strip().lower()
    if word not in {"", "mistaken_identity"}:
        refuse("kind", "malformed")
    return word


def reason(stated: str, text: str) -> str:
    """Why the row is in its state; an unknown reason never costs a removal: it is `other`."""
    word = text.strip().lower()
    if stated == "removed" and word:
        return word if word in REMOVAL_REASONS else "other"
    return word if stated == "suspended" and word in SUSPENSION_REASONS else ""


def fault_of(bad: Unusable) -> int:
    """The number that stands for a fault in columns."""
    return FAULT[bad.field, bad.reason]


def no_faults(count: int) -> Octets:
    """The faults of so many rows: none yet."""
    return np.full(count, SOUND, np.uint8)


def blame(faults: Octets, rows: Bools | Numbers | None, fault: int | Octets) -> None:
    """Give these rows (None: all) that fault, or each its own, if it comes first."""
    if rows is None:
        np.minimum(faults, fault, out=faults)
    else:
        np.minimum.at(faults, rows, np.asarray(fault, np.uint8))
