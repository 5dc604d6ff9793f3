"""Rows of the commonest shape, packed in a tenth of the time.

Nine rows in ten are a court's about a resident's ID card, without anything unusual in them.
They are packed here straight from their cells; everything else, and everything doubtful,
is None and goes the long way through `rows` and `packing`. Both give the same bytes: a test
says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter

from loader import cells
from loader.cells import Unusable
from loader.layout import COLUMNS
from loader.packing import (
    LISTED,
    PLAIN_PROVENANCE_BYTES,
    REMOVED,
    RESUMED,
    SUSPENDED,
    Context,
    Packer,
)
from roster import casenumber
from roster.check_digits import beijing_day, is_birth, remainder
from roster.entry import Content
from roster.identity import DocumentNumber, Token
from roster.record import HEADER, WITHOUT_REVISION, pack_content
from roster.texts import holds_id_number
from roster.times import FUTURE_MAX_MS, parse_from, parse_until

Quick = Callable[[Sequence[str]], tuple[int, bytes] | None]

_CACHE_MAX = 200_000
_PICKED = (
    "list", "entry_id", "document_type", "document_number", "name", "revision", "state",
    "from", "until", "case", "court",
)  # fmt: skip
_EMPTY = [name for name in COLUMNS if name not in _PICKED]
_ID_LENGTH = 18
_REVISION_DIGITS = 16
_RAISED = {"": LISTED, "active": LISTED | RESUMED, "suspended": LISTED | SUSPENDED,
           "removed": REMOVED}  # fmt: skip
_TIMES = {"": 1, "active": 2, "suspended": 2, "removed": 1}
_PARTIES = {f"/{party}": bytes((party,)) for party in range(1, 100)}
# A content's parts; record.py has them.
_CASE, _ID_FROM_CASE = 4, 64


class _Odd(Exception):  # noqa: N818 -- what the row is
    """The row goes the long way."""


class _Cache(dict[str, bytes]):
    """What a cell's text amounts to, computed once; bounded."""

    def __init__(self, compute: Callable[[str], bytes]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, text: str) -> bytes:
        if len(self) > _CACHE_MAX:
            self.clear()
        value = self[text] = self._compute(text)
        return value


class _Parts:
    """The cells of a row as parts of a content; anything unusual is `_Odd` or Unusable."""

    def __init__(self, packer: Packer) -> None:
        self._packer = packer
        self.heads = _Cache(_case_head)
        self.starts = _Cache(lambda text: _time(text, Content("", from_ms=_ms(parse_from, text))))
        self.ends = _Cache(lambda text: _time(text, Content("", until_ms=_ms(parse_until, text))))
        self.courts = _Cache(self._court)
        self.names = _Cache(self._name)

    def _court(self, text: str) -> bytes:
        court = text.strip()
        cells.check_texts("-", "", text, "")
        return self._part(Content("", court=court)) if court else b"\0"

    def _name(self, text: str) -> bytes:
        if "|" in text:
            raise _Odd
        cells.check_texts("-", "", "", text)
        names = {
            token for name in cells.names(text) for token in self._packer.tokeniser.names(name)
        }
        return pack_content(Content("", names=tuple(sorted(names))), {})[3:]

    def _part(self, content: Content) -> bytes:
        """The flag, then the bytes, of a content that has one part only."""
        packed = pack_content(content, self._packer.courts)
        return packed[:1] + packed[3:-1]  # no entry_id (a size of 0), no names


def _case_head(start: str) -> bytes:
    """The six bytes of what stands before a case's serial number."""
    packed = casenumber.pack(start + "1号")
    if packed is None or packed[6:] != b"\0\0\1":
        raise _Odd
    return packed[:6]


def _ms(parse: Callable[[str], int], text: str) -> int | None:
    return cells.moment(parse, "", text)


def _time(text: str, content: Content) -> bytes:
    if not text.strip():
        raise _Odd
    packed = pack_content(content, {})
    return packed[:1] + packed[3:-1]


