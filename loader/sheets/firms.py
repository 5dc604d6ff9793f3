"""The codes of firms, told from the numbers of persons."""

from __future__ import annotations

import re
import unicodedata

from loader.columns.wrappers import bare
from roster.documents.check_digits import remainder

# GB 32100 and GB 11714: the alphabets, weights and check characters of firms' codes.
_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_USCC = re.compile(rf"[{_USCC_ALPHABET}]{{18}}")
_FIRM_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
# Without the hyphen a letter in front is a passport's or a permit's.
_FIRM_CODE = re.compile(r"[0-9A-Z]{8}-[0-9X]|[0-9][0-9A-Z]{7}[0-9X]")


def folded(number: str) -> str:
    """A number without blanks, in half-width capitals."""
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", bare(number, "resident_id"))).upper()


def is_firm_number(number: str) -> bool:
    """Whether it is a firm's code, and no person's."""
    number = folded(number)
    if _USCC.fullmatch(number):
        values = map(_USCC_ALPHABET.index, number)
        total = sum(value * weight for value, weight in zip(values, _USCC_WEIGHTS, strict=False))
        return _USCC_ALPHABET[-total % 31] == number[17] and not _is_persons(number)
    if not _FIRM_CODE.fullmatch(number):
        return False
    total = sum(int(c, 36) * w for c, w in zip(number, _FIRM_WEIGHTS, strict=False))
    return number[-1] == "0123456789X0"[11 - total % 11]


def _is_persons(number: str) -> bool:
    """ID numbers have 17 digits too; only a foreigner's begins with 9, as most firms' do."""
    try:
        return remainder(number) == 1 or number[0] != "9"
    except KeyError:
        return False
