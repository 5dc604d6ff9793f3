"""Rows of the commonest shape, packed a block at a time, column by column.

Nine rows in ten are a court's about a resident's ID card, without anything unusual in them.
They are packed here straight from their cells; everything else, and everything doubtful,
goes the long way through `rows` and `packing`. Both give the same bytes: a test says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import TypeVar

import numpy as np

from loader import cells
from loader.cells import Unusable
from loader.layout import COLUMNS
from loader.numbers import Bools, card_numbers, han_names, revisions, tokens
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
from roster.check_digits import beijing_day
from roster.entry import Content
from roster.record import HEADER, WITHOUT_REVISION, pack_content
from roster.texts import holds_id_number
from roster.times import FUTURE_MAX_MS, parse_from, parse_until

T = TypeVar("T")
Part = tuple[int, bytes]
"""A part of a content: its flag, its bytes."""

_CACHE_MAX = 200_000
_PICKED = (
    "list", "entry_id", "document_type", "document_number", "name", "revision", "state",
    "from", "until", "case", "court",
)  # fmt: skip
_EMPTY = [name for name in COLUMNS if name not in _PICKED]
_RAISED = {"": LISTED, "active": LISTED | RESUMED, "suspended": LISTED | SUSPENDED,
           "removed": REMOVED}  # fmt: skip
_PARTIES = {f"/{party}": bytes((party,)) for party in range(1, 100)}
_SERIALS = {str(number): number.to_bytes(3) for number in range(1, 30_000)}
_SERIAL_DIGITS = 7
# What casenumber and record make of a case number and the party's number behind it.
_CASE, _ID_FROM_CASE = 4, 64
_HAN_NAME = re.compile("[\u4e00-\u9fa5]{1,17}")
"""One token, says roster/names.py, and too short to hold an ID number."""
_FLAGS = [bytes((flags,)) for flags in range(256)]
_NO_PART: Part = (0, b"")


class _Cache(dict[str, T | None]):
    """What a cell's text amounts to, computed once; None where it is unusual. Bounded."""

    def __init__(self, compute: Callable[[str], T]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, text: str) -> T | None:
        if len(self) > _CACHE_MAX:
            self.clear()
        try:
            value = self._compute(text)
        except (Unusable, ValueError, KeyError):
            value = None
        self[text] = value
        return value

    def of(self, texts: Sequence[str]) -> list[T | None]:
        """Of a whole column."""
        return list(map(self.__getitem__, texts))


