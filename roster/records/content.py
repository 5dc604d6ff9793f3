"""Contents as bytes: what a source published about one document, packed and read again.

Equal contents are equal bytes, so that the digest and the merge law may compare them. What is
stored may be damaged, or written by a version that is not out yet: reading it raises one of
`BROKEN`.
"""

from __future__ import annotations

import hashlib
import re
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import msgspec

from roster.records.entry import Content
from roster.times import FIRST_MS, LAST_MS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roster.records.entry import NameToken

FROM, UNTIL, CASE, CASE_TEXT = 1, 2, 4, 8
COURT, COURT_TEXT, ID_FROM_CASE, EXTRA = 16, 32, 64, 128
"""The flags that a content begins with: what is in it, and in which form."""
ID_DIGITS = 19
"""Numbers of so many digits fit into eight bytes."""

_MINUTE_MS = 60_000
_SIZE = struct.Struct(">H")
_TIME = re.compile(rb"[\x80-\xff]{0,7}[\x00-\x7f]", re.DOTALL)
"""The last byte's top bit is clear; seven bits are in each."""
NUMBER = 0x80
"""Marks a number where a text's size might stand."""
_NUMBER_BYTES = 8
BROKEN = (struct.error, IndexError, ValueError, TypeError, OverflowError, msgspec.MsgspecError)

PROVINCES = "京津冀晋内辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新兵港澳台黔"
KINDS = ("执", "执恢", "执保", "执异", "执复", "执监", "执他", "民初", "民终", "刑初", "行初")
CASE_BYTES = 9
"""Of a case number that reads (year)court kind number号, as in (2018)京0105执1234号: the form that
the Supreme People's Court prescribed in 2015 (法〔2015〕137号). Any other stays a text."""

_CASE_FORM = re.compile(
    rf"([(（])([12][0-9]{{3}})[)）]([{PROVINCES}])([0-9]{{0,4}})"
    rf"({'|'.join(sorted(KINDS, reverse=True))})([1-9][0-9]{{0,6}})号"
)
_CASE_HEAD = struct.Struct(">BHBH")
_PROVINCE = {name: index for index, name in enumerate(PROVINCES)}
_KIND = {name: index for index, name in enumerate(KINDS)}
_PARENTHESES = {"(": ")", "（": "）"}
_WIDE = 0x80


class _Extra(msgspec.Struct, array_like=True, frozen=True):
    modes: tuple[str, ...] = ()
    lifts: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    kind: str = ""
    tokens: tuple[bytes, ...] = ()


_NOTHING_EXTRA = _Extra()
_encode_extra = msgspec.msgpack.Encoder().encode
_decode_extra = msgspec.msgpack.Decoder(_Extra).decode


def court_id(court: str) -> bytes:
    """The four bytes that stand for a court's name in a content."""
    return hashlib.blake2b(court.encode(), digest_size=4).digest()


def pack_content(
    content: Content, courts: Mapping[str, bytes], *, packs_ids: bool = False
) -> bytes:
    """The content's canonical bytes; a court that `courts` lacks is spelled out.

    `packs_ids` is the tokeniser's.
    """
    flags = 0
    parts = [b""]
    if content.case:
        packed = pack_case(content.case)
        flags |= CASE if packed else CASE_TEXT
        parts.append(packed or _text(content.case))
    suffix = _suffix(content)
    flags |= ID_FROM_CASE if suffix else 0
    number = _number(content.entry_id) if packs_ids else b""
    parts.append(suffix or number or _text(content.entry_id))
    if content.from_ms is not None:
        flags |= FROM
        parts.append(_time(content.from_ms))
    if content.until_ms is not None:
        flags |= UNTIL
        parts.append(_time(content.until_ms))
    if content.court:
        court = courts.get(content.court)
        flags |= COURT if court else COURT_TEXT
        parts.append(court or _text(content.court))
    parts.append(struct.pack(f">B{len(content.names)}I", len(content.names), *content.names))
    extra = _Extra(content.modes, content.lifts, content.cases, content.kind, content.tokens)
    if extra != _NOTHING_EXTRA:
        flags |= EXTRA
        parts.append(_encode_extra(extra))
    parts[0] = bytes((flags,))
    return b"".join(parts)


def _suffix(content: Content) -> bytes:
    """The party number of an entry id that is its case number and a party number."""
    head, slash, party = content.entry_id.rpartition("/")
    if not slash or head != content.case or not head or not party.isascii():
        return b""
    if not party.isdecimal() or party[0] == "0" or len(party) > 2:  # noqa: PLR2004 -- one byte
        return b""
    return bytes((int(party),))