def quick_packer(columns: Sequence[str], default_list: str | None, context: Context,
                 packer: Packer) -> Quick:  # fmt: skip
    """What packs a row of these columns: its partition and bytes, or None for the long way."""
    place = {name: index for index, name in enumerate(columns)}
    width = len(columns)
    pick = itemgetter(*(place.get(name, width) for name in _PICKED))
    empty = itemgetter(width, width, *(place[name] for name in _EMPTY if name in place))
    codes = {name: code for name, code in context.codes.items() if name != "lift"}
    if default_list in codes:
        codes[""] = codes[default_list]
    pack = _pack_cells(context, packer, codes)

    def quick(values: Sequence[str]) -> tuple[int, bytes] | None:
        if values.__class__ is not list or len(values) != width:
            return None
        row = [*values, ""]
        if any(empty(row)):
            return None
        try:
            return pack(*pick(row))
        except (KeyError, ValueError, Unusable, _Odd):
            return None

    return quick


def _pack_cells(
    context: Context, packer: Packer, codes: dict[str, int]
) -> Callable[..., tuple[int, bytes] | None]:
    parts = _Parts(packer)
    heads, starts, ends, courts, names = (
        parts.heads, parts.starts, parts.ends, parts.courts, parts.names,
    )  # fmt: skip
    entry_hash, digest = packer.tokeniser.entry_hash, packer.tokeniser.digest
    person = _persons(packer, beijing_day(context.now_ms))
    latest_ms = context.now_ms + FUTURE_MAX_MS
    as_of = context.as_of.to_bytes(6)
    pack_head = HEADER.pack

    def pack(  # noqa: PLR0917 -- the cells of a row
        list_: str, entry_id: str, type_: str, number: str, name: str, revision: str,
        state: str, from_: str, until: str, case: str, court: str,
    ) -> tuple[int, bytes] | None:  # fmt: skip
        if type_ != "resident_id":
            return None
        code = codes[list_]
        token = person(number)
        flags, content = _entry_id(entry_id, case, heads)
        if from_:
            part = starts[from_]
            flags |= part[0]
            content += part[1:]
        if until:
            part = ends[until]
            flags |= part[0]
            content += part[1:]
        if court:
            part = courts[court]
            flags |= part[0]
            content += part[1:]
        content = b"%c%b%b" % (flags, content, names[name])
        present = _RAISED[state]
        if revision:
            if not (revision.isdecimal() and revision.isascii()):
                return None
            ms = int(revision)
            if len(revision) > _REVISION_DIGITS or not 0 < ms <= latest_ms:
                return None
            registers = ms.to_bytes(6) * _TIMES[state]
        else:
            present = (present & ~RESUMED) | WITHOUT_REVISION
            registers = as_of * (present % WITHOUT_REVISION).bit_count()
        head = pack_head(code, present, entry_hash(code, entry_id), digest(token, code, content),
                         len(content), PLAIN_PROVENANCE_BYTES)  # fmt: skip
        return token[1], token[2:] + head + registers + content

    return pack


def _entry_id(entry_id: str, case: str, heads: _Cache) -> tuple[int, bytes]:
    """The parts of case and entry id, and their flags."""
    if not case:
        if entry_id != entry_id.strip() or not 0 < len(entry_id) <= cells.ENTRY_ID_MAX:
            raise _Odd
        if holds_id_number(entry_id):
            raise _Odd
        data = entry_id.encode()
        return 0, len(data).to_bytes(2) + data
    body = case[:-1]
    start = body.rstrip("0123456789")
    serial = body[len(start) :]
    if case[-1] != "号" or serial[0:1] in {"", "0"} or len(serial) > 7:  # noqa: PLR2004 -- casenumber's
        raise _Odd
    if not entry_id.startswith(case):
        raise _Odd
    party = _PARTIES[entry_id[len(case) :]]
    return _CASE | _ID_FROM_CASE, heads[start] + int(serial).to_bytes(3) + party


def _persons(packer: Packer, latest_birth: str) -> Callable[[str], Token]:
    """The token of an ID card's number; one person's rows often stand together."""
    last, last_token = "", Token(b"")

    def person(number: str) -> Token:
        nonlocal last, last_token
        if number == last:
            return last_token
        if len(number) != _ID_LENGTH or number[0] == "9" or remainder(number) != 1:
            raise _Odd
        if not is_birth(number[6:14], latest_birth):
            raise _Odd
        last_token = packer.tokeniser.token(DocumentNumber("R:" + number))
        last = number
        return last_token

    return person
