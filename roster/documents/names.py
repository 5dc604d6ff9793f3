"""Which names are the same name, compared within one script only.

Han: blanks and dots do not count. Latin: neither do case, accents, punctuation and
titles; the words in any order, or the letters as written, or in the other order of the
two halves of `ZHANG/SANFENG` (as in machine readable zones and ticketing systems).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from roster.documents.placeholders import (
    HAN_TITLES,
    TITLES,
    is_no_han_name,
    is_no_latin_name,
    is_no_name,
    is_plain_han,
    without_glued_titles,
)
from roster.records.entry import NameToken

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


NameCheck = Literal["match", "mismatch", "not_compared"]

HAN: Final = 0
LATIN_SORTED: Final = 1
LATIN_JOINED: Final = 2
OTHER: Final = 3
"""The first of the other scripts: form 3 + n is the nth of `_OTHER_SCRIPTS`."""

# The first word of a letter's name in Unicode. Those that are missing share the last place.
_OTHER_SCRIPTS = (
    "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "HANGUL", "HIRAGANA", "KATAKANA", "THAI", "LAO",
    "KHMER", "MYANMAR", "TIBETAN", "MONGOLIAN", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI",
    "TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "GEORGIAN", "ARMENIAN", "ETHIOPIC",
    "YI", "BOPOMOFO", "THAANA",
)  # fmt: skip

_JOINING = frozenset("'`\u2018\u2019\u201b\u02b9\u02bb\u02bc\u02bf\u00b4\u2032")
# Asterisks and crosses blot out; a question mark, a box or a geta stand for what was lost.
_MASKS = frozenset("*\uff0a\u2217\u00d7?\uff1f\u25a1\u25a0\u3013\ufffd\u25cb\u25ef")
_HYPHENS = frozenset("-\u00ad\u2010\u2011\u2012\u2013\u2212")
# Unified ideographs, radicals and strokes, zero, the private use area, the planes of ideographs.
_HAN = (
    range(0x2E80, 0x2FE0),
    range(0x31C0, 0x31E4),
    range(0x303B, 0x303C),
    range(0x3400, 0x4DC0),
    range(0x4E00, 0xA000),
    range(0x3007, 0x3008),
    range(0xE000, 0xF900),
    range(0x20000, 0x40000),
)
# Letters that no decomposition makes plain, after case folding.
_PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "þ": "th", "ħ": "h", "ŋ": "n",
     "\u0131": "i"}
)  # fmt: skip
_ORDINARY_HAN = re.compile("[\u4e00-\u9fa5]+")  # nearly every name; the rest would say the same
_SHORTEST_HAN = 2
_IGNORED, _BREAK = "ignored", "break"


def forms(name: str) -> tuple[tuple[int, str], ...]:
    """What two names are compared by: (form, text) pairs, none where nothing can be compared.

    Forms: 0 Han, 1 Latin words sorted, 2 Latin joined, from 3 on one for each other script.
    A masked name (`张*`) has none, nor has one that was lost on its way (`张?`) or never was there
    (`NULL`): it neither confirms nor contradicts anything.
    """
    if _ORDINARY_HAN.fullmatch(name):
        return ((HAN, name),) if is_plain_han(name) else tuple(_han(name))
    if not _MASKS.isdisjoint(name):
        return ()
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    text = text.translate(UNIFIED)
    if is_no_name(text):
        return ()
    scripts = {script for c in text if (script := _script(c)) not in {_IGNORED, _BREAK}}
    found = set(_latin(text, others=len(scripts) > 1)) if "LATIN" in scripts else set()
    if "HAN" in scripts:
        found.update(_han("".join(c for c in text if _script(c) == "HAN")))
    for script in scripts - {"HAN", "LATIN"}:
        found.update(_other(text, script))
    return tuple(sorted(found))


def token(form: int, hashed: bytes) -> NameToken:
    """A form and 4 bytes of keyed hash as 32 bits: 2 of form, 6 of other script, the hash."""
    bits = int.from_bytes(hashed, "big")
    if form < OTHER:
        return NameToken(form << 30 | bits & 0x3FFF_FFFF)
    return NameToken(OTHER << 30 | (form - OTHER) << 24 | bits & 0xFF_FFFF)


def compare(asked: Collection[NameToken], listed: Collection[NameToken]) -> NameCheck:
    """`match` if any token is the same, `not_compared` if no script is, else `mismatch`."""
    if not set(asked).isdisjoint(listed):
        return "match"
    if {_class(token) for token in asked}.isdisjoint(_class(token) for token in listed):
        return "not_compared"
    return "mismatch"


def _class(token: NameToken) -> int:
    """The script that a token speaks for: both forms of Latin are one."""
    form = token >> 30
    if form == OTHER:
        return token >> 24
    return LATIN_SORTED if form == LATIN_JOINED else form


@lru_cache(maxsize=4096)
def _script(character: str) -> str:
    """The script of a letter; whether another character breaks a word or does not count."""
    code = ord(character)
    # By number, since Python's tables lag behind the newest ideographs; the private use
    # area is where GBK kept rare ones.
    if any(code in block for block in _HAN):
        return "HAN"
    if character in _JOINING or unicodedata.category(character) in {"Cc", "Cf"}:
        return _BREAK if character.isspace() else _IGNORED
    first = unicodedata.name(character, "").split(" ")[0].split("-")[0]
    if first in {"CJK", "IDEOGRAPHIC"} and character.isalpha():
        return "HAN"
    if first in {"COMBINING", "MODIFIER", "VARIATION"}:
        return _IGNORED
    return first if unicodedata.category(character)[0] in "LM" else _BREAK


def _words(text: str, script: str) -> list[str]:
    """The words of one script, in the order written."""
    kept = (c if (s := _script(c)) == script else "" if s == _IGNORED else " " for c in text)
    return "".join(kept).split()


def _han(text: str) -> Iterator[tuple[int, str]]:
    """The Han forms, sorted: without a title at the end, and as written."""
    if is_no_han_name(text):
        return
    bare = next((text.removesuffix(title) for title in HAN_TITLES if text.endswith(title)), "")
    if len(bare) >= _SHORTEST_HAN:
        yield HAN, bare
    yield HAN, text


def _latin(text: str, *, others: bool) -> Iterator[tuple[int, str]]:
    """The Latin forms. A hyphen may part two words or not: `San-Feng` is `San Feng`, `Sanfeng`."""
    plain = _without_accents(text)
    for reading in {plain, "".join(c for c in plain if c not in _HYPHENS)}:
        yield from _latin_forms(_halves(reading), others=others)


def _latin_forms(halves: list[list[str]], *, others: bool) -> Iterator[tuple[int, str]]:
    untitled = [[word for word in half if word not in TITLES] for half in halves]
    if others or any(untitled):
        halves = untitled  # else the title is all the name there is
    if not any(halves) or is_no_latin_name([word for half in halves for word in half]):
        return
    yield from _spelled(halves)
    last = next(half for half in reversed(halves) if half)
    for word in without_glued_titles(last[-1]):
        last[-1] = word
        yield from _spelled(halves)


def _spelled(halves: list[list[str]]) -> Iterator[tuple[int, str]]:
    """The words sorted, and joined in both orders of the halves."""
    yield LATIN_SORTED, " ".join(sorted(word for half in halves for word in half))
    for order in (halves, halves[::-1]):
        yield LATIN_JOINED, "".join(word for half in order for word in half)


def _halves(text: str) -> list[list[str]]:
    """Surname and given names where `/` or `<<` parts them, else all as one."""
    return [_words(half, "LATIN") for half in text.replace("<<", "/").split("/", 1)]


def _without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text).translate(_PLAIN)
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def _other(text: str, script: str) -> Iterator[tuple[int, str]]:
    """The words sorted, and the letters as written."""
    words = _words(text, script)
    known = script in _OTHER_SCRIPTS
    form = OTHER + (_OTHER_SCRIPTS.index(script) if known else len(_OTHER_SCRIPTS))
    yield form, " ".join(sorted(words))
    yield form, "".join(words)


_RADICALS = [*range(0x2E81, 0x2E9A), *range(0x2E9B, 0x2EF4)]
_OF_RADICALS = (
    "厂乛乚乙亻冂𠘨刀刂卜㔾小小兀尣尢𡯂巳幺彑彐忄心扌攵旡日月歺母民氵氺灬爫爫丬牛犭王"
    "𤴔目示礻𥫗糹纟罓罒㓁冗𦉫羊𦍌𦍋耂肀聿肉𦥑艹艹艹虎衤覀西见角𧢲讠贝𧾷车辶辶辶邑钅長"
    "镸长门𨸏阝雨青韦页风飞食𩙿飠饣𩠐马骨鬼鱼鸟卤麦黄黾斉齐歯齿竜龙龜亀龟"
)
_STROKES = [0x31C6, *range(0x31CF, 0x31E2)]
_OF_STROKES = "𠃌乀一丨丿丿丶𠃍乛𠃊𠃎𠄌亅𡿨𠃋乀𠃑乚乙𠄎"

UNIFIED = dict(zip(_RADICALS, _OF_RADICALS, strict=True)) | dict(
    zip(_STROKES, _OF_STROKES, strict=True)
)
"""For `str.translate`: each radical and stroke that is an ideograph, and the ideograph."""