def _number(text: str) -> bytes:
    """A number without zeros before it behind its size and a mark, which no text's size has."""
    if not text.isdecimal() or not text.isascii() or len(text) > ID_DIGITS:
        return b""
    number = int(text)
    size = max((number.bit_length() + 7) // 8, 1)
    return bytes((NUMBER | size,)) + number.to_bytes(size) if str(number) == text else b""


def _text(text: str) -> bytes:
    data = text.encode()
    return _SIZE.pack(len(data)) + data


def _time(ms: int) -> bytes:
    """Whole minutes in four or five bytes, anything else in seven: zigzag LEB128."""
    minutes, rest = divmod(ms, _MINUTE_MS)
    value = ms << 1 | 1 if rest else minutes << 1
    value = value << 1 if value >= 0 else (-value << 1) - 1
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 -- LEB128: seven bits a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def unpack_content(data: bytes, courts: Mapping[bytes, str]) -> Content:
    """The content of `pack_content`'s bytes.

    Raises KeyError with the court's id where `courts` does not know it.
    """
    flags = data[0]
    reader = Reader(data, 1)
    case = ""
    if flags & (CASE | CASE_TEXT):
        packed = flags & CASE
        case = unpack_case(reader.take(CASE_BYTES)) if packed else reader.text()
    entry_id = f"{case}/{reader.number()}" if flags & ID_FROM_CASE else reader.entry_id()
    from_ms = reader.time() if flags & FROM else None
    until_ms = reader.time() if flags & UNTIL else None
    court = ""
    if flags & (COURT | COURT_TEXT):
        court = courts[reader.take(4)] if flags & COURT else reader.text()
    names = reader.names()
    extra = _decode_extra(data[reader.at :]) if flags & EXTRA else _NOTHING_EXTRA
    return Content(
        entry_id=entry_id,
        names=names,
        from_ms=from_ms,
        until_ms=until_ms,
        case=case,
        court=court,
        modes=extra.modes,
        lifts=extra.lifts,
        cases=extra.cases,
        kind=extra.kind,
        tokens=extra.tokens,
    )


class Reader:
    """Walks over packed bytes; raises IndexError and its like where they end too early."""

    def __init__(self, data: bytes, at: int) -> None:
        """Start at `at`."""
        self.data = data
        self.at = at

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        end = self.at + size
        if end > len(self.data):
            raise IndexError("the bytes end too early")
        part = self.data[self.at : end]
        self.at = end
        return part

    def number(self) -> int:
        """A number of one byte."""
        self.at += 1
        return self.data[self.at - 1]

    def text(self) -> str:
        """A text behind its size."""
        (size,) = _SIZE.unpack(self.take(2))
        return self.take(size).decode()

    def entry_id(self) -> str:
        """A number behind its size and a mark, or a text."""
        if not self.data[self.at] & NUMBER:
            return self.text()
        size = self.take(1)[0] & ~NUMBER
        if not 0 < size <= _NUMBER_BYTES:
            raise ValueError("no number")
        return str(int.from_bytes(self.take(size)))

    def time(self) -> int:
        """A time in ms: zigzag LEB128, whole minutes shorter (`_time`)."""
        found = _TIME.match(self.data, self.at)
        if found is None:
            raise IndexError("a time without an end")
        self.at = found.end()
        return _moment(found[0])

    def names(self) -> tuple[NameToken, ...]:
        """Name tokens behind their number."""
        (count,) = self.take(1)
        tokens = struct.unpack(f">{count}I", self.take(4 * count))
        return cast("tuple[NameToken, ...]", tokens)


@lru_cache(maxsize=16_384)  # days are few, and whole ones are the rule
def _moment(packed: bytes) -> int:
    value = 0
    for byte in reversed(packed):
        value = value << 7 | byte & 0x7F
    value = -((value + 1) >> 1) if value & 1 else value >> 1
    ms = value >> 1 if value & 1 else (value >> 1) * _MINUTE_MS
    if not FIRST_MS <= ms <= LAST_MS:
        raise ValueError("no time")
    return ms


def pack_case(case: str) -> bytes | None:
    """The case number in `CASE_BYTES` bytes, or None where its form is another."""
    match = _CASE_FORM.fullmatch(case)
    if match is None:
        return None
    opening, year, province, digits, kind, number = match.groups()
    if case[5] != _PARENTHESES[opening]:
        return None
    head = (_WIDE if opening == "（" else 0) | len(digits) << 4 | _KIND[kind]
    court = int(digits) if digits else 0
    return _CASE_HEAD.pack(head, int(year), _PROVINCE[province], court) + int(number).to_bytes(3)


def unpack_case(packed: bytes) -> str:
    """The case number that `pack_case` was given."""
    head, year, province, court = _CASE_HEAD.unpack_from(packed)
    digits = head >> 4 & 7
    opening = "（" if head & _WIDE else "("
    text = f"{court:0{digits}d}" if digits else ""
    number = int.from_bytes(packed[6:9])
    return (
        f"{opening}{year}{_PARENTHESES[opening]}{PROVINCES[province]}{text}"
        f"{KINDS[head & 0xF]}{number}号"
    )
