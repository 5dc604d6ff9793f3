"""Whether a free text holds an ID number, which must never be stored (docs/api.md, Routes)."""

from __future__ import annotations

import re
import unicodedata
from datetime import date

_LENGTH = 18
_FIRST_YEAR, _LAST_YEAR = 1800, 2099
_CENTURIES = frozenset({"18", "19", "20"})
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
"""ISO 7064 MOD 11-2 as GB 11643 prints it."""

_GAPS = r"\s\-\u00ad\u200b-\u200f\u202a-\u202e\u2010-\u2015\u2060-\u2064\ufeff"
_GAP = re.compile(f"[{_GAPS}]")
_LIKELY = re.compile(rf"\d[\d{_GAPS}]{{16}}")
_SPELLED = re.compile(rf"(?=([1-9](?:[{_GAPS}]?\d){{16}}[{_GAPS}]?[\dXxХхΧχ]))")
_LOOK_ALIKES = str.maketrans("ХхΧχx", "XXXXX")


def holds_id_number(text: str) -> bool:
    """Whether a valid 18-digit ID number stands anywhere in the text.

    Full-width and look-alike characters, single blanks, hyphens and invisible characters
    between the digits do not hide it; nor do digits beside it.
    """
    if len(text) < _LENGTH or _LIKELY.search(text) is None:
        return False
    folded = unicodedata.normalize("NFKC", text)
    return any(_is_id_number(found.group(1)) for found in _SPELLED.finditer(folded))


def _is_id_number(spelled: str) -> bool:
    number = _GAP.sub("", spelled).translate(_LOOK_ALIKES)
    if number[6:8] not in _CENTURIES or not number.isascii():
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False))
    return _CHECKS[total % 11] == number[17] and _is_birth_date(number[6:14])


def _is_birth_date(digits: str) -> bool:
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:])
    try:
        date(year, month, day)
    except ValueError:
        return False
    return _FIRST_YEAR <= year <= _LAST_YEAR
