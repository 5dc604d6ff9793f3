"""Why a number can be no document of its type, or is another's, told without the number."""

from __future__ import annotations

from typing import Literal

import msgspec

from roster.documents.identity import Document, is_a_cards_number, missing_check_digit, normalise
from roster.documents.spelling import fold, with_x, without_filler

DoubtCode = Literal["length", "letter", "check_digit", "shape", "resident_number"]

_CARD = 18
_LENGTHS = frozenset({15, _CARD})
"""Characters of a resident ID: since 1999, and before."""


class Doubt(msgspec.Struct, frozen=True):
    """What is wrong with a number of so many `characters`, blanks and hyphens not counted.

    `place` is the first character, from 1 on, that would have to be a digit (`letter`);
    `check_digit` what would have to stand last; `resident_number` is that of an ID card, which
    what was said to be another document has.
    """

    code: DoubtCode
    characters: int
    place: int | None = None
    check_digit: str | None = None


def doubt_of(document: Document, latest_birth: str) -> Doubt | None:
    """Why the number can be none of its type, or is an ID card's; None where nobody can say.

    Births after `latest_birth` make it invalid, as in `normalise`. Raises InvalidInput, as that.
    """
    valid = normalise(document, latest_birth).valid
    if is_a_cards_number(document):
        return Doubt("resident_number", _CARD)
    if valid:
        return None
    number = with_x(without_filler(fold(document.number)))
    characters = len(number)
    if document.type == "resident_id":
        if characters not in _LENGTHS:
            return Doubt("length", characters)
        if place := _letter(number):
            return Doubt("letter", characters, place=place)
    digit = missing_check_digit(document, latest_birth)
    if digit is not None:
        return Doubt("check_digit", characters, check_digit=digit)
    return Doubt("shape", characters)


def _letter(number: str) -> int | None:
    """The place of the first character of a card's number that is no digit where one belongs."""
    for place, character in enumerate(number, 1):
        last = place == _CARD and character == "X"
        if not last and not (character.isascii() and character.isdecimal()):
            return place
    return None
