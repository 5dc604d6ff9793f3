"""Under which other numbers a document may be stored: its state's other codes, older spellings.

The number that `normalise` gives is the one to store; these are looked for beside it. So nothing
that is stored has to change, and processes of several versions find what any of them wrote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roster.documents.identity import DocumentNumber
from roster.documents.issuers import CODES_OF_STATE, STATE_OF
from roster.documents.spelling import fold

if TYPE_CHECKING:
    from roster.documents.identity import Document

ISSUED = frozenset({"passport", "other"})
"""The types whose documents may be stored under several codes."""
_OTHER_CODES = {
    code: tuple(each for each in CODES_OF_STATE[state] if each != code)
    for code, state in STATE_OF.items()
}


def alternatives(document: Document, number: DocumentNumber) -> tuple[DocumentNumber, ...]:
    """The other numbers of a document whose number is `number`; mostly there are none."""
    if document.type not in ISSUED:
        return ()
    kind, issuer, rest = number.split(":", 2)
    if document.number.isascii() and "<" not in document.number:
        others: Any = [f"{kind}:{code}:{rest}" for code in _OTHER_CODES.get(issuer, ())]
        return tuple(others)  # calls of `DocumentNumber`, which checks nothing, would cost more
    spelled = fold(document.number)  # as versions that took filler for a part of it
    head = f"{document.kind}:" if kind == "O" else ""
    rests = dict.fromkeys([rest, f"{head}{spelled}"])
    codes = CODES_OF_STATE[STATE_OF[issuer]] if issuer in STATE_OF else (issuer,)
    found = (f"{kind}:{code}:{each}" for each in rests for code in codes)
    return tuple(DocumentNumber(each) for each in found if each != number)
