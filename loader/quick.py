"""Rows of the commonest shape, packed a block at a time, column by column.

Nine rows in ten are a court's about a resident's ID card, without anything unusual in them.
They are packed here straight from their cells; everything else, and everything doubtful,
goes the long way through `rows` and `packing`. Both give the same bytes: a test says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from operator import add
from typing import TypeVar

import numpy as np

from loader import cells
from loader.cells import Skipped, Unusable
from loader.layout import COLUMNS
from loader.numbers import card_numbers, cut, han_names, octets_of, revisions, tokens
from loader.packing import (
    CONTENT_SIZE,
    DIGEST,
    HASH,
    HEAD_BYTES,
    LIST_AT,
    LISTED,
    PLACE_BYTES,
    PLAIN_PROVENANCE_BYTES,
    PRESENT_AT,
    PROVENANCE_SIZE_AT,
    REMOVED,
    RESUMED,
    SUSPENDED,
    Context,
    Packer,
)
from loader.parts import CACHE_MAX, CASE, COURT, FROM, ID_FROM_CASE, UNTIL, Cache, EntryIds
from loader.table import FIXED_BYTES, Bools, Octets, Packed, sizes_of
from roster.check_digits import beijing_day
from roster.entry import Content
from roster.record import WITHOUT_REVISION, pack_content
from roster.times import FUTURE_MAX_MS, parse_from, parse_until

T = TypeVar("T")
Named = dict[str, Sequence[str]]

_PICKED = (
    "list", "entry_id", "document_type", "document_number", "document_issuer",
    "document_kind", "name", "revision", "state", "from", "until", "case", "court",
)  # fmt: skip
_DOCUMENT = _PICKED[2:6]
_EMPTY = [name for name in COLUMNS if name not in _PICKED]
_RAISED = {"": LISTED, "active": LISTED | RESUMED, "suspended": LISTED | SUSPENDED,
           "removed": REMOVED}  # fmt: skip
_TWO = frozenset({LISTED | RESUMED, LISTED | SUSPENDED, LISTED | SUSPENDED | WITHOUT_REVISION})
"""What raises two registers."""
_DATE_LENGTH = len("2018-03-01")
_HAN_NAME = re.compile("[\u4e00-\u9fa5]{1,17}")
"""One token, says roster/names.py, and too short to hold an ID number."""


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
        self._starts = Cache(lambda text: _time(Content("", from_ms=_ms(parse_from, text))))
        self._ends = Cache(lambda text: _time(Content("", until_ms=_ms(parse_until, text))))
        self._courts = Cache(self._court)
        self._names = Cache(self._name)
        self._ids = EntryIds()
        for cache in (self._starts, self._ends, self._courts):
            cache[""] = b""

    def pack(self, rows: Sequence[list[str]]) -> tuple[Packed, Bools]:
        """The packed rows, and which rows have to go the long way instead."""
        odd = np.zeros(len(rows), np.bool_)
        columns = list(zip(*self._regular(rows, odd), strict=True))
        return self.pack_columns(columns, odd)

    def pack_columns(
        self, columns: Sequence[Sequence[str]], odd: Bools | None = None
    ) -> tuple[Packed, Bools]:
        """As `pack`, of rows that are columns already; some may be known to be `odd`."""
        count = len(columns[0])
        odd = np.zeros(count, np.bool_) if odd is None else odd
        for name in _EMPTY:
            if name in self._place and any(column := columns[self._place[name]]):
                odd |= _filled(column)
        named = {
            name: columns[self._place[name]] if name in self._place else ("",) * count
            for name in _PICKED
        }
        codes = _settled(list(map(self._codes.get, named["list"])), 1, odd)
        numbers = self._numbers(named, odd)
        return self._packed(named, codes, numbers, odd), odd

    def _numbers(self, named: Named, odd: Bools) -> list[str]:
        """The documents' canonical numbers."""
        cards, doubtful = card_numbers(named["document_number"], self._latest_birth)
        types = named["document_type"]
        if set(types) != {"resident_id"}:
            doubtful |= np.fromiter((text != "resident_id" for text in types), np.bool_, len(types))
        numbers = ["R:" + card for card in cards]
        documents = [named[name] for name in _DOCUMENT]
        for index in np.flatnonzero(doubtful & ~odd).tolist():
            row = "", "", *(column[index] for column in documents)
            try:
                document = cells.document(row, self._latest_birth)
            except (Unusable, Skipped):
                odd[index] = True
                continue
            numbers[index] = document.number
            odd[index] = not document.valid
        return numbers

    def _regular(self, rows: Sequence[list[str]], odd: Bools) -> Sequence[list[str]]:
        """The rows, with empty ones instead of those that have not as many cells as columns."""
        if set(map(type, rows)) == {list} and set(map(len, rows)) == {self._width}:
            return rows
        regular = []
        for index, row in enumerate(rows):
            odd[index] = row.__class__ is not list or len(row) != self._width
            regular.append([""] * self._width if odd[index] else row)
        return regular

    def _packed(self, named: Named, codes: list[int], numbers: list[str], odd: Bools) -> Packed:
        tokeniser = self._packer.tokeniser
        contents = self._contents(named, odd)
        table = tokens(numbers, tokeniser)
        wide = np.array(codes, ">u2").view(np.uint8).reshape(-1, 2)
        ids = [entry_id.encode(errors="surrogatepass") for entry_id in named["entry_id"]]
        hashes = tokeniser.many("entry", map(add, cut(wide), ids))
        texts = map(add, cut(np.concatenate([table, wide], axis=1)), contents)
        digests = tokeniser.many("digest", texts)
        presents, first, rests = self._registers(named, contents, odd)
        fixed = np.empty((len(codes), FIXED_BYTES), np.uint8)
        fixed[:, :PLACE_BYTES] = table[:, -PLACE_BYTES:]
        fixed[:, LIST_AT] = codes
        fixed[:, PRESENT_AT] = presents
        fixed[:, HASH] = octets_of(hashes)
        fixed[:, DIGEST] = octets_of(digests)
        fixed[:, CONTENT_SIZE] = sizes_of(contents).astype(">u2").view(np.uint8).reshape(-1, 2)
        fixed[:, PROVENANCE_SIZE_AT] = PLAIN_PROVENANCE_BYTES
        fixed[:, HEAD_BYTES:] = first
        return Packed(table[:, 1], fixed, rests)

    def _registers(
        self, named: Named, contents: list[bytes], odd: Bools
    ) -> tuple[list[int], Octets, list[bytes]]:
        """The header's bits, the first register, and the rest of each row."""
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
        if any(named["state"]):
            contents = contents.copy()
            for index, present in enumerate(presents):
                if present in _TWO:
                    contents[index] = times[index].tobytes() + contents[index]
        return presents, times, contents

    def _contents(self, named: Named, odd: Bools) -> list[bytes]:
        self._learn_names(set(named["name"]))
        ids = self._ids.of(named["entry_id"], named["case"], odd)
        starts = self._starts.of(named["from"], odd)
        ends = self._ends.of(named["until"], odd)
        terms = zip(named["from"], named["until"], strict=True)
        odd |= np.fromiter((_unusual_term(*term) for term in terms), np.bool_, len(ids))
        courts = self._courts.of(named["court"], odd)
        names = self._names.of(named["name"], odd)
        flags = np.zeros(len(ids), np.uint8)
        for flag, column in ((FROM, starts), (UNTIL, ends), (COURT, courts)):
            flags |= _filled(column) * np.uint8(flag)
        flags |= _filled(named["case"]) * np.uint8(CASE | ID_FROM_CASE)
        parts = zip(cut(flags[:, None]), ids, starts, ends, courts, names, strict=True)
        return list(map(b"".join, parts))

    def _court(self, text: str) -> bytes:
        cells.check_texts("-", "", text, "")
        packed = pack_content(Content("", court=text.strip()), self._packer.courts)
        if packed[0] != COURT:
            raise ValueError
        return packed[3:-1]  # without entry id and names, which are empty

    def _learn_names(self, texts: set[str]) -> None:
        """Nothing; most names are in the cache now: hashing many at once is much faster."""
        new = list(filter(_HAN_NAME.fullmatch, texts - self._names.keys()))
        if len(self._names) + len(new) > CACHE_MAX:
            self._names.clear()
            new = list(filter(_HAN_NAME.fullmatch, texts))
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


def _ms(parse: Callable[[str], int], text: str) -> int:
    ms = cells.moment(parse, "", text)
    if ms is None:
        raise ValueError
    return ms


def _time(content: Content) -> bytes:
    return pack_content(content, {})[3:-1]


def _unusual_term(start: str, end: str) -> bool:
    """Whether it takes more than comparing two bare dates to see that the term lasts."""
    if not start or not end:
        return False
    return len(start) != _DATE_LENGTH or len(end) != _DATE_LENGTH or end < start


def _filled(column: Sequence[str] | Sequence[bytes]) -> Bools:
    return np.fromiter(map(bool, column), np.bool_, len(column))
