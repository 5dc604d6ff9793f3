"""What makes two spellings the same document.

Loader and service must agree on this to the bit. A change here changes tokens, so it raises
`SCHEME` (roster/documents/tokeniser.py).
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, NamedTuple, NewType

import msgspec

from roster.documents.check_digits import (
    END_OF_TIME,
    check_digit,
    icao_check_digit,
    is_birth,
    is_short_birth,
    remainder,
)
from roster.documents.issuers import ISSUERS, SAME_ISSUER, STATE_OF
from roster.documents.spelling import MASKS, fold, trimmed, with_x, without_filler
from roster.errors import InvalidInput
from roster.records.bounds import UNTRIMMED_MAX, too_long

LONGEST_NUMBER: Final = 64

_HAS_NONE: Final = "this type of document has none"
_LENGTH: Final = 18  # of an ID card's number
_PLAIN = re.compile(rf"[0-9A-Z]{{1,{LONGEST_NUMBER}}}")  # nobody spells it otherwise
_CARDS = frozenset({"resident_id", "permanent_resident_id"})
_CODES = {code: SAME_ISSUER.get(code, code) for code in ISSUERS}

DocumentType = Literal[
    "resident_id", "permanent_resident_id", "hk_macao_permit", "taiwan_permit", "passport", "other"
]
KINDS = frozenset({"military", "police", "seaman", "travel_document", "birth_certificate", "other"})

DocumentNumber = NewType("DocumentNumber", str)
"""One spelling of one document, unique across types: `R:11010519491231002X`."""
Token = NewType("Token", bytes)
"""16 bytes: u16 partition (0 to 63), u16 bucket (0 to 1023), 12 bytes field: `keys.place`."""


class Document(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False
):
    """A document as somebody spelled it."""

    type: DocumentType
    number: Annotated[str, msgspec.Meta(min_length=1, max_length=UNTRIMMED_MAX)]
    issuer: str | None = None
    kind: str | None = None


class Normalised(NamedTuple):
    """The one spelling, and whether such a document can have that number."""

    number: DocumentNumber
    valid: bool


def normalise(document: Document, latest_birth: str = END_OF_TIME) -> Normalised:
    """The document's one spelling, the same for every way to write it.

    `valid` is advice about the number only: the spelling never depends on it, so that what
    was listed with a wrong check digit is found. `latest_birth` (`YYYYMMDD`, see
    `beijing_day`) makes later births invalid: this module has no clock.

    Raises InvalidInput: the issuer or kind is missing, unknown or out of place, or nothing
    is left of the number. Its message never holds what was sent.
    """
    if document.type == "resident_id" and document.issuer is None and document.kind is None:
        number = document.number
        if len(number) == _LENGTH:
            try:
                right = remainder(number) == 1
            except KeyError:
                pass  # not plain ASCII digits: the long way round
            else:
                letter = "P:" if number[0] == "9" else "R:"
                valid = right and is_birth(number[6:14], latest_birth)
                return _found(letter + number, valid=valid)
    return _normalise(document, latest_birth)


def is_masked(number: str) -> bool:
    """Whether some of the number was blotted out (`110105********002X`): nobody's number."""
    return not MASKS.isdisjoint(number)


def missing_check_digit(document: Document, latest_birth: str = END_OF_TIME) -> str | None:
    """The check digit that would make an ID card's number valid, where all else of it may be right.

    None for every other document and fault. Raises InvalidInput, as `normalise`.
    """
    number, valid = normalise(document, latest_birth)
    card = number.partition(":")[2]
    if valid or not _EIGHTEEN.fullmatch(card) or not is_birth(card[6:14], latest_birth):
        return None
    return check_digit(card[:-1])


def is_a_cards_number(document: Document) -> bool:
    """Whether what is no ID card has the number of one: 18 places with the right check digit."""
    if document.type in _CARDS or len(document.number) < _LENGTH:
        return False
    if sum(map(str.isalnum, document.number)) < _LENGTH - 1:  # an X may be spelled as a sign
        return False  # one of 15, which has no check digit, would be filled up
    try:
        return normalise(Document("resident_id", document.number)).valid
    except InvalidInput:
        return False


def _normalise(document: Document, latest_birth: str) -> Normalised:
    number = document.number
    if not _PLAIN.fullmatch(number):
        number = _folded(number)
    if document.type == "other":
        return _other(document, number)
    if document.kind:
        raise InvalidInput("document.kind", _HAS_NONE)
    if document.type == "passport":
        return _passport(_issuer(document.issuer), number)
    if document.issuer:
        raise InvalidInput("document.issuer", _HAS_NONE)
    match document.type:
        case "resident_id":
            return _resident(with_x(number), latest_birth)
        case "permanent_resident_id":
            return _permanent(with_x(number), latest_birth)
        case "hk_macao_permit":
            return _hk_macao(number)
        case "taiwan_permit":
            return _taiwan(number)
    raise InvalidInput("document.type", "unknown document type")


def _found(number: str, *, valid: bool) -> Normalised:
    """What calling both types would give, which checks nothing, at half the cost."""
    return tuple.__new__(Normalised, (number, valid))


