"""The texts of a change: none holds an ID number, and none is too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roster.bounds import CASE_MAX, ENTRY_ID_MAX, too_long
from roster.errors import InvalidInput
from roster.spelling import trimmed
from roster.texts import holds_id_number

if TYPE_CHECKING:
    from service.shapes import ChangeShape

_LONGEST = {"entry_id": ENTRY_ID_MAX, "entry.case": CASE_MAX, "entry.cases": CASE_MAX}


def check_texts(shape: ChangeShape) -> None:
    """Refuse texts that hold an ID number, or are too long without the blanks at their ends."""
    entry = shape.entry
    texts = {"entry_id": [shape.entry_id]}
    if entry is not None:
        texts |= {
            "entry.name": [entry.name],
            "entry.names": list(entry.names or ()),
            "entry.case": [entry.case],
            "entry.court": [entry.court],
            "entry.cases": list(entry.cases or ()),
        }
    for field, values in texts.items():
        if any(value and holds_id_number(value) for value in values):
            raise InvalidInput(field, "number_in_text: an ID number does not belong here")
        limit = _LONGEST.get(field)
        if limit and any(value and len(trimmed(value)) > limit for value in values):
            raise InvalidInput(field, too_long(limit))
