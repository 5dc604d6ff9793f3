"""What the courts' feeds say of documents, by column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from loader.columns.numbers import NINE, ZERO
from loader.columns.pieces import Bools, Numbers
from loader.sheets.fields import Cells, Fields
from loader.sheets.firms import folded, is_firm_number

_Of = TypeVar("_Of")

# Type, issuer and kind of every document that they may speak of.
_DOCUMENTS = (
    ("unknown", "", ""),
    ("organisation", "", ""),
    ("resident_id", "", ""),
    ("permanent_resident_id", "", ""),
    ("hk_macao_permit", "", ""),
    ("taiwan_permit", "", ""),
    ("passport", "", ""),
    ("passport", "CHN", ""),
    ("other", "CHN", "seaman"),
    ("other", "CHN", "travel_document"),
    ("other", "CHN", "birth_certificate"),
    ("other", "CHN", "police"),
    ("other", "CHN", "military"),
)
_UNKNOWN, FIRM, _RESIDENT, _PERMANENT, _HK_MACAO, _TAIWAN, _PASSPORT, _CHINESE = range(8)
_SEAMAN, _TRAVEL, _BIRTH, _POLICE, _MILITARY = range(8, 13)
# What XYCJ calls a document (ZJLXMC): the first of these that occurs in it counts.
_WORDS = (
    ("信用代码|机构代码|营业执照", FIRM),
    ("永久居留", _PERMANENT),
    ("居住证", _RESIDENT),
    ("台胞证|台湾", _TAIWAN),
    ("回乡证|港澳", _HK_MACAO),
    ("护照", _PASSPORT),
    ("海员证", _SEAMAN),
    ("旅行证", _TRAVEL),
    ("出生", _BIRTH),
    ("警官", _POLICE),
    ("军官|士兵|文职|军人", _MILITARY),
    ("身份证|户口", _RESIDENT),
    ("", _UNKNOWN),
)
# Where no word says it, the number's shape does.
_SHAPES = (
    ("^[HM][0-9]{8}([0-9]{2})?$", _HK_MACAO),
    ("^[0-9]{8}([0-9]{2})?$", _TAIWAN),
    ("^[A-Z]{3}[0-9]{12}$", _PERMANENT),
    ("^([GEDPS][0-9]|E[A-HJ-NP-Z])[0-9]{7}$", _CHINESE),
    # Typing errors in a long number included: what was listed is found as spelled.
    (r"^$|^[0-9]{9}|\*", _RESIDENT),
    ("", _UNKNOWN),
)
_FIRMS = "法人|组织|企业|公司|单位|机构"
_PARTIES = {"580": -1, "581": 1}
"""Persons and firms."""
_LONG, _OLD = 18, 15
_X, _FOREIGN = ord("X") - ZERO, 9


def first_of(words: Sequence[tuple[str, _Of]], text: str) -> _Of:
    """What the first of these says that occurs in the text; one does."""
    return next(said for word, said in words if re.search(word, text))


def zxgk_documents(fields: Fields, number: Cells, listed: Bools) -> Numbers:
    """Those of the site's numbers, of which no field says what they are."""
    found, cards = _shaped(fields, number)
    found[listed & _are_firms(fields, number, cards)] = FIRM
    return found


def xycj_documents(fields: Fields, number: Cells) -> Numbers:
    """Those of the exchange table, which has words for most."""
    shaped, _ = _shaped(fields, number)
    words = fields.text("ZJLXMC")
    found = fields.sorted_out(words, lambda text: first_of(_WORDS, text))
    foreign = fields.sorted_out(words, lambda text: "外" in text)
    chinese = (found == _PASSPORT) & (shaped == _CHINESE) & ~foreign
    found = np.where((found == _UNKNOWN) | chinese, shaped, found)
    firms = fields.sorted_out(fields.text("BZXRLXMC"), lambda text: bool(re.search(_FIRMS, text)))
    found[firms | (number[1] == 0) & (fields.text("ZZJGDM")[1] > 0)] = FIRM
    return found


def written(fields: Fields, documents: Numbers) -> list[Cells]:
    """Types, issuers and kinds."""
    return [fields.write(column)[:, documents] for column in zip(*_DOCUMENTS, strict=True)]


def _shaped(fields: Fields, number: Cells) -> tuple[Numbers, Bools]:
    """What the numbers' shapes say, and which are 15 digits, or 17 and a check character."""
    cards = np.zeros(len(fields), np.bool_)
    for size in (_OLD, _LONG):
        rows = np.flatnonzero(number[1] == size)
        digits = np.ascontiguousarray(fields.column(number[:, rows]).windows(0, size).T) - ZERO
        last = (digits[-1] <= NINE) | (digits[-1] == _X) & (size == _LONG)
        cards[rows] = (digits[:-1] <= NINE).all(0) & last
    found = np.full(len(fields), _RESIDENT)
    others = np.flatnonzero(~cards)
    found[others] = [first_of(_SHAPES, folded(text)) for text in fields.texts(number, others)]
    return found, cards


def _are_firms(fields: Fields, number: Cells, cards: Bools) -> Bools:
    """581 says so; mirrors write "0" or nothing, then the number or the representative does."""
    party = fields.sorted_out(fields.text("partyTypeName"), lambda text: _PARTIES.get(text, 0))
    firms: Bools = (party > 0) | (party == 0) & (fields.text("businessEntity")[1] > 0)
    # A person's number of digits begins with 9 only if it is a foreigner's.
    person = cards & (fields.column(number).windows(0, 1)[:, 0] != ZERO + _FOREIGN)
    rows = np.flatnonzero((party == 0) & ~firms & ~person)
    firms[rows] = [is_firm_number(text) for text in fields.texts(number, rows)]
    return firms
