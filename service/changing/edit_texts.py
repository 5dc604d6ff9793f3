"""The texts of a change: none holds an ID number, and none is too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roster.documents.check_digits import holds_id_number
from roster.documents.spelling import trimmed
from roster.errors import InvalidInput
from roster.records.bounds import CASE_MAX, ENTRY_ID_MAX, too_long

if TYPE_CHECKING:
    from service.web.shapes import ChangeShape

_LONGEST = {"entry_id": ENTRY_ID_MAX, "entry.case": CASE_MAX, "entry.cases": CASE_MAX}


def check_texts(shape: ChangeShape) -> None:
    """Refuse texts that hold an ID number, or are too long without the blanks at their ends."""
    _check("entry_id", shape.entry_id)
    entry = shape.entry
    if entry is not None:
        _check("entry.name", entry.name)
        _check("entry.names", *(entry.names or ()))
        _check("entry.case", entry.case)
        _check("entry.court", entry.court)
        _check("entry.cases", *(entry.cases or ()))


def _check(field: str, *texts: str | None) -> None:
    given = [text for text in texts if text]
    if any(map(holds_id_number, given)):
        raise InvalidInput(field, "number_in_text: an ID number does not belong here")
    limit = _LONGEST.get(field)
    if limit and any(len(text) > limit < len(trimmed(text)) for text in given):
        raise InvalidInput(field, too_long(limit))