class Quick:
    """Packs blocks of rows of the same columns."""

    def __init__(
        self, columns: Sequence[str], default_list: str | None, context: Context, packer: Packer
    ) -> None:
        """`default_list` is for rows that name none."""
        self._place = {name: index for index, name in enumerate(columns)}
        self._width = len(columns)
        self._packer = packer
        self._as_of = context.as_of
        self._latest_ms = context.now_ms + FUTURE_MAX_MS
        self._latest_birth = beijing_day(context.now_ms)
        self._codes: dict[str, int | None] = dict(context.codes) | {"lift": None}
        self._codes[""] = self._codes.get(default_list or "")
        self._starts = _Cache(lambda text: _time(Content("", from_ms=_ms(parse_from, text))))
        self._ends = _Cache(lambda text: _time(Content("", until_ms=_ms(parse_until, text))))
        self._courts = _Cache(self._court)
        self._names = _Cache(self._name)
        self._heads = _Cache(_case_head)
        for cache in (self._starts, self._ends, self._courts):
            cache[""] = _NO_PART

    def pack(self, rows: Sequence[list[str]]) -> tuple[list[bytes], list[bytes], Bools]:
        """Each row's token and packed row, and which rows have to go the long way instead."""
        odd = np.zeros(len(rows), np.bool_)
        columns = list(zip(*self._regular(rows, odd), strict=True))
        for name in _EMPTY:
            if name in self._place and any(column := columns[self._place[name]]):
                odd |= np.fromiter(map(bool, column), np.bool_, len(rows))
        named = {
            name: columns[self._place[name]] if name in self._place else ("",) * len(rows)
            for name in _PICKED
        }
        if set(named["document_type"]) != {"resident_id"}:
            types = (text != "resident_id" for text in named["document_type"])
            odd |= np.fromiter(types, np.bool_, len(rows))
        codes = _settled(list(map(self._codes.get, named["list"])), 1, odd)
        numbers, doubtful = card_numbers(named["document_number"], self._latest_birth)
        odd |= doubtful
        return (*self._packed(named, codes, numbers, odd), odd)

    def _regular(self, rows: Sequence[list[str]], odd: Bools) -> Sequence[list[str]]:
        """The rows, with empty ones instead of those that have not as many cells as columns."""
        if set(map(type, rows)) == {list} and set(map(len, rows)) == {self._width}:
            return rows
        regular = []
        for index, row in enumerate(rows):
            odd[index] = row.__class__ is not list or len(row) != self._width
            regular.append([""] * self._width if odd[index] else row)
        return regular

    def _packed(
        self, named: dict[str, tuple[str, ...]], codes: list[int], numbers: list[str], odd: Bools
    ) -> tuple[list[bytes], list[bytes]]:
        tokeniser = self._packer.tokeniser
        contents = self._contents(named, odd)
        found = tokens(numbers, tokeniser)
        wide = [code.to_bytes(2) for code in codes]
        ids = [code + entry_id.encode(errors="surrogatepass")
               for code, entry_id in zip(wide, named["entry_id"], strict=True)]  # fmt: skip
        digests = tokeniser.many("digest", map(b"".join, zip(found, wide, contents, strict=True)))
        presents, registers = self._registers(named, odd)
        heads = map(HEADER.pack, codes, presents, tokeniser.many("entry", ids), digests,
                    map(len, contents), repeat(PLAIN_PROVENANCE_BYTES))  # fmt: skip
        parts = zip(found, heads, registers, contents, strict=True)
        return found, [t[2:] + head + register + c for t, head, register, c in parts]

    def _registers(
        self, named: dict[str, tuple[str, ...]], odd: Bools
    ) -> tuple[list[int], list[bytes]]:
        """The header's bits, and the registers, of each row."""
        times, none, doubtful = revisions(named["revision"], self._as_of, self._latest_ms)
        if "updated_at" in self._place:  # a row may state its revision there
            doubtful |= none
        odd |= doubtful
        presents = _settled(list(map(_RAISED.get, named["state"])), LISTED, odd)
        if none.any():
            presents = [
                present & ~RESUMED | WITHOUT_REVISION if stateless else present
                for present, stateless in zip(presents, none.tolist(), strict=True)
            ]
        two = (LISTED | RESUMED, LISTED | SUSPENDED, LISTED | SUSPENDED | WITHOUT_REVISION)
        if any(named["state"]):
            times = [t + t if p in two else t for t, p in zip(times, presents, strict=True)]
        return presents, times

    def _contents(self, named: dict[str, tuple[str, ...]], odd: Bools) -> list[bytes]:
        self._learn_names(set(named["name"]))
        names = _settled(self._names.of(named["name"]), b"", odd)
        starts = _settled(self._starts.of(named["from"]), _NO_PART, odd)
        ends = _settled(self._ends.of(named["until"]), _NO_PART, odd)
        courts = _settled(self._courts.of(named["court"]), _NO_PART, odd)
        ids = _settled(self._entry_ids(named["entry_id"], named["case"]), _NO_PART, odd)
        return [
            _FLAGS[f1 | f2 | f3 | f4] + entry_id + start + end + court + name
            for (f1, entry_id), (f2, start), (f3, end), (f4, court), name in zip(
                ids, starts, ends, courts, names, strict=True
            )
        ]

    def _entry_ids(self, entry_ids: Sequence[str], cases: Sequence[str]) -> list[Part | None]:
        heads, parties, serials = self._heads, _PARTIES, _SERIALS
        found: list[Part | None] = []
        for entry_id, case in zip(entry_ids, cases, strict=True):
            if not case:
                found.append(_bare_id(entry_id))
                continue
            body = case[:-1]
            start = body.rstrip("0123456789")
            head, party = heads[start], parties.get(entry_id[len(case) :])
            serial = serials.get(body[len(start) :]) or _serial(body[len(start) :])
            if head and party and serial and case[-1] == "号" and entry_id.startswith(case):
                found.append((_CASE | _ID_FROM_CASE, head + serial + party))
            else:
                found.append(None)
        return found

    def _court(self, text: str) -> Part:
        cells.check_texts("-", "", text, "")
        packed = pack_content(Content("", court=text.strip()), self._packer.courts)
        return packed[0], packed[3:-1]  # without entry id and names, which are empty

    def _learn_names(self, texts: set[str]) -> None:
        """Nothing; most names are in the cache now: hashing many at once is much faster."""
        new = [text for text in texts - self._names.keys() if _HAN_NAME.fullmatch(text)]
        if len(self._names) + len(new) > _CACHE_MAX:
            self._names.clear()
            new = [text for text in texts if _HAN_NAME.fullmatch(text)]
        self._names.update(zip(new, han_names(new, self._packer.tokeniser), strict=True))

    def _name(self, text: str) -> bytes:
        if "|" in text:
            raise ValueError
        cells.check_texts("-", "", "", text)
        names = {
            token for name in cells.names(text) for token in self._packer.tokeniser.names(name)
        }
        return pack_content(Content("", names=tuple(sorted(names))), {})[3:]


def _settled(column: list[T | None], instead: T, odd: Bools) -> list[T]:
    """The column with something harmless where it has None; those rows are odd."""
    if None in column:
        odd |= np.fromiter((value is None for value in column), np.bool_, len(column))
    return [instead if value is None else value for value in column]


def _bare_id(entry_id: str) -> Part | None:
    """The part of an entry id that stands without a case number."""
    if not 0 < len(entry_id) <= cells.ENTRY_ID_MAX or entry_id != entry_id.strip():
        return None
    if holds_id_number(entry_id):
        return None
    data = entry_id.encode(errors="replace")
    return 0, len(data).to_bytes(2) + data


def _serial(digits: str) -> bytes | None:
    usual = 0 < len(digits) <= _SERIAL_DIGITS and digits[0] != "0"
    return int(digits).to_bytes(3) if usual else None


def _case_head(start: str) -> bytes:
    """The six bytes of what stands before a case's serial number."""
    packed = casenumber.pack(start + "1号")
    if packed is None or packed[6:] != b"\0\0\1":
        raise ValueError
    return packed[:6]


def _ms(parse: Callable[[str], int], text: str) -> int:
    ms = cells.moment(parse, "", text)
    if ms is None:
        raise ValueError
    return ms


def _time(content: Content) -> Part:
    packed = pack_content(content, {})
    return packed[0], packed[3:-1]
