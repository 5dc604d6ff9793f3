"""How what identifies is spelled in only one way: numbers throughout, other texts at their ends."""

from __future__ import annotations

import re
import unicodedata

from roster.documents.check_digits import icao_check_digit

MASKS = frozenset("*\uff0a\u2217\u25cf")
"""Characters that stand for what was blotted out."""

# Categories: control, format (BOM, zero width), surrogate, blanks, dashes.
_IGNORED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Pd"})
# Blanks that Unicode files elsewhere; variation selectors.
_BLANK = frozenset("\u2800\u3164\uffa0\u115f\u1160\u034f") | frozenset(
    map(chr, range(0xFE00, 0xFE10))
)
# Excel's apostrophe; dashes that Unicode files elsewhere.
_IGNORED = _BLANK | frozenset("'\u2018\u2019\u201b\u2032\u02bc\u2212\u02d7\u2043\u2500\u2501")
# Beside these, what is invisible at the end of a text: Khmer's and Mongolian's, and the variation
# selectors of ideographs.
_BLANK_AT_ENDS = _BLANK | frozenset(
    map(chr, [0x17B4, 0x17B5, *range(0x180B, 0x1810), *range(0xE0100, 0xE01F0)])
)
_BLANK_CATEGORIES = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
_ASCII_BLANK = "".join(map(chr, [*range(0x21), 0x7F]))
_ASCII_IGNORED = dict.fromkeys([*range(0x21), 0x7F, ord("-"), ord("'")])

# Cyrillic, Greek, signs for multiplication and for crossing out.
_LOOKS_LIKE_X = frozenset("\u0425\u03a7\u00d7\u2715\u2716\u2717\u2718\u2613\u2573\u2a2f")
_ID_CARD = re.compile(r"[0-9]{17}.")
_DIGITS = frozenset("0123456789")
_ZONE_PLACES = 9
_ZONE = re.compile(r"[0-9A-Z]{1,22}")


def fold(text: str) -> str:
    """Upper case without width, blanks, dashes, apostrophes or anything invisible.

    An unpaired surrogate is dropped too, so that what comes out can be encoded.
    """
    if text.isascii():
        return text.translate(_ASCII_IGNORED).upper()
    # Compatibility forms may hide characters to drop, and dropping may join others.
    while (folded := _fold_once(text)) != text:
        text = folded
    return text


def trimmed(text: str) -> str:
    """A text that identifies, without blanks and invisible characters at both ends."""
    text = text.strip(_ASCII_BLANK)
    if text.isascii():
        return text
    start, end = 0, len(text)
    while start < end and _is_blank(text[start]):
        start += 1
    while start < end and _is_blank(text[end - 1]):
        end -= 1
    return text[start:end]


def without_filler(number: str) -> str:
    """A folded number without the `<` that fills machine readable zones (ICAO 9303).

    It stands at the ends, or where a blank or a hyphen is printed. What stands behind it may be
    the check digit of all before it: alone, or behind the rest of a number that is longer than
    the zone's nine places (part 5, 4.2.2.1). One digit that is not the check digit keeps its `<`:
    joined to the rest it would be somebody else's number, and with it there it is nobody's.
    """
    if "<" not in number:
        return number
    first, _, rest = number.strip("<").partition("<")
    rest = rest.replace("<", "")
    if len(rest) == 1 or (len(first) == _ZONE_PLACES and rest):
        body, last = f"{first}{rest[:-1]}", rest[-1:]
        if _ZONE.fullmatch(body) and last == icao_check_digit(body):
            return body
    return f"{first}<{rest}" if rest in _DIGITS else first + rest


def with_x(number: str) -> str:
    """A folded number of 18 with an `X` for what looks like one in its last place.

    Only there, where nothing but a digit or an `X` can stand: so no two documents meet.
    """
    if number[-1] in _LOOKS_LIKE_X and _ID_CARD.fullmatch(number):
        return number[:-1] + "X"
    return number


def _is_blank(character: str) -> bool:
    return character in _BLANK_AT_ENDS or unicodedata.category(character) in _BLANK_CATEGORIES


def _fold_once(text: str) -> str:
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).upper())
    return "".join(
        c for c in text if c not in _IGNORED and unicodedata.category(c) not in _IGNORED_CATEGORIES
    )