def _folded(spelled: str) -> str:
    """What `fold` and `without_filler` leave; of what is plain that is all."""
    if len(spelled) > LONGEST_NUMBER < len(trimmed(spelled)):
        raise InvalidInput("document.number", too_long(LONGEST_NUMBER))
    number = without_filler(fold(spelled))
    if not number:
        raise InvalidInput("document.number", "empty, or nothing but blanks")
    return number


def _issuer(issuer: str | None) -> str:
    if issuer in _CODES:
        return _CODES[issuer]
    code = fold(issuer or "").rstrip("<")  # machine readable zones print `D<<`
    if not code:
        raise InvalidInput("document.issuer", "required: the issuing state's three-letter code")
    if code not in ISSUERS:
        raise InvalidInput("document.issuer", "neither an ISO 3166-1 alpha-3 nor an ICAO 9303 code")
    return _CODES[code]


# ID cards: GB 11643, and the immigration administration's notice of 2023.

_EIGHTEEN = re.compile(r"[0-9]{17}[0-9X]")
_FIFTEEN = re.compile(r"[0-8][0-9]{14}")  # 9 is the mark of the foreigners' card of 2023
_PERMANENT_2017 = re.compile(r"[A-Z]{3}[0-9]{12}")
_CENTENARIANS = frozenset({"996", "997", "998", "999"})


def _eighteen(number: str, latest_birth: str) -> Normalised:
    letter = "P:" if number[0] == "9" else "R:"
    valid = remainder(number) == 1 and is_birth(number[6:14], latest_birth)
    return _found(letter + number, valid=valid)


def _resident(number: str, latest_birth: str) -> Normalised:
    """18 digits; 15 are the same card before 1999, with a century and a check digit less."""
    if _FIFTEEN.fullmatch(number):
        century = "18" if number[12:] in _CENTENARIANS else "19"
        number = f"{number[:6]}{century}{number[6:]}"
        number += check_digit(number)
    if _EIGHTEEN.fullmatch(number):
        return _eighteen(number, latest_birth)
    return _found("R:" + number, valid=False)


def _permanent(number: str, latest_birth: str) -> Normalised:
    """18 digits from 9 on (2023), or three letters and 12 digits (2017)."""
    if number[0] == "9" and _EIGHTEEN.fullmatch(number):
        return _eighteen(number, latest_birth)
    valid = (
        _PERMANENT_2017.fullmatch(number) is not None
        and number[14] == icao_check_digit(number[:14])
        and is_short_birth(number[7:13])
    )
    return _found("P:" + number, valid=valid)


# Permits and passports.

_HK_MACAO = re.compile(r"([HM][0-9]{8})(?:[0-9]{2})?")
_TAIWAN = re.compile(r"([0-9]{8})(?:[0-9]{2})?(?:[A-Z]|\([A-Z]\))?")
# Permits for one trip are longer than those for five years; no source gives their form.
_TAIWAN_ONE_TRIP = re.compile(r"[0-9A-Z]{11,20}")
_PASSPORT = re.compile(r"[0-9A-Z]{1,20}")
# In no place of its letters has one an I or an O, which would be taken for digits
# (docs/domain.md, Passports).
_PASSPORT_CHN = re.compile(r"[A-HJ-NP-Z][0-9]{8}|[A-HJ-NP-Z]{2}[0-9]{7}|1[45][0-9]{7}")


def _hk_macao(number: str) -> Normalised:
    """The lifelong first 9; the re-issue counter is dropped from the exact shape only."""
    match = _HK_MACAO.fullmatch(number)
    return _found("H:" + (match[1] if match else number), valid=match is not None)


def _taiwan(number: str) -> Normalised:
    """The lifelong first 8, without counter and issuer's letter; else as spelled.

    What is longer may be a permit for one trip, so it is not called invalid.
    """
    if match := _TAIWAN.fullmatch(number):
        return _found("T:" + match[1], valid=True)
    return _found("T:" + number, valid=_TAIWAN_ONE_TRIP.fullmatch(number) is not None)


def _passport(issuer: str, number: str) -> Normalised:
    """As spelled: a passport's check digit is in its machine readable zone only."""
    shape = _PASSPORT_CHN if STATE_OF.get(issuer) == "CHN" else _PASSPORT
    return _found(f"W:{issuer}:{number}", valid=shape.fullmatch(number) is not None)


def _other(document: Document, number: str) -> Normalised:
    """As spelled: no national rule; nearly anything with a letter or digit may be such a number."""
    issuer = _issuer_of_other(document)
    possible = "<" not in number and not is_masked(number)
    valid = possible and any(character.isalnum() for character in number)
    return _found(f"O:{issuer}:{document.kind}:{number}", valid=valid)


def _issuer_of_other(document: Document) -> str:
    """The issuer; raises InvalidInput with what is wrong with it, with the kind, or with both."""
    wrong: tuple[tuple[str, str], ...] = ()
    if document.kind not in KINDS:
        asked = "required: one of" if document.kind is None else "not one of"
        wrong = (("document.kind", f"{asked} {', '.join(sorted(KINDS))}"),)
    try:
        issuer = _issuer(document.issuer)
    except InvalidInput as exc:
        raise InvalidInput(exc.field, exc.message, *wrong) from None
    if wrong:
        raise InvalidInput(*wrong[0])
    return issuer
