"""Whether a number's check digit and birth date can be those of a document.

Also whether such a number stands in a free text, where it must never be stored (docs/api.md,
Routes).
"""

from __future__ import annotations

import calendar
import re
import unicodedata
from operator import mul

FIRST_BIRTH = "18000101"
"""Nobody alive was born before; synthetic people are born 1800 to 1879.

See docs/domain.md, Validity.
"""
END_OF_TIME = "99991231"
_LAST_IN_TEXTS = "20991231"

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2, 1)
"""ISO 7064 MOD 11-2, as in GB 11643: all 18 sum up to 1, modulo 11, where the last is right."""
CHECKS = "10X98765432"
"""The check digit by what the other 17 sum up to."""


def _weighted(digits: str) -> int:
    """ISO 7064 MOD 11-2 of a run of digits, the last of them with weight 1."""
    total = 0
    for digit in digits:
        total = (2 * total + (10 if digit == "X" else int(digit))) % 11
    return total


# Four digits a step. Look-ups that fail say that the text is no such number, so that the
# ordinary case needs no test of its shape.
_TWO = {f"{n:02}": _weighted(f"{n:02}") for n in range(100)}
_FOUR = {a + b: (4 * high + low) % 11 for a, high in _TWO.items() for b, low in _TWO.items()}
_LAST = {
    f"{tens}{last}": _weighted(f"{tens}{last}") for tens in range(10) for last in "0123456789X"
}

_DAYS = frozenset(
    f"{month:02}{day:02}"
    for month in range(1, 13)
    for day in range(1, calendar.monthrange(1999, month)[1] + 1)
)

_GAPS = r"\s\-\u00ad\u200b-\u200f\u202a-\u202e\u2010-\u2015\u2060-\u2064\ufeff"
_GAP = re.compile(f"[{_GAPS}]")
_LIKELY = re.compile(rf"\d[\d{_GAPS}]{{16}}")
_SPELLED = re.compile(rf"(?=([1-9](?:[{_GAPS}]?\d){{16}}[{_GAPS}]?[\dXxХхΧχ]))")
_LOOK_ALIKES = str.maketrans("ХхΧχx", "XXXXX")

_ICAO_VALUE = {c: value for value, c in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")}
_ICAO_WEIGHTS = (7, 3, 1) * 8


def remainder(number: str) -> int:
    """ISO 7064 MOD 11-2 of 18 characters: 1 where the check digit is right (GB 11643).

    Raises KeyError where they are not 17 ASCII digits with a digit or `X` after them.
    """
    # 2 has the order 10 modulo 11: these are 2 to the powers 14, 10, 6 and 2.
    return (
        5 * _FOUR[number[:4]]
        + _FOUR[number[4:8]]
        + 9 * _FOUR[number[8:12]]
        + 4 * _FOUR[number[12:16]]
        + _LAST[number[16:]]
    ) % 11


def check_digit(digits: str) -> str:
    """The 18th character that belongs to 17 digits."""
    return CHECKS[remainder(digits + "0")]


def icao_check_digit(text: str) -> str:
    """The check digit of ICAO 9303 part 3, 4.9, for at most 24 of `0-9A-Z`."""
    return str(sum(map(mul, map(_ICAO_VALUE.__getitem__, text), _ICAO_WEIGHTS)) % 10)


def is_birth(day: str, latest: str) -> bool:
    """Whether `YYYYMMDD`, eight digits, is a day from 1800 to `latest`, itself included."""
    return FIRST_BIRTH <= day <= latest and (
        day[4:] in _DAYS or (day[4:] == "0229" and calendar.isleap(int(day[:4])))
    )


def is_short_birth(day: str) -> bool:
    """Whether `YYMMDD`, six digits, is a day in some century."""
    return day[2:] in _DAYS or (day[2:] == "0229" and int(day[:2]) % 4 == 0)


def holds_id_number(text: str) -> bool:
    """Whether a valid 18-digit ID number stands anywhere in the text.

    Full-width and look-alike characters, single blanks, hyphens and invisible characters
    between the digits do not hide it; nor do digits beside it.
    """
    if len(text) < len(WEIGHTS) or _LIKELY.search(text) is None:
        return False
    folded = unicodedata.normalize("NFKC", text)
    return any(_is_id_number(found.group(1)) for found in _SPELLED.finditer(folded))


def _is_id_number(spelled: str) -> bool:
    number = _GAP.sub("", spelled).translate(_LOOK_ALIKES)
    return number.isascii() and remainder(number) == 1 and is_birth(number[6:14], _LAST_IN_TEXTS)
