"""Rows of the commonest shape, packed a block at a time, column by column.

Nine rows in ten are a court's about a resident's ID card, without anything unusual in them.
They are packed here straight from the block's bytes; everything else, and everything doubtful,
goes the long way through `rows` and `packing`. Both give the same bytes: a test says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from loader import cells
from loader.cells import Skipped, Unusable
from loader.columns import Column, Columns, columns_of_rows
from loader.entry_ids import EntryIds
from loader.hashing import HanNames, card_tokens, digests, entry_hashes, tokens
from loader.layout import COLUMNS, Torn, whole
from loader.numbers import are_cards, revisions
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
from loader.parts import Cache, looked_up
from loader.pieces import Bools, Octets, Pieces, rows_of, woven
from loader.table import FIXED_BYTES, Packed
from roster.check_digits import beijing_day
from roster.entry import Content
from roster.record import WITHOUT_REVISION, pack_content
from roster.times import FUTURE_MAX_MS, parse_from, parse_until

Named = dict[str, Column]

_PICKED = (
    "list", "entry_id", "document_type", "document_number", "document_issuer",
    "document_kind", "name", "revision", "state", "from", "until", "case", "court",
)  # fmt: skip
_DOCUMENT = _PICKED[2:6]
_EMPTY = [name for name in COLUMNS if name not in _PICKED]
_CARD = {"resident_id": 1}
_RAISED = {"": LISTED, "active": LISTED | RESUMED, "suspended": LISTED | SUSPENDED,
           "removed": REMOVED}  # fmt: skip
_TWO = (LISTED | RESUMED, LISTED | SUSPENDED, LISTED | SUSPENDED | WITHOUT_REVISION)
"""What raises two registers."""
_NOT_RESUMED = 0xFF ^ RESUMED
_DATE_BYTES = len("2018-03-01")
_FROM, _UNTIL, _CASE, _COURT, _ID_FROM_CASE = 1, 2, 4, 16, 64
"""What roster/record.py says of a content."""
_KEY_BYTES = 18
"""A token and a list's code: they are in a digest before the content."""


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
        self._han_names = HanNames(packer.tokeniser)
        self._ids = EntryIds()
        for cache in (self._starts, self._ends, self._courts):
            cache[""] = b""

    def pack(self, rows: Sequence[list[str]]) -> tuple[Packed, Bools]:
        """The packed rows, and which rows have to go the long way instead."""
        odd = np.zeros(len(rows), np.bool_)
        try:
            columns = columns_of_rows(rows, self._width)
        except ValueError:
            columns = columns_of_rows(self._regular(rows, odd), self._width)
        return self.pack_columns(columns, odd)

    def pack_columns(self, columns: Columns, odd: Bools | None = None) -> tuple[Packed, Bools]:
        """As `pack`, of rows that are columns already; some may be known to be `odd`."""
        odd = np.zeros(len(columns), np.bool_) if odd is None else odd
        for name in _EMPTY:
            if name in self._place:
                odd |= columns.column(self._place[name]).sizes > 0
        named = {name: columns.column(self._place.get(name)) for name in _PICKED}
        return self._packed(named, odd), odd

    def _regular(self, rows: Sequence[list[str]], odd: Bools) -> Sequence[list[str]]:
        """The rows, with empty ones instead of those that are torn or of another width."""
        regular = []
        for index, row in enumerate(rows):
            odd[index] = whole(row).__class__ is Torn or len(row) != self._width
            regular.append([""] * self._width if odd[index] else row)
        return regular

    def _packed(self, named: Named, odd: Bools) -> Packed:
        tokeniser = self._packer.tokeniser
        codes = looked_up(named["list"], self._codes, odd)
        keys = np.zeros((len(odd), _KEY_BYTES), np.uint8)
        keys[:, :16] = table = self._tokens(named, odd)
        keys[:, 17] = codes
        texts = woven([rows_of(keys), *self._content(named, odd)])
        presents, times, rests = self._registers(named, texts, odd)
        fixed = np.empty((len(codes), FIXED_BYTES), np.uint8)
        fixed[:, :PLACE_BYTES] = table[:, -PLACE_BYTES:]
        fixed[:, LIST_AT] = codes
        fixed[:, PRESENT_AT] = presents
        fixed[:, HASH] = entry_hashes(named["entry_id"], codes, tokeniser)
        fixed[:, DIGEST] = digests(texts, tokeniser)
        content_sizes = (texts.sizes - _KEY_BYTES).astype(">u2")
        fixed[:, CONTENT_SIZE] = content_sizes.view(np.uint8).reshape(-1, 2)
        fixed[:, PROVENANCE_SIZE_AT] = PLAIN_PROVENANCE_BYTES
        fixed[:, HEAD_BYTES:] = times
        return Packed(table[:, 1], fixed, rests)

    def _tokens(self, named: Named, odd: Bools) -> Octets:
        """The documents' tokens."""
        numbers = named["document_number"]
        cards = are_cards(numbers, self._latest_birth)
        cards &= looked_up(named["document_type"], _CARD, np.zeros_like(odd)) > 0
        if cards.all():
            return card_tokens(numbers, self._packer.tokeniser)
        table = np.zeros((len(odd), 16), np.uint8)
        if cards.any():
            table[cards] = card_tokens(numbers.chosen(cards), self._packer.tokeniser)
        others = np.flatnonzero(~cards & ~odd)
        if len(others):
            numbers_ = self._numbers([named[name].chosen(others).texts() for name in _DOCUMENT])
            odd[others] = [number is None for number in numbers_]
            table[others] = tokens([number or "" for number in numbers_], self._packer.tokeniser)
        return table

    def _numbers(self, documents: Sequence[list[str]]) -> list[str | None]:
        """The canonical numbers of documents of any type; None for those that are doubtful."""
        found: list[str | None] = []
        for document in zip(*documents, strict=True):
            try:
                number, valid = cells.document(("", "", *document), self._latest_birth)
            except (Unusable, Skipped):
                valid = False
            found.append(number if valid else None)
        return found

    def _registers(self, named: Named, texts: Pieces, odd: Bools) -> tuple[Octets, Octets, Pieces]:
        """The header's bits, the first register, and the rest of each row."""
        times, none, doubtful = revisions(named["revision"], self._as_of, self._latest_ms)
        if "updated_at" in self._place:  # a row may state its revision there
            doubtful |= none
        odd |= doubtful
        presents = looked_up(named["state"], _RAISED, odd)
        presents = np.where(none, presents & _NOT_RESUMED | WITHOUT_REVISION, presents)
        rests = Pieces(texts.source, texts.starts + _KEY_BYTES, texts.sizes - _KEY_BYTES)
        two = np.flatnonzero(np.isin(presents, _TWO))
        if len(two):
            rests = rests.replaced(two, woven([rows_of(times[two]), rests.chosen(two)]))
        return presents, times, rests

    def _content(self, named: Named, odd: Bools) -> list[Pieces]:
        """The parts of each row's content."""
        start, end = named["from"], named["until"]
        ids = self._ids.of(named["entry_id"], named["case"], odd)
        starts, ends = self._starts.of(start, odd), self._ends.of(end, odd)
        odd |= _unusual_terms(start, end)
        courts = self._courts.of(named["court"], odd)
        flags = (named["case"].sizes > 0) * np.uint8(_CASE | _ID_FROM_CASE)
        for flag, pieces in ((_FROM, starts), (_UNTIL, ends), (_COURT, courts)):
            flags |= (pieces.sizes > 0) * np.uint8(flag)
        return [
            rows_of(flags[:, None]),
            ids,
            starts,
            ends,
            courts,
            self._name_parts(named["name"], odd),
        ]

    def _name_parts(self, names: Column, odd: Bools) -> Pieces:
        parts, han = self._han_names.of(names)
        pieces = rows_of(parts)
        if han.all():
            return pieces
        others, unusual = np.flatnonzero(~han), np.zeros(len(han) - int(han.sum()), np.bool_)
        replaced = pieces.replaced(others, self._names.of(names.chosen(others), unusual))
        odd[others] |= unusual
        return replaced

    def _court(self, text: str) -> bytes:
        cells.check_texts("-", "", text, "")
        packed = pack_content(Content("", court=text.strip()), self._packer.courts)
        if packed[0] != _COURT:
            raise ValueError
        return packed[3:-1]  # without entry id and names, which are empty

    def _name(self, text: str) -> bytes:
        if "|" in text:
            raise ValueError
        cells.check_texts("-", "", "", text)
        names = {
            token for name in cells.names(text) for token in self._packer.tokeniser.names(name)
        }
        return pack_content(Content("", names=tuple(sorted(names))), {})[3:]


def _ms(parse: Callable[[str], int], text: str) -> int:
    ms = cells.moment(parse, "", text)
    if ms is None:
        raise ValueError
    return ms


def _time(content: Content) -> bytes:
    return pack_content(content, {})[3:-1]


def _unusual_terms(starts: Column, ends: Column) -> Bools:
    """Where it takes more than comparing two bare dates to see that the term lasts."""
    both: Bools = (starts.sizes > 0) & (ends.sizes > 0)
    dates = both & (starts.sizes == _DATE_BYTES) & (ends.sizes == _DATE_BYTES)
    if dates.any():
        first, last = (
            each.chosen(dates).windows(0, _DATE_BYTES).view(f"S{_DATE_BYTES}").reshape(-1)
            for each in (starts, ends)
        )
        dates[dates] = first <= last
    both &= ~dates
    return both
