"""What one cell of a list file may hold (CONTRACT.md 3); each raises `Unusable` otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, get_args

from loader.wrappers import bare, fault
from roster.bounds import (
    CASE_MAX,
    CASES_MAX,
    COURT_MAX,
    ENTRY_ID_MAX,
    LIFTS_MAX,
    MODES_MAX,
    NAME_MAX,
    NAMES_MAX,
    DisputeReason,
    RemovalReason,
)
from roster.errors import InvalidInput
from roster.identity import (
    LONGEST_NUMBER,
    Document,
    DocumentType,
    Normalised,
    normalise,
)
from roster.spelling import trimmed
from roster.texts import holds_id_number
from roster.times import parse_time

TYPES: dict[str, DocumentType] = {
    "resident_id": "resident_id",
    "permanent_resident_id": "permanent_resident_id",
    "hk_macao_permit": "hk_macao_permit",
    "taiwan_permit": "taiwan_permit",
    "passport": "passport",
    "other": "other",
}
SKIPPED = frozenset({"organisation", "unpublished"})
"""Document types that say why a row is no person's: counted, neither loaded nor rejected."""
REMOVAL_REASONS = frozenset(get_args(RemovalReason))
SUSPENSION_REASONS = frozenset(get_args(DisputeReason))
MODES = frozenset({"air", "rail", "ship"})
STATES = {"": None, "active": "active", "suspended": "suspended", "removed": "removed"}

FIRST_REVISION_MS = 631_152_000_000
"""1990: what is before was stated in seconds, or in something else that is not a time."""
_REVISION_DIGITS = 16
_ISSUED = frozenset({"passport", "other"})
_ID_NUMBER_LENGTH = 18
_BLAMED = {
    "document.issuer": ("document_issuer", "missing_issuer"),
    "document.kind": ("document_kind", "unknown_type"),
    "document.number": ("document_number", "malformed"),
}


class Unusable(Exception):  # noqa: N818 -- what the row is
    """A row cannot be used; `field` is the column to blame."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


class Skipped(Exception):  # noqa: N818 -- what the row is
    """A row is no person's; the message is why."""


def document(row: tuple[str, ...], latest_birth: str) -> Normalised:
    """The document of a row of `COLUMNS`; `latest_birth` as `normalise` takes it."""
    type_, number, issuer, kind = row[2:6]
    known = TYPES.get(type_) or _type(type_)
    if not trimmed(number):
        refuse("document_number", "missing_number")
    number = bare(number, known)
    if len(number) > LONGEST_NUMBER:
        refuse("document_number", "too_long")
    # Files fill these columns for every type; only these types have them.
    issued_by = issuer or None if known in _ISSUED else None
    kind_of = kind.strip().lower() or None if known == "other" else None
    try:
        normalised = normalise(Document(known, number, issued_by, kind_of), latest_birth)
    except InvalidInput as exc:
        raise Unusable(*_BLAMED[exc.field]) from exc
    if why := fault(number, normalised):
        refuse("document_number", why)
    return normalised


def revision(stated: str, updated_at: str, latest_ms: int) -> int | None:
    """When the source made the edit, if it says so."""
    if stated.isdecimal() and stated.isascii() and len(stated) <= _REVISION_DIGITS:
        ms = int(stated)
        if FIRST_REVISION_MS <= ms <= latest_ms:
            return ms
        refuse("revision", "bad_revision")
    if stated != stated.strip():
        return revision(stated.strip(), updated_at, latest_ms)
    if stated:
        refuse("revision", "bad_revision")
    updated_ms = moment(parse_time, "updated_at", updated_at, "bad_revision")
    if updated_ms is not None and not FIRST_REVISION_MS <= updated_ms <= latest_ms:
        refuse("updated_at", "bad_revision")
    return updated_ms


def refuse(field: str, reason: str) -> NoReturn:
    """Never returns: raises `Unusable`."""
    raise Unusable(field, reason)


def state(text: str) -> str | None:
    """What the row states, if it states anything."""
    try:
        return STATES[text.strip().lower()]
    except KeyError:
        raise Unusable("state", "malformed") from None


def names(text: str) -> tuple[str, ...]:
    """At most 4 names."""
    if "|" not in text and len(text) <= NAME_MAX:
        return (text.strip(),) if text.strip() else ()
    parts = split(text)
    if len(parts) > NAMES_MAX or any(len(part) > NAME_MAX for part in parts):
        refuse("name", "too_long")
    return parts


def split(text: str) -> tuple[str, ...]:
    """The parts between the bars, without empty ones."""
    return tuple([part for piece in text.split("|") if (part := trimmed(piece))])


def check_texts(entry_id: str, case: str, court: str, name: str) -> None:
    """None is too long, none holds an ID number, and there is an `entry_id`."""
    if not 0 < len(entry_id) <= ENTRY_ID_MAX:
        refuse("entry_id", "too_long" if entry_id else "malformed")
    if len(case) > CASE_MAX:
        refuse("case", "too_long")
    if len(court) > COURT_MAX:
        refuse("court", "too_long")
    if holds_id_number(entry_id):
        refuse("entry_id", "number_in_text")
    # An entry_id is mostly its case number and the party's: one look is enough for both.
    if not entry_id.startswith(case) and holds_id_number(case):
        refuse("case", "number_in_text")
    if len(court) >= _ID_NUMBER_LENGTH and holds_id_number(court):
        refuse("court", "number_in_text")
    if len(name) >= _ID_NUMBER_LENGTH and holds_id_number(name):
        refuse("name", "number_in_text")


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


def reason(stated: str | None, text: str) -> str:
    """Why the row is in its state; an unknown reason never costs a removal: it is `other`."""
    word = text.strip().lower()
    if stated == "removed" and word:
        return word if word in REMOVAL_REASONS else "other"
    return word if stated == "suspended" and word in SUSPENSION_REASONS else ""


def _type(text: str) -> DocumentType:
    word = text.strip().lower()
    if word in SKIPPED:
        raise Skipped(word)
    if word not in TYPES:
        refuse("document_type", "unknown_type")
    return TYPES[word]
